#include "backend/cpu/kernels.h"
#include "lazuli/error.h"

namespace lazuli::cpu {

// Kernel families of the table that this backend does not have: their ops run on the reference backend only.
#define LAZULI_UNFINISHED(kernel)                                                                              \
  PreparedOp prepare_##kernel(const KernelRequest& request) {                                                  \
    throw DTypeError("[" + std::string(name_of(request.op)) + "] is only supported on the reference backend"); \
  }

LAZULI_UNFINISHED(full)
LAZULI_UNFINISHED(arange)
LAZULI_UNFINISHED(random)
LAZULI_UNFINISHED(reduce)
LAZULI_UNFINISHED(softmax)
LAZULI_UNFINISHED(softmax_backward)
LAZULI_UNFINISHED(rms_norm)
LAZULI_UNFINISHED(rms_norm_backward)
LAZULI_UNFINISHED(layer_norm)
LAZULI_UNFINISHED(layer_norm_backward)
LAZULI_UNFINISHED(group_norm)
LAZULI_UNFINISHED(one_hot)
LAZULI_UNFINISHED(sort)
LAZULI_UNFINISHED(rope)
LAZULI_UNFINISHED(sdpa)
LAZULI_UNFINISHED(sdpa_backward)
LAZULI_UNFINISHED(cross_entropy)
LAZULI_UNFINISHED(cross_entropy_backward)
LAZULI_UNFINISHED(dropout)
LAZULI_UNFINISHED(dequantize)
LAZULI_UNFINISHED(lora_fused)
LAZULI_UNFINISHED(lora_linear)
LAZULI_UNFINISHED(adamw)
LAZULI_UNFINISHED(scaled_softmax)
LAZULI_UNFINISHED(fused_elementwise)

#undef LAZULI_UNFINISHED

}  // namespace lazuli::cpu
