// Low-rank products of which each batch entry chooses its own, on the cuda backend: two launches.
#include "graph/ops/lora_rows.h"

#include "backend/backend.h"
#include "backend/cuda/launch.h"

namespace lazuli::cuda {

PreparedOp prepare_lora_rows(const KernelRequest& request) {
  namespace in = operand::lora_rows;
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request, ~7u)) return ask_for_contiguous(strided);
  const OperandSpec &x = request.inputs[0], &a = request.inputs[in::a], &b = request.inputs[in::b];
  const int64_t rows = x.shape[0] * x.shape[1], rank = a.shape[1], columns = b.shape[1];
  std::vector<int64_t> sizes = {x.shape[0], x.shape[1], x.shape[2], rank, columns, a.shape[0]};
  for (const OperandSpec* spec : {&x, &a, &b}) sizes.insert(sizes.end(), spec->strides.begin(), spec->strides.end());
  const bool has_base = request.inputs.size() > 5;
  std::vector<Launch> launches;
  for (int64_t stage : {0, 1}) {
    KernelText text;
    text.type("T", x.dtype).type("SCALE", request.inputs[in::scales].dtype).number("HAS_BASE", has_base ? 1 : 0).number("STAGE", stage);
    launches.push_back(launch_file(request, text, "lora_rows", sizes, blocks_for(stage == 0 ? 32 * rows * rank : rows * columns), 256));
  }
  launches[0].what_fails = "adapter";
  PreparedOp op = make_op(request, "lora_rows", std::move(launches));
  op.flops = 2 * static_cast<double>(rows * rank) * static_cast<double>(x.shape[2] + columns);
  op.scratch_bytes = static_cast<size_t>(rows * rank) * sizeof(float);
  if (has_base) op.in_place = {5};
  return op;
}

}  // namespace lazuli::cuda
