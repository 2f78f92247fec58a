// Random draws and dropout: element k depends only on the seed and k.
#include "backend/random.h"

#include "backend/backend.h"
#include "backend/cuda/launch.h"
#include "graph/ops/dropout.h"
#include "lazuli/op.h"

namespace lazuli::cuda {

namespace {

enum Kind : int64_t { kUniform, kNormal, kBits, kDropout };

Kind kind_of(Op op) {
  switch (op) {
    case Op::random_uniform:
      return kUniform;
    case Op::random_normal:
      return kNormal;
    case Op::random_bits:
      return kBits;
    default:
      return kDropout;
  }
}

PreparedOp prepare_draw(const KernelRequest& request, const char* name, size_t seed) {
  refuse_f64(request);
  const OperandSpec& out = request.outputs[0];
  const Kind kind = kind_of(request.op);
  KernelText text;
  text.number("KIND", kind).type("T", out.dtype).type("SEED", request.inputs[seed].dtype).number("SEED_IN", static_cast<int64_t>(seed));
  text.number("BITS", kind == kUniform ? uniform_bits(out.dtype) : 24);
  if (kind == kDropout) text.type("P", request.inputs[operand::dropout::probability].dtype);
  const int64_t count = out.shape.numel(), per_thread = kind == kBits ? 2 : 4;
  Launch launch;
  launch.sizes = {count};
  launch.source = text.of_body(request, launch.sizes.size(), std::string(kernel_file("philox")) + std::string(kernel_file("random")));
  launch.grid = {blocks_for((count + 3) / per_thread), 1, 1};
  launch.block = 256;
  PreparedOp op = make_op(request, name, {std::move(launch)});
  op.flops = 20 * static_cast<double>(count);
  return op;
}

}  // namespace

PreparedOp prepare_random(const KernelRequest& request) { return prepare_draw(request, name_of(request.op).data(), 0); }

PreparedOp prepare_dropout(const KernelRequest& request) {
  if (const uint32_t strided = strided_operands(request, 1)) return ask_for_contiguous(strided);
  PreparedOp op = prepare_draw(request, "dropout", 2);
  op.in_place = {0};
  return op;
}

}  // namespace lazuli::cuda
