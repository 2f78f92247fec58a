// Implements the attention and feed-forward blocks.
#include "nn/attention.h"

namespace lazuli {

namespace {

/// Stores `update` at `offset` of axis 2 and gives the whole cache.
LazyTensor store(LazyTensor& cache, const LazyTensor& update, const LazyTensor& offset) {
  const int64_t starts[] = {0, 0, 0, 0};
  cache = slice_update(std::move(cache), update, starts, {}, offset, 2);
  return cache;
}

LazyTensor turned(const LazyTensor& x, const AttentionInputs& inputs) {
  return inputs.cos.defined() ? rope(x, inputs.cos, inputs.sin, inputs.offset) : x;
}

}  // namespace

LazyTensor apply(const AdaptedLinear& layer, const LazyTensor& x, const LowRankOf& low_rank) {
  return layer.linear.forward(x, low_rank ? low_rank(layer.index) : nullptr);
}

LazyTensor Attention::split(const LazyTensor& x, const Norm& norm, int64_t count) const {
  const LazyTensor whole = norms_by_head ? x : norm.forward(x);
  const LazyTensor by_head = reshape(whole, {x.dim(0), x.dim(1), count, head_size});
  return transpose(norms_by_head ? norm.forward(by_head) : by_head, 1, 2);
}

LazyTensor Attention::forward(const LazyTensor& x, const AttentionInputs& inputs, const LowRankOf& low_rank) const {
  const LazyTensor queries = turned(split(apply(q, x, low_rank), q_norm, heads), inputs);
  LazyTensor keys = turned(split(apply(k, x, low_rank), k_norm, kv_heads), inputs);
  LazyTensor values = split(apply(v, x, low_rank), {}, kv_heads);
  AttentionOptions options;
  options.causal = true;
  if (window > 0) options.window_left = window - 1;
  if (softcap != 0) options.softcap = softcap;
  if (inputs.keys != nullptr) {
    keys = store(*inputs.keys, keys, inputs.place);
    values = store(*inputs.values, values, inputs.place);
    options.length = inputs.length;
  }
  const LazyTensor mixed = scaled_dot_product_attention(queries, keys, values, scale, options);
  return apply(o, reshape(transpose(mixed, 1, 2), {x.dim(0), x.dim(1), heads * head_size}), low_rank);
}

LazyTensor GatedMLP::forward(const LazyTensor& x, const LowRankOf& low_rank) const {
  const LazyTensor gated = activation(apply(gate, x, low_rank), {});
  return apply(down, mul(gated, apply(up, x, low_rank)), low_rank);
}

LazyTensor PlainMLP::forward(const LazyTensor& x, const LowRankOf& low_rank) const {
  return apply(down, activation(apply(up, x, low_rank), {}), low_rank);
}

}  // namespace lazuli
