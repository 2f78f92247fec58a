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

LazyTensor rotated(const LazyTensor& x, const RopeTables::Pair& tables, const LazyTensor& offset) {
  return tables.cos.defined() ? rope(x, tables.cos, tables.sin, offset) : x;
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

std::array<LazyTensor, 3> Attention::project(const LazyTensor& x, const LowRankOf& low_rank) const {
  if (!fused) return {apply(q, x, low_rank), apply(k, x, low_rank), apply(v, x, low_rank)};
  const LazyTensor all = apply(q, x, low_rank);
  const int64_t keys = heads * head_size, values = keys + kv_heads * head_size;
  return {slice(all, 2, 0, keys), slice(all, 2, keys, values), slice(all, 2, values, all.dim(2))};
}

LazyTensor Attention::forward(const LazyTensor& x, const AttentionInputs& inputs, const LowRankOf& low_rank) const {
  const std::array<LazyTensor, 3> parts = project(x, low_rank);
  const LazyTensor queries = rotated(split(parts[0], q_norm, heads), inputs.rope.queries, inputs.offset);
  LazyTensor keys = rotated(split(parts[1], k_norm, kv_heads), inputs.rope.keys, inputs.offset);
  LazyTensor values = split(parts[2], {}, kv_heads);
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
  const LazyTensor made = apply(gate, x, low_rank);
  const int64_t inner = down.linear.in_size();
  const LazyTensor gated = activation(fused ? slice(made, -1, 0, inner) : made, {});
  return apply(down, mul(gated, fused ? slice(made, -1, inner, 2 * inner) : apply(up, x, low_rank)), low_rank);
}

LazyTensor PlainMLP::forward(const LazyTensor& x, const LowRankOf& low_rank) const {
  return apply(down, activation(apply(up, x, low_rank), {}), low_rank);
}

}  // namespace lazuli
