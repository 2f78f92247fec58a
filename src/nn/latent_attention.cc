// Implements the projections of attention with latent vectors.
#include "nn/latent_attention.h"

namespace lazuli {

LazyTensor LatentProjections::turned(const LazyTensor& x, const RopeTables::Pair& tables, const LazyTensor& offset) const {
  const LazyTensor pairs = reshape(x, {x.dim(0), x.dim(1), x.dim(2), rope_size / 2, 2});
  return rotated(reshape(transpose(pairs, 3, 4), x.shape()), tables, offset);
}

LatentProjections::Parts LatentProjections::forward(const LazyTensor& x, const AttentionInputs& inputs, const LowRankOf& low_rank) const {
  const int64_t batch = x.dim(0), tokens = x.dim(1), key_size = plain_size + rope_size;
  const LazyTensor made = apply(q, two_steps ? q_norm.forward(apply(q_down, x, low_rank)) : x, low_rank);
  const LazyTensor queries = transpose(reshape(made, {batch, tokens, heads, key_size}), 1, 2);
  const LazyTensor latent = apply(kv_down, x, low_rank);
  const LazyTensor of_keys = reshape(slice(latent, 2, rank, rank + rope_size), {batch, 1, tokens, rope_size});
  const LazyTensor both = apply(kv_up, kv_norm.forward(slice(latent, 2, 0, rank)), low_rank);
  const LazyTensor by_head = transpose(reshape(both, {batch, tokens, heads, plain_size + value_size}), 1, 2);
  const LazyTensor turned_keys = expand(turned(of_keys, inputs.rope.keys, inputs.offset), {batch, heads, tokens, rope_size});
  Parts parts;
  parts.queries =
      concat({slice(queries, 3, 0, plain_size), turned(slice(queries, 3, plain_size, key_size), inputs.rope.queries, inputs.offset)}, 3);
  parts.keys = concat({slice(by_head, 3, 0, plain_size), turned_keys}, 3);
  parts.values = slice(by_head, 3, plain_size, plain_size + value_size);
  return parts;
}

}  // namespace lazuli
