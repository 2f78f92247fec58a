// The AdamW step: one pass over parameter, gradient and both moments.
#include "backend/cuda/kernels.h"
#include "backend/cuda/launch.h"

namespace lazuli::cuda {

PreparedOp prepare_adamw(const KernelRequest& request) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request, 15)) return ask_for_contiguous(strided);
  static constexpr const char* kNames[] = {"P", "G", "M", "V", "RATE", "BETA1", "BETA2", "EPS", "DECAY", "STEP", "FACTOR"};
  KernelText text;
  for (size_t k = 0; k < request.inputs.size(); ++k) text.type(kNames[k], request.inputs[k].dtype);
  const int64_t count = request.inputs[0].shape.numel();
  PreparedOp op = make_op(request, "adamw", {launch_file(request, text, "adamw", {count}, blocks_for((count + 3) / 4), 256)}, 14);
  op.in_place = {0, 2, 3};
  return op;
}

}  // namespace lazuli::cuda
