// Defines the attention block and the gated feed-forward block of decoder models.
#pragma once

#include <functional>

#include "lazuli/nn.h"

namespace lazuli {

/// A linear layer and its index in the model's list, by which an adapter knows it.
struct AdaptedLinear {
  Linear linear;
  size_t index = 0;
};

/// How a block finds the low-rank part of a layer; null for none.
using LowRankOf = std::function<const LowRank*(size_t index)>;

/// What attention needs to know of the positions and of earlier tokens.
struct AttentionInputs {
  LazyTensor cos, sin;         ///< rotary tables
  LazyTensor offset;           ///< rank-0 i32: position of the first token
  LazyTensor length;           ///< rank-0 i32: positions in use after this call; only with a cache
  LazyTensor* keys = nullptr;  ///< (batch, kv_heads, capacity, size): donated and replaced; null without a cache
  LazyTensor* values = nullptr;
};

/// Causal attention with grouped heads (Ainslie et al. 2023) and rotary positions.
struct Attention {
  AdaptedLinear q, k, v, o;
  int64_t heads = 0, kv_heads = 0, head_size = 0;
  /// x (batch, tokens, hidden) -> the same shape.
  LazyTensor forward(const LazyTensor& x, const AttentionInputs& inputs, const LowRankOf& low_rank) const;
};

/// down(act(gate(x)) * up(x)) (Shazeer 2020).
struct GatedMLP {
  AdaptedLinear gate, up, down;
  LazyTensor (*activation)(const LazyTensor&, Where) = nullptr;
  LazyTensor forward(const LazyTensor& x, const LowRankOf& low_rank) const;
};

}  // namespace lazuli
