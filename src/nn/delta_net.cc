// Implements GatedDeltaNet.
#include "nn/delta_net.h"

#include <cmath>

#include "nn/delta_rule.h"

namespace lazuli {

namespace {

/// The rule adds up over the whole text, so it never runs in 16 bits.
DType rule_dtype(DType model) { return model == DType::f64 ? DType::f64 : DType::f32; }

/// log(1 + e^x), where neither side of 0 overflows.
LazyTensor softplus(const LazyTensor& x) {
  return add(maximum(x, LazyTensor::zeros({}, x.dtype())), log(add_scalar(exp(neg(abs(x))), 1.0)));
}

/// x / sqrt(sum(x^2) + 1e-6) * factor over the last axis.
LazyTensor unit_length(const LazyTensor& x, double factor) {
  const auto size = static_cast<double>(x.dim(-1));
  return rms_norm(x, LazyTensor::full({x.dim(-1)}, factor / std::sqrt(size), x.dtype()), 1e-6 / size);
}

/// (batch, tokens, heads * size) -> (batch, heads, tokens, size).
LazyTensor heads_of(const LazyTensor& x, int64_t heads) {
  return transpose(reshape(x, {x.dim(0), x.dim(1), heads, x.dim(2) / heads}), 1, 2);
}

/// The last `kept` rows of axis 1 before the padding, after `count` of the tokens that follow the first `kept`.
LazyTensor rows_before_padding(const LazyTensor& whole, int64_t kept, const LazyTensor& count) {
  const int64_t batch = whole.dim(0), tokens = whole.dim(1) - kept;
  if (!count.defined()) return slice(whole, 1, tokens, tokens + kept);
  if (count.rank() == 0) return slice_at(whole, count, kept, 1);
  if (tokens == 1) {
    const LazyTensor goes_on = greater(reshape(count, {batch, 1, 1}), LazyTensor::scalar_int(0));
    return where(goes_on, slice(whole, 1, 1, 1 + kept), slice(whole, 1, 0, kept));
  }
  const LazyTensor places = add(reshape(count, {batch, 1, 1}), reshape(arange(0, kept), {1, kept, 1}));
  return take_along(whole, expand(places, {batch, kept, whole.dim(2)}), 1);
}

/// 1 for the tokens before the padding and 0 for others, so that it multiplies (batch, tokens, heads).
LazyTensor real_tokens(const LazyTensor& count, int64_t batch, int64_t tokens, DType dtype) {
  const LazyTensor counts = count.rank() == 0 ? count : reshape(count, {batch, 1, 1});
  return cast(less(reshape(arange(0, tokens), {1, tokens, 1}), counts), dtype);
}

}  // namespace

GatedDeltaNet::Projections GatedDeltaNet::project(const LazyTensor& x, const LowRankOf& low_rank) const {
  if (by_head) return project_by_head(x, low_rank);
  return {apply(qkv, x, low_rank), apply(z, x, low_rank), apply(b, x, low_rank), apply(a, x, low_rank)};
}

GatedDeltaNet::Projections GatedDeltaNet::project_by_head(const LazyTensor& x, const LowRankOf& low_rank) const {
  const int64_t batch = x.dim(0), tokens = x.dim(1), each = value_heads / key_heads, values = each * value_size;
  const auto cut = [&](const LazyTensor& all, int64_t from, int64_t size) {
    return reshape(slice(all, 3, from, from + size), {batch, tokens, key_heads * size});
  };
  const LazyTensor wide = reshape(apply(qkv, x, low_rank), {batch, tokens, key_heads, 2 * (key_size + values)});
  const LazyTensor narrow = reshape(apply(b, x, low_rank), {batch, tokens, key_heads, 2 * each});
  const LazyTensor mixed = concat({cut(wide, 0, key_size), cut(wide, key_size, key_size), cut(wide, 2 * key_size, values)}, 2);
  return {mixed, cut(wide, 2 * key_size + values, values), cut(narrow, 0, each), cut(narrow, each, each)};
}

LazyTensor GatedDeltaNet::convolved(const LazyTensor& mixed, const DeltaNetState& state) const {
  const int64_t tokens = mixed.dim(1), count = taps.dim(0), before = count - 1;
  const std::vector<int64_t> low{0, before, 0}, high{0, 0, 0};
  const LazyTensor whole = state.recent == nullptr ? pad(mixed, low, high) : concat({*state.recent, mixed}, 1);
  if (state.recent != nullptr) *state.recent = rows_before_padding(whole, before, state.count);
  const DType dtype = rule_dtype(mixed.dtype());
  const LazyTensor wide = cast(whole, dtype), factors = cast(taps, dtype);
  LazyTensor sum;
  for (int64_t k = 0; k < count; ++k) {
    const LazyTensor term = mul(slice(wide, 1, k, k + tokens), slice(factors, 0, k, k + 1));
    sum = sum.defined() ? add(sum, term) : term;
  }
  return activation(sum, {});
}

LazyTensor GatedDeltaNet::forward(const LazyTensor& x, const DeltaNetState& state, const LowRankOf& low_rank) const {
  const int64_t batch = x.dim(0), tokens = x.dim(1), keys = key_heads * key_size;
  const Projections p = project(x, low_rank);
  const LazyTensor mixed = convolved(p.mixed, state);
  const DType dtype = mixed.dtype();
  LazyTensor rate = cast(sigmoid(p.b), dtype);
  LazyTensor left = mul(softplus(add(cast(p.a, dtype), cast(bias, dtype))), cast(decay, dtype));
  if (state.memory != nullptr && state.count.defined()) {
    const LazyTensor real = real_tokens(state.count, batch, tokens, dtype);
    rate = mul(rate, real);
    left = mul(left, real);
  }
  DeltaRuleInputs in;
  in.queries = unit_length(heads_of(slice(mixed, 2, 0, keys), key_heads), 1 / std::sqrt(static_cast<double>(key_size)));
  in.keys = unit_length(heads_of(slice(mixed, 2, keys, 2 * keys), key_heads), 1);
  in.values = heads_of(slice(mixed, 2, 2 * keys, channels()), value_heads);
  in.decay = transpose(left, 1, 2);
  in.rate = transpose(rate, 1, 2);
  if (state.memory != nullptr) in.memory = cast(*state.memory, dtype);
  const DeltaRuleResult made = gated_delta_rule(in);
  if (state.memory != nullptr) *state.memory = cast(made.memory, DType::f32);
  const LazyTensor gate = silu(cast(reshape(p.z, {batch, tokens, value_heads, value_size}), dtype));
  const LazyTensor gated = mul(norm.forward(transpose(made.answers, 1, 2)), gate);
  return apply(out, cast(reshape(gated, {batch, tokens, value_heads * value_size}), x.dtype()), low_rank);
}

}  // namespace lazuli
