// Implements linear layers and the low-rank layer.
#include <fmt/format.h>

#include <cmath>

#include "backend/random.h"
#include "lazuli/error.h"
#include "lazuli/nn.h"

namespace lazuli {

namespace {

std::vector<LazyTensor> lazy_parts(std::vector<Tensor> parts) {
  std::vector<LazyTensor> lazy;
  lazy.reserve(parts.size());
  for (Tensor& part : parts) lazy.push_back(LazyTensor::from_tensor(std::move(part)));
  return lazy;
}

}  // namespace

Linear::Linear(Tensor weight, Tensor bias) {
  if (weight.rank() != 2) throw ShapeError(fmt::format("[linear] a weight (out, in) is expected, got {}", to_string(weight.shape())));
  out_ = weight.dim(0);
  in_ = weight.dim(1);
  parts_ = {LazyTensor::from_tensor(std::move(weight))};
  set_bias(std::move(bias));
}

Linear::Linear(QuantizedWeight weight, Tensor bias)
    : parts_(lazy_parts(std::move(weight.parts))), format_(weight.format), in_(weight.columns), out_(weight.rows) {
  set_bias(std::move(bias));
}

void Linear::set_bias(Tensor bias) {
  if (!bias.defined()) return;
  if (bias.shape() != Shape{out_size()}) {
    throw ShapeError(fmt::format("[linear] a bias ({}) is expected, got {}", out_size(), to_string(bias.shape())));
  }
  bias_ = LazyTensor::from_tensor(std::move(bias));
}

LazyTensor Linear::forward(const LazyTensor& x, const LowRank* low_rank) const {
  if (low_rank == nullptr) {
    if (format_ != QuantFormatId::none) return quantized_linear(x, parts_, format_, bias_);
    LazyTensor y = matmul(x, weight(), false, true);
    return bias_.defined() ? add(y, bias_) : y;
  }
  // Factors are kept in f32; the product runs in the dtype of the model.
  const LazyTensor a = low_rank->a.dtype() == x.dtype() ? low_rank->a : cast(low_rank->a, x.dtype());
  const LazyTensor b = low_rank->b.dtype() == x.dtype() ? low_rank->b : cast(low_rank->b, x.dtype());
  if (low_rank->choice.defined()) return lora_rows(x, a, b, low_rank->scales, low_rank->choice, forward(x));
  const bool drops = low_rank->dropout != 0 && low_rank->seed.defined();
  if (!drops && format_ == QuantFormatId::none) return lora_linear(x, weight(), a, b, low_rank->scale, bias_, true);
  const LazyTensor kept = drops ? dropout(x, low_rank->dropout, low_rank->seed) : x;
  return add(forward(x), lora_fused(kept, a, b, low_rank->scale, true));
}

LazyTensor Linear::float_forward(const LazyTensor& x) const {
  if (format_ != QuantFormatId::int8) return forward(x);
  const LazyTensor y = matmul(x, dequantize(parts_, format_, x.dtype()), false, true);
  return bias_.defined() ? add(y, bias_) : y;
}

Embedding::Embedding(QuantizedWeight table, DType dtype)
    : parts_(lazy_parts(std::move(table.parts))), format_(table.format), dtype_(dtype) {}

LazyTensor Embedding::forward(const LazyTensor& ids) const {
  if (format_ == QuantFormatId::none) return embedding(table(), ids);
  std::vector<LazyTensor> rows;
  rows.reserve(parts_.size());
  for (const LazyTensor& part : parts_) rows.push_back(embedding(part, ids));
  return dequantize(rows, format_, dtype_);
}

Tensor new_lora_a(int64_t rank, int64_t in, uint64_t seed, uint64_t stream) {
  Tensor a = Tensor::empty(DType::f32, {rank, in});
  // One stream for each layer: the seed alone would give all layers of one size the same numbers.
  const auto own = static_cast<uint64_t>(random_bits64(seed, stream));
  const float bound = 1.0F / std::sqrt(static_cast<float>(in));
  uint64_t k = 0;
  for (float& v : a.mutable_data<float>()) v = (2 * uniform_from(random_word(own, k++)) - 1) * bound;
  return a;
}

LoRALayer::LoRALayer(int64_t in, int64_t out, int64_t rank, double alpha, uint64_t seed) : alpha_(alpha) {
  if (in < 1 || out < 1 || rank < 1) {
    throw ValueError(fmt::format("[lora] sizes of at least 1 are expected, got in {}, out {} and rank {}", in, out, rank));
  }
  a_ = new_lora_a(rank, in, seed, 0);
  b_ = Tensor::zeros(DType::f32, {out, rank});
}

LoRALayer::LoRALayer(Tensor a, Tensor b, double alpha) : alpha_(alpha) { set_factors(std::move(a), std::move(b)); }

void LoRALayer::set_factors(Tensor a, Tensor b) {
  if (a.rank() != 2 || b.rank() != 2 || a.dim(0) != b.dim(1)) {
    throw ShapeError(
        fmt::format("[lora] factors (rank, in) and (out, rank) are expected, got {} and {}", to_string(a.shape()), to_string(b.shape())));
  }
  a_ = std::move(a);
  b_ = std::move(b);
}

LazyTensor LoRALayer::forward_lazy(const LazyTensor& x) const {
  return lora_fused(x, LazyTensor::from_tensor(a_), LazyTensor::from_tensor(b_), scale(), true);
}

}  // namespace lazuli
