#include "backend/cuda/vector_product.h"

#include <algorithm>

#include "lazuli/determinism.h"

namespace lazuli::cuda {

namespace {

constexpr uint32_t kBlock = 128;
constexpr int64_t kFewColumns = 64, kLongColumn = 1 << 15;

bool one_matrix(const Shape& shape) { return shape.rank() >= 2 && shape.numel() == shape[shape.rank() - 1] * shape[shape.rank() - 2]; }

}  // namespace

std::optional<Kernel> vector_product(const KernelRequest& request, const Product& p, Op activation) {
  if (deterministic()) return std::nullopt;  // a row among others is summed in another order
  const OperandSpec &x = p.a.spec, &w = p.b.spec;
  if (!is_float(x.dtype) || x.dtype == DType::f64 || w.dtype != x.dtype || !one_matrix(x.shape) || !one_matrix(w.shape))
    return std::nullopt;
  const int last = w.shape.rank() - 1;
  const int64_t k = x.shape.numel(), n = w.shape[p.b.transposed ? last - 1 : last];
  const int64_t k_stride = w.strides[p.b.transposed ? last : last - 1], pitch = w.strides[p.b.transposed ? last - 1 : last];
  if (x.shape[x.shape.rank() - (p.a.transposed ? 1 : 2)] != 1 || !x.contiguous || (k_stride != 1 && k != 1)) return std::nullopt;
  if (k < 1 || n < 1 || pitch < k) return std::nullopt;
  if (n < kFewColumns && k > kLongColumn) return std::nullopt;  // a warp a column would leave the card idle

  Launch launch;
  launch.in = {p.a.place, p.b.place};
  KernelText text;
  text.type("ITEM", x.dtype).type("RESULT", p.result_dtype);
  const auto add = [&](std::string_view name, const std::optional<Place>& place) {
    text.number(name, place ? static_cast<int64_t>(launch.in.size()) : -1);
    if (place) launch.in.push_back(*place);
  };
  add("BIAS_IN", p.bias);
  add("ADDEND_IN", p.addend);
  const std::vector<OperandSpec> operands(launch.in.size(), x);
  const KernelRequest own{request.op, request.attrs, operands, request.outputs.first(1), nullptr};
  launch.sizes = {n, k, pitch};
  std::string body;
  if (activation != Op::input) body = kernel_file("elementwise");
  body += "#define ACTIVATION(y) " + (activation == Op::input ? "(y)" : "op_" + std::string(name_of(activation)) + "(y)") + "\n";
  launch.source = text.of_body(own, launch.sizes.size(), body.append(kernel_file("vector_product")));
  launch.grid = {blocks_for(n, kBlock / 32), 1, 1};
  launch.block = kBlock;
  launch.out = {p.result};
  return make_kernel(request, std::move(launch));
}

}  // namespace lazuli::cuda
