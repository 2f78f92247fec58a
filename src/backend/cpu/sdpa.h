// Defines what the forward and backward kernels of attention share: operands, what a query sees, and vector loops over scores.
#pragma once

#include <algorithm>

#include "backend/cpu/common.h"
#include "backend/cpu/gemm_pieces.h"
#include "backend/cpu/tile.h"

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

/// Operands q, k, v (0, 1, 2) and, from operand `first` on, scale, length and mask.
struct Attention {
  Attention(const KernelRequest& request, size_t first);
  /// Throws ValueError when it is not between 0 and the number of keys.
  int64_t length(const KernelArgs& args) const;
  float scale(const KernelArgs& args) const { return static_cast<float>(factor(args.in[scale_input], scale_dtype)); }
  /// Keys that query t sees are those before this one.
  int64_t limit(int64_t length, int64_t t) const { return limit(length, t, q.tokens); }
  int64_t limit(int64_t length, int64_t t, int64_t queries) const {
    return causal ? std::clamp<int64_t>(length - queries + t + 1, 0, length) : length;
  }
  int64_t group() const { return q.heads / k.heads; }
  /// Whether some query may not see some key. What it does not see must not reach its result, but a product with weight 0 makes NaN of NaN
  /// and infinity: where NaN comes out, the reference's loop decides.
  bool hides(int64_t length) const { return causal || length < k.tokens || mask.hides(); }

  Op op;
  HeadsView q, k, v;
  int64_t batches;
  bool causal;
  size_t scale_input;
  DType scale_dtype, length_dtype;
  MaskView mask;
  GemmKernels kernels;  ///< of q, k and v
  GemmKernels f32_kernels;
};

/// One query's scores for a block of keys: chunks of 16 that lie `step` floats apart.
struct ScoreRow {
  float* scores;
  int64_t step;
  int64_t keys;        ///< of the block
  int64_t visible;     ///< of them; the others get weight 0
  const float* added;  ///< mask values of the block, or null
  bool hides;          ///< -inf among them hides a key, whatever its score; else it is added as any number, and NaN stays NaN
  float scale;
  float* top;  ///< largest score so far
  float* sum;  ///< of exp(score - top) so far
};
/// Turns scores into weights exp(score * scale + added - top), updates top and sum; returns what earlier sums must be multiplied by.
using ScoreUpdate = float (*)(const ScoreRow& row);
ScoreUpdate score_update();

/// Scores of `keys` keys (rows of 16 queries each) for `queries` queries (a multiple of 16): chunk c of key i is at (c * keys + i) * 16.
struct GradientPanel {
  float* scores;  ///< in: q k; out: p = exp(scores * scale + added - lse)
  float* slopes;  ///< in: g v; out: p * (slopes - delta) * scale
  int64_t keys, queries;
  int64_t first_key;
  const float* lse;
  const float* delta;
  const float* limit;  ///< a query sees the keys before this number
  const float* added;  ///< laid out as scores, or null
  bool hides;          ///< as ScoreRow::hides
  float scale;
};
using GradientFn = void (*)(const GradientPanel& panel);
GradientFn attention_gradient();

}  // namespace lazuli::cpu
