// Dequantization: a scale and, where given, a zero point for each group of neighbours in the last axis, or what a format says.
#include "graph/ops/dequantize.h"

#include "backend/backend.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/raw.h"
#include "backend/cuda/stored_weight.h"

namespace lazuli::cuda {

PreparedOp prepare_dequantize(const KernelRequest& request) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request)) return ask_for_contiguous(strided);
  if (const int64_t format = request.attrs[attr::dequantize::format]; format != 0) {
    const Shape& out = request.outputs[0].shape;
    Launch weight = stored_weight_launch(request, quant_format(static_cast<QuantFormatId>(format)), request.outputs[0].dtype, out.numel(),
                                         std::max<int64_t>(out.back(), 1));
    return make_op(request, "dequantize", {std::move(weight)}, 2);
  }
  const int64_t count = request.inputs[0].shape.numel(), group = request.attrs[attr::dequantize::group];
  const int64_t pack = std::gcd(group, int64_t{8});
  KernelText text;
  text.type("Q", request.inputs[0].dtype).type("S", request.inputs[operand::dequantize::scales].dtype).type("T", request.outputs[0].dtype);
  text.number("ZEROS", request.inputs.size() > 2).number("PACK", pack).number("WIDE", is_wide(count));
  return make_op(request, "dequantize", {launch_file(request, text, "dequantize", {count, group}, blocks_for(count / pack), 256)}, 2);
}

}  // namespace lazuli::cuda
