// Defines the attention block and the feed-forward blocks of decoder models.
#pragma once

#include <array>
#include <functional>
#include <memory>

#include "lazuli/nn.h"
#include "nn/norm.h"
#include "nn/rope_tables.h"

namespace lazuli {

/// A linear layer and its index in the model's list, by which an adapter knows it.
struct AdaptedLinear {
  Linear linear;
  size_t index = 0;
};

/// How a block finds the low-rank part of a layer; null for none.
using LowRankOf = std::function<const LowRank*(size_t index)>;

/// x through the layer with its low-rank part.
LazyTensor apply(const AdaptedLinear& layer, const LazyTensor& x, const LowRankOf& low_rank);

/// What attention needs to know of the positions and of earlier tokens.
struct AttentionInputs {
  RopeTables::Rows rope;  ///< tables of the layer; not defined: it turns nothing
  LazyTensor mask;        ///< (batch, tokens) bool: keys that are seen to both sides; not defined: all
  LazyTensor offset;      ///< i32, rank 0 or (batch): position of the first token
  LazyTensor place;       ///< i32 like the offset: where the first token's key goes in the cache; only with one
  LazyTensor length;      ///< i32 like the offset: keys in use after this call; only with a cache
  ///@{
  /// With a cache (length is defined) it, (batch, kv_heads, capacity, size): donated and replaced. Without one, null or where keys and
  /// values (batch, kv_heads, tokens, size) are put for later layers. `shared`: those of an earlier layer, which this one only reads.
  LazyTensor* keys = nullptr;
  LazyTensor* values = nullptr;
  bool shared = false;
  ///@}
};

struct LatentProjections;

/// Attention with grouped heads (Ainslie et al. 2023), causal unless it is told otherwise.
struct Attention {
  AdaptedLinear q, k, v, o;
  bool fused = false;                               ///< q makes queries, keys and values one after another, and k and v are empty
  std::shared_ptr<const LatentProjections> latent;  ///< makes queries, keys and values; q, k, v and norms are empty then
  bool gated = false;  ///< q makes for each head its queries and then a gate, whose sigmoid multiplies what the head finds
  int64_t heads = 0, kv_heads = 0, head_size = 0, value_size = 0;
  Norm q_norm, k_norm;           ///< of queries and keys before their positions turn them
  Norm v_norm;                   ///< of values, by head
  bool values_are_keys = false;  ///< keys before their norm are the values too, and v is empty
  bool norms_by_head = true;     ///< else of all heads of a token as one row
  double scale = 0;              ///< of scores
  double softcap = 0;            ///< of scores; 0: none
  int64_t window = 0;            ///< positions up to its own that a query sees; 0: all
  bool causal = true;            ///< else it sees the other side, too, as far as the window goes to its own
  LazyTensor sinks;              ///< (heads) f32: scores without a value; not defined: none
  /// x (batch, tokens, hidden) -> the same shape.
  LazyTensor forward(const LazyTensor& x, const AttentionInputs& inputs, const LowRankOf& low_rank) const;

 private:
  /// Queries, keys and values, (batch, tokens, heads * size); queries alone where the others are shared. With gates the first are
  /// twice as wide.
  std::array<LazyTensor, 3> project(const LazyTensor& x, bool shared, const LowRankOf& low_rank) const;
  /// Leaves the queries of what q made of both, and gives what multiplies the heads' findings, (batch, tokens, heads * size).
  LazyTensor take_gate(LazyTensor& queries) const;
  /// Normed, (batch, heads, tokens, size).
  LazyTensor split(const LazyTensor& x, const Norm& norm, int64_t count, bool by_head) const;
  /// Keys and values that queries see, (batch, kv_heads, keys, size) each.
  std::array<LazyTensor, 2> keys_and_values(const LazyTensor& of_keys, const LazyTensor& of_values, const AttentionInputs& inputs) const;
  /// All keys and values so far, where there is a cache or a later layer that reads them.
  static std::array<LazyTensor, 2> kept(std::array<LazyTensor, 2> made, const AttentionInputs& inputs);
};

/// x (batch, heads, tokens, size) turned by its positions; x itself without tables.
LazyTensor rotated(const LazyTensor& x, const RopeTables::Pair& tables, const LazyTensor& offset);

/// What a layer does with each token alone.
class FeedForward {
 public:
  virtual ~FeedForward() = default;
  /// x (batch, tokens, hidden) -> the same shape.
  virtual LazyTensor forward(const LazyTensor& x, const LowRankOf& low_rank) const = 0;
};

/// down(act(gate(x)) * up(x)) (Shazeer 2020).
struct GatedMLP : FeedForward {
  AdaptedLinear gate, up, down;
  bool fused = false;  ///< gate makes both, that of the gate first, and up is empty
  LazyTensor (*activation)(const LazyTensor&, Where) = nullptr;
  LazyTensor forward(const LazyTensor& x, const LowRankOf& low_rank) const override;
};

/// down(act(up(x))).
struct PlainMLP : FeedForward {
  AdaptedLinear up, down;
  LazyTensor (*activation)(const LazyTensor&, Where) = nullptr;
  LazyTensor forward(const LazyTensor& x, const LowRankOf& low_rank) const override;
};

}  // namespace lazuli
