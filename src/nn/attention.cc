// Implements the attention and feed-forward blocks.
#include "nn/attention.h"

#include <cmath>

namespace lazuli {

namespace {

LazyTensor apply(const AdaptedLinear& layer, const LazyTensor& x, const LowRankOf& low_rank) {
  return layer.linear.forward(x, low_rank ? low_rank(layer.index) : nullptr);
}

/// (batch, tokens, heads * size) -> (batch, heads, tokens, size).
LazyTensor split_heads(const LazyTensor& x, int64_t heads, int64_t size) {
  return transpose(reshape(x, {x.dim(0), x.dim(1), heads, size}), 1, 2);
}

/// Stores `update` at `offset` of axis 2 and gives the whole cache.
LazyTensor store(LazyTensor& cache, const LazyTensor& update, const LazyTensor& offset) {
  const int64_t starts[] = {0, 0, 0, 0};
  cache = slice_update(std::move(cache), update, starts, {}, offset, 2);
  return cache;
}

}  // namespace

LazyTensor Attention::forward(const LazyTensor& x, const AttentionInputs& inputs, const LowRankOf& low_rank) const {
  const LazyTensor queries = rope(split_heads(apply(q, x, low_rank), heads, head_size), inputs.cos, inputs.sin, inputs.offset);
  LazyTensor keys = rope(split_heads(apply(k, x, low_rank), kv_heads, head_size), inputs.cos, inputs.sin, inputs.offset);
  LazyTensor values = split_heads(apply(v, x, low_rank), kv_heads, head_size);
  AttentionOptions options;
  options.causal = true;
  if (inputs.keys != nullptr) {
    keys = store(*inputs.keys, keys, inputs.offset);
    values = store(*inputs.values, values, inputs.offset);
    options.length = inputs.length;
  }
  const double scale = 1.0 / std::sqrt(static_cast<double>(head_size));
  const LazyTensor mixed = scaled_dot_product_attention(queries, keys, values, scale, options);
  return apply(o, reshape(transpose(mixed, 1, 2), {x.dim(0), x.dim(1), heads * head_size}), low_rank);
}

LazyTensor GatedMLP::forward(const LazyTensor& x, const LowRankOf& low_rank) const {
  const LazyTensor gated = activation(apply(gate, x, low_rank), {});
  return apply(down, mul(gated, apply(up, x, low_rank)), low_rank);
}

}  // namespace lazuli
