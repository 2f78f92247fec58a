// Implements positions that are counted from after the padding id.
#include "models/token_positions.h"

#include "lazuli/ops.h"

namespace lazuli {

namespace {

/// 1 where an id is not the padding, else 0.
LazyTensor used_tokens(const LazyTensor& ids, int64_t padding) { return cast(not_equal(ids, LazyTensor::scalar_int(padding)), DType::f32); }

/// Causal attention with equal scores gives the mean up to each place, and the mean times the number of places is a sum: whole numbers of
/// at most six digits, so the nearest one is exact, and no table of tokens by tokens is made.
LazyTensor row_of(const LazyTensor& mean, const LazyTensor& places, const LazyTensor& used, int64_t padding) {
  const LazyTensor sum = mul(mean, add_scalar(cast(places, DType::f32), 1));
  return cast(add_scalar(mul(add_scalar(sum, 0.5), used), static_cast<double>(padding)), DType::i32);
}

}  // namespace

LazyTensor positions_after_padding(const LazyTensor& ids, int64_t padding) {
  const int64_t batch = ids.dim(0), tokens = ids.dim(1);
  const LazyTensor used = used_tokens(ids, padding), v = reshape(used, {batch, 1, tokens, 1}),
                   zeros = LazyTensor::zeros({batch, 1, tokens, 1});
  AttentionOptions options;
  options.causal = true;
  const LazyTensor mean = scaled_dot_product_attention(zeros, zeros, v, 1.0, options);
  return row_of(reshape(mean, {batch, tokens}), reshape(arange(0, tokens), {1, tokens}), used, padding);
}

LazyTensor packed_positions_after_padding(const LazyTensor& ids, const LazyTensor& places, const LazyTensor& starts, int64_t padding) {
  const int64_t tokens = ids.dim(0);
  const LazyTensor used = used_tokens(ids, padding), zeros = LazyTensor::zeros({tokens, 1, 1});
  const LazyTensor mean = scaled_dot_product_attention_packed(zeros, zeros, reshape(used, {tokens, 1, 1}), 1.0, starts, true);
  return row_of(reshape(mean, {tokens}), places, used, padding);
}

}  // namespace lazuli
