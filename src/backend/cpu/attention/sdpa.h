// Defines what the forward and backward kernels of attention share: operands, what a query sees, and vector loops over scores.
#pragma once

#include <algorithm>
#include <optional>

#include "backend/cpu/common/common.h"
#include "backend/cpu/gemm/gemm_pieces.h"
#include "backend/cpu/tiles/tile.h"
#include "graph/attention_operands.h"

namespace lazuli::cpu {

/// An operand (batch, heads, tokens, size) whose last dim is contiguous; strides in elements.
struct HeadsView {
  HeadsView() = default;
  explicit HeadsView(const OperandSpec& x)
      : dtype(x.dtype),
        batch(x.strides[0]),
        head(x.strides[1]),
        token(x.strides[2]),
        heads(x.shape[1]),
        tokens(x.shape[2]),
        size(x.shape[3]) {}
  const void* at(const void* data, int64_t b, int64_t h, int64_t t) const {
    return element_at(data, b * batch + h * head + t * token, size_of(dtype));
  }
  DType dtype = DType::f32;
  int64_t batch = 0, head = 0, token = 0;
  int64_t heads = 0, tokens = 0, size = 0;
};
/// Whether the last dim of an operand can be read as HeadsView reads it.
inline bool has_contiguous_rows(const OperandSpec& x) { return x.shape[3] <= 1 || x.strides[3] == 1; }

/// What is added to scores (batch, heads, queries, keys).
struct MaskView {
  MaskView() = default;
  MaskView(const OperandSpec& mask, const Shape& space) : used(true), dtype(mask.dtype), strides(broadcast_strides(mask, space)) {}
  /// Values for keys [first, first + n): 0 or -inf of a boolean mask.
  void read(const void* data, int64_t b, int64_t h, int64_t t, int64_t first, int64_t n, float* out) const;

  /// A boolean mask hides keys; numbers are added to scores.
  bool hides() const { return used && dtype == DType::boolean; }

  bool used = false;
  DType dtype = DType::f32;
  Strides strides;
};

inline bool has_nan(const float* values, int64_t n) {
  bool found = false;
  for (int64_t i = 0; i < n; ++i) found |= values[i] != values[i];
  return found;
}

/// Which keys the queries of one batch entry may see beside what a mask says.
struct Visible {
  int64_t length, queries;
  int64_t left, right;                  ///< windows about a query's position, as in AttentionOperands
  const int32_t* first_keys = nullptr;  ///< of each query; null: none are given

  /// Query t sees keys [begin(t), end(t)), which may be none.
  int64_t end(int64_t t) const {
    return right < AttentionOperands::kAll ? std::clamp<int64_t>(length - queries + t + right + 1, 0, length) : length;
  }
  int64_t begin(int64_t t) const {
    const int64_t own = left < AttentionOperands::kAll ? std::max<int64_t>(length - queries + t - left, 0) : 0;
    return first_keys == nullptr ? own : std::max<int64_t>(own, first_keys[t]);
  }
  /// Of the queries [t, t + count): no key before is seen by one of them.
  int64_t begin(int64_t t, int64_t count) const {
    int64_t least = begin(t);
    for (int64_t i = 1; first_keys != nullptr && i < count; ++i) least = std::min(least, begin(t + i));
    return least;
  }
};

/// Operands q, k, v (0, 1, 2) and those that AttentionOperands names.
struct Attention {
  explicit Attention(const KernelRequest& request);
  /// Throws ValueError when the length is not between 0 and the number of keys.
  Visible visible(const KernelArgs& args, int64_t batch) const;
  float scale(const KernelArgs& args) const { return static_cast<float>(factor(args.in[told.scale], scale_dtype)); }
  /// 0: there is none.
  float cap(const KernelArgs& args) const { return cap_at ? static_cast<float>(factor(args.in[*cap_at], cap_dtype)) : 0.0f; }
  const void* mask_data(const KernelArgs& args) const { return args.in[*told.find(AttentionPart::mask)]; }
  int64_t group() const { return q.heads / k.heads; }
  /// Whether some query may not see some key. What it does not see must not reach its result, but a product with weight 0 makes NaN of NaN
  /// and infinity: where NaN comes out, the reference's loop decides.
  bool hides(int64_t length) const {
    return told.left < AttentionOperands::kAll || told.right < AttentionOperands::kAll || first_key_at || length < keys || mask.hides();
  }
  /// Where key or value `position` of a batch entry and head lies, of operand 1 or 2. Throws ValueError for a block outside the pool.
  const void* key_at(const KernelArgs& args, size_t operand, int64_t batch, int64_t kv_head, int64_t position) const {
    const HeadsView& x = operand == 1 ? k : v;
    if (!blocks_at) return x.at(args.in[operand], batch, kv_head, position);
    return x.at(args.in[operand], block(args, batch, position / k.tokens), kv_head, position % k.tokens);
  }
  /// How many of the `count` keys from `first` on are certain to lie one after the other.
  int64_t run_of(int64_t first, int64_t count) const { return blocks_at ? std::min(count, k.tokens - first % k.tokens) : count; }
  /// Pairs of queries and keys of all heads that see each other, roughly.
  double pairs() const;

  Op op;
  AttentionOperands told;
  HeadsView q, k, v;  ///< with pages, tokens of k and v are those of one
  int64_t batches;
  int64_t keys;  ///< of a batch entry
  DType scale_dtype, length_dtype;
  bool length_by_row;
  std::optional<size_t> cap_at, sinks_at, first_key_at, blocks_at;
  DType cap_dtype = DType::f32, sinks_dtype = DType::f32;
  MaskView mask;
  GemmKernels kernels;  ///< of q, k and v
  GemmKernels f32_kernels;

 private:
  int64_t block(const KernelArgs& args, int64_t batch, int64_t page) const;
  int64_t pool_ = 0;  ///< blocks of k and of v
};

/// Bits of the operands behind q, k and v that must be contiguous and are not.
uint32_t strided_attention_operands(const KernelRequest& request);

/// One query's scores for a block of keys: chunks of 16 that lie `step` floats apart.
struct ScoreRow {
  float* scores;
  int64_t step;
  int64_t keys;    ///< of the block
  int64_t before;  ///< keys [before, visible) of them are seen; the others get weight 0
  int64_t visible;
  const float* added;  ///< mask values of the block, or null
  bool hides;          ///< -inf among them hides a key, whatever its score; else it is added as any number, and NaN stays NaN
  float scale, cap;    ///< a cap of 0 is none
  float* top;          ///< largest score so far
  float* sum;          ///< of exp(score - top) so far
};
/// Turns scores into weights exp(capped(score * scale) + added - top), updates top and sum; returns what earlier sums must be multiplied
/// by.
using ScoreUpdate = float (*)(const ScoreRow& row);
ScoreUpdate score_update();

/// Scores of `keys` keys (rows of 16 queries each) for `queries` queries (a multiple of 16): chunk c of key i is at (c * keys + i) * 16.
struct GradientPanel {
  float* scores;  ///< in: q k; out: p = exp(capped(scores * scale) + added - lse)
  float* slopes;  ///< in: g v; out: p * (slopes - delta) * scale, times the slope of the cap
  int64_t keys, queries;
  int64_t first_key;
  const float* lse;
  const float* delta;
  const float* begin;  ///< a query sees the keys from this number ...
  const float* end;    ///< ... to before this one
  const float* added;  ///< laid out as scores, or null
  bool hides;          ///< as ScoreRow::hides
  float scale, cap;    ///< a cap of 0 is none
};
using GradientFn = void (*)(const GradientPanel& panel);
GradientFn attention_gradient();

}  // namespace lazuli::cpu
