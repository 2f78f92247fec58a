// Defines the projections of attention whose keys and values are made of a small latent vector.
#pragma once

#include "nn/attention.h"

namespace lazuli {

/// Multi-head latent attention (DeepSeek-AI 2024). The first `plain_size` numbers of a query and of a key come from products with latent
/// vectors and do not turn; the `rope_size` after them turn with the position, those of keys being the same for all heads.
struct LatentProjections {
  AdaptedLinear q_down, q;  ///< state to latent vector, and to queries: of it where `two_steps`, else of the state
  RMSNorm q_norm;           ///< of the latent vector
  bool two_steps = false;
  AdaptedLinear kv_down, kv_up;  ///< state to latent vector and the part of keys that turns; the first to the rest of keys, and values
  RMSNorm kv_norm;
  int64_t heads = 0, rank = 0, plain_size = 0, rope_size = 0, value_size = 0;
  struct Parts {
    LazyTensor queries, keys, values;  ///< (batch, heads, tokens, plain_size + rope_size), the same, and (batch, heads, tokens, value_size)
  };
  /// x (batch, tokens, hidden).
  Parts forward(const LazyTensor& x, const AttentionInputs& inputs, const LowRankOf& low_rank) const;

 private:
  /// x (batch, heads, tokens, rope_size), whose pairs are neighbours, turned; pairs lie half a part from each other in the result, which
  /// changes no score, since queries and keys do alike.
  LazyTensor turned(const LazyTensor& x, const RopeTables::Pair& tables, const LazyTensor& offset) const;
};

}  // namespace lazuli
