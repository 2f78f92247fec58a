// Implements the attention and feed-forward blocks.
#include "nn/attention.h"

#include "nn/latent_attention.h"

namespace lazuli {

namespace {

/// Stores `update` at `offset` of axis 2 and gives the whole cache.
LazyTensor store(LazyTensor& cache, const LazyTensor& update, const LazyTensor& offset) {
  const int64_t starts[] = {0, 0, 0, 0};
  cache = slice_update(std::move(cache), update, starts, {}, offset, 2);
  return cache;
}

}  // namespace

LazyTensor rotated(const LazyTensor& x, const RopeTables::Pair& tables, const LazyTensor& offset) {
  return tables.cos.defined() ? rope(x, tables.cos, tables.sin, offset) : x;
}

LazyTensor apply(const AdaptedLinear& layer, const LazyTensor& x, const LowRankOf& low_rank) {
  return layer.linear.forward(x, low_rank ? low_rank(layer.index) : nullptr);
}

LazyTensor Attention::split(const LazyTensor& x, const Norm& norm, int64_t count, bool by_head) const {
  const LazyTensor whole = by_head ? x : norm.forward(x);
  const LazyTensor heads_of_x = reshape(whole, {x.dim(0), x.dim(1), count, head_size});
  return transpose(by_head ? norm.forward(heads_of_x) : heads_of_x, 1, 2);
}

std::array<LazyTensor, 3> Attention::project(const LazyTensor& x, bool shared, const LowRankOf& low_rank) const {
  if (shared) return {apply(q, x, low_rank), {}, {}};
  if (!fused) {
    std::array<LazyTensor, 3> parts{apply(q, x, low_rank), apply(k, x, low_rank), {}};
    parts[2] = values_are_keys ? parts[1] : apply(v, x, low_rank);
    return parts;
  }
  const LazyTensor all = apply(q, x, low_rank);
  const int64_t keys = heads * head_size, values = keys + kv_heads * head_size;
  return {slice(all, 2, 0, keys), slice(all, 2, keys, values), slice(all, 2, values, all.dim(2))};
}

std::array<LazyTensor, 2> Attention::keys_and_values(const LazyTensor& of_keys, const LazyTensor& of_values,
                                                     const AttentionInputs& inputs) const {
  if (inputs.shared) return {*inputs.keys, *inputs.values};
  const LazyTensor keys = rotated(split(of_keys, k_norm, kv_heads, norms_by_head), inputs.rope.keys, inputs.offset);
  return kept({keys, split(of_values, v_norm, kv_heads, true)}, inputs);
}

std::array<LazyTensor, 2> Attention::kept(std::array<LazyTensor, 2> made, const AttentionInputs& inputs) {
  if (inputs.length.defined()) {
    made = {store(*inputs.keys, made[0], inputs.place), store(*inputs.values, made[1], inputs.place)};
  } else if (inputs.keys != nullptr) {
    *inputs.keys = made[0];
    *inputs.values = made[1];
  }
  return made;
}

LazyTensor Attention::take_gate(LazyTensor& queries) const {
  const int64_t batch = queries.dim(0), tokens = queries.dim(1);
  const LazyTensor both = reshape(queries, {batch, tokens, heads, 2 * head_size});
  const auto half = [&](int64_t from) { return reshape(slice(both, 3, from, from + head_size), {batch, tokens, heads * head_size}); };
  queries = half(0);
  return sigmoid(half(head_size));
}

LazyTensor Attention::forward(const LazyTensor& x, const AttentionInputs& inputs, const LowRankOf& low_rank) const {
  LazyTensor queries, gate;
  std::array<LazyTensor, 2> seen;
  if (latent) {
    const LatentProjections::Parts parts = latent->forward(x, inputs, low_rank);
    queries = parts.queries;
    seen = kept({parts.keys, parts.values}, inputs);
  } else {
    std::array<LazyTensor, 3> parts = project(x, inputs.shared, low_rank);
    if (gated) gate = take_gate(parts[0]);
    queries = rotated(split(parts[0], q_norm, heads, norms_by_head), inputs.rope.queries, inputs.offset);
    seen = keys_and_values(parts[1], parts[2], inputs);
  }
  AttentionOptions options;
  options.causal = causal;
  if (window > 0) options.window_left = window - 1;
  if (window > 0 && !causal) options.window_right = window - 1;
  if (!causal && inputs.mask.defined()) options.mask = reshape(inputs.mask, {x.dim(0), 1, 1, x.dim(1)});
  if (softcap != 0) options.softcap = softcap;
  options.sinks = sinks;
  if (inputs.length.defined()) options.length = inputs.length;
  const LazyTensor mixed = scaled_dot_product_attention(queries, seen[0], seen[1], scale, options);
  const LazyTensor found = reshape(transpose(mixed, 1, 2), {x.dim(0), x.dim(1), heads * value_size});
  return apply(o, gated ? mul(found, gate) : found, low_rank);
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
