#include "backend/cpu/kernels.h"
#include "lazuli/error.h"

namespace lazuli::cpu {

// Kernel families of the table that this backend does not have: their ops run on the reference backend only.
#define LAZULI_UNFINISHED(kernel)                                                                              \
  PreparedOp prepare_##kernel(const KernelRequest& request) {                                                  \
    throw DTypeError("[" + std::string(name_of(request.op)) + "] is only supported on the reference backend"); \
  }

LAZULI_UNFINISHED(sort)
LAZULI_UNFINISHED(rope)
LAZULI_UNFINISHED(lora_fused)
LAZULI_UNFINISHED(lora_linear)

#undef LAZULI_UNFINISHED

}  // namespace lazuli::cpu
