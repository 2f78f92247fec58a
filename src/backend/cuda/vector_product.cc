#include "backend/cuda/vector_product.h"

#include "backend/cuda/thresholds.h"
#include "lazuli/determinism.h"
#include "lazuli/op.h"

namespace lazuli::cuda {

namespace {

constexpr uint32_t kVectorBlock = 128;
using threshold::product::kFewColumns;
using threshold::product::kLongColumn;

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
  launch.sizes = {n, k, pitch};
  if (p.up) {
    const OperandSpec& up = p.up->spec;
    const int64_t up_stride = up.strides[p.up->transposed ? 1 : 0], up_pitch = up.strides[p.up->transposed ? 0 : 1];
    if (up.shape.rank() != 2 || up.dtype != w.dtype || (up_stride != 1 && k != 1) || up_pitch < k) return std::nullopt;
    launch.sizes.push_back(up_pitch);
  }
  KernelText text;
  text.type("ITEM", x.dtype).type("RESULT", p.result_dtype);
  std::string body;
  if (activation != Op::input) body = kernel_file("elementwise");
  body += "#define ACTIVATION(y) " + (activation == Op::input ? "(y)" : "op_" + std::string(name_of(activation)) + "(y)") + "\n";
  launch.grid = {blocks_for(n, kVectorBlock / 32), 1, 1};
  launch.block = kVectorBlock;
  return make_kernel(request, with_text(request, p, std::move(launch), text, body.append(kernel_file("vector_product"))));
}

}  // namespace lazuli::cuda
