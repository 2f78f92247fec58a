// Implements MixedModel.
#include "support/mixed_model.h"

#include <array>
#include <random>

#include "lazuli/ops.h"

namespace lazuli::test {

namespace {

constexpr int64_t kVocabulary = 64, kHidden = 16, kHeads = 2, kSize = 8, kWindow = 5, kTaps = 4;
constexpr size_t kWhole = 0, kWindowed = 1, kShared = 2, kRecurrent = 3;

LazyTensor normed(const LazyTensor& x) { return rms_norm(x, LazyTensor::ones({x.dim(-1)}), 1e-5); }

LazyTensor integer(int64_t value) { return LazyTensor::scalar_int(value); }

/// (batch, heads, tokens, size) -> (batch, tokens, hidden).
LazyTensor joined(const LazyTensor& x) { return reshape(transpose(x, 1, 2), {x.dim(0), x.dim(2), kHidden}); }

/// Whether token `t` of each row is no padding, as f32 that broadcasts to (batch, heads, size, size).
LazyTensor is_real(const LazyTensor& count, int64_t t, int64_t batch) {
  const LazyTensor real = cast(greater(count, integer(t)), DType::f32);
  return expand(reshape(real, {real.rank() == 0 ? 1 : batch, 1, 1, 1}), {batch, 1, 1, 1});
}

}  // namespace

MixedModel::MixedModel(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  const auto add_weight = [&](const std::string& name, const Shape& shape, float size) {
    Tensor t = Tensor::empty(DType::f32, shape);
    for (float& v : t.mutable_data<float>()) v = size * normal(random);
    weights_[name] = t.to(default_device());
  };
  add_weight("table", {kVocabulary, kHidden}, 1);
  add_weight("head", {kHidden, kVocabulary}, 0.5F);
  for (const char* layer : {"0", "1", "2", "3"}) {
    for (const char* part : {"q", "k", "v", "o"}) add_weight(std::string(part) + layer, {kHidden, kHidden}, 0.3F);
  }
  add_weight("taps", {kTaps, kHidden}, 0.5F);
  add_weight("beta", {kHidden, kHeads}, 0.5F);
  add_weight("decay", {kHidden, kHeads}, 0.5F);
  info_.architecture = "mixed";
  info_.vocab_size = kVocabulary;
  info_.context = 4096;
  info_.hidden_size = kHidden;
  info_.layers = 4;
  info_.kv_heads = kHeads;
  info_.head_size = kSize;
}

std::vector<LayerState> MixedModel::states() const {
  LayerState shared, recurrent;
  shared.kind = StateKind::shared;
  recurrent.kind = StateKind::recurrent;
  recurrent.tensors = {{DType::f32, {kTaps - 1, kHidden}}, {DType::f32, {kHeads, kSize, kSize}}};
  return {{StateKind::attention, kHeads, kSize, kSize, 0}, {StateKind::attention, kHeads, kSize, kSize, kWindow}, shared, recurrent};
}

LazyTensor MixedModel::heads(const LazyTensor& x, const std::string& name) const {
  return transpose(reshape(matmul(x, weight(name)), {x.dim(0), x.dim(1), kHeads, kSize}), 1, 2);
}

MixedModel::KeysAndValues MixedModel::keys_and_values(const LazyTensor& x, const std::string& name, ForwardContext& context,
                                                      size_t layer) const {
  const LazyTensor k = heads(x, "k" + name), v = heads(x, "v" + name);
  if (context.state == nullptr) return {k, v, {}};
  DecodingState::Layer& kept = context.state->layers.at(layer);
  const LazyTensor place = kept.start.defined() ? context.offset - kept.start : context.offset;
  const std::array<int64_t, 4> front{0, 0, 0, 0};
  kept.tensors.at(0) = slice_update(std::move(kept.tensors.at(0)), k, front, {}, place, 2);
  kept.tensors.at(1) = slice_update(std::move(kept.tensors.at(1)), v, front, {}, place, 2);
  return {kept.tensors[0], kept.tensors[1], place + integer(x.dim(1))};
}

LazyTensor MixedModel::attend(const LazyTensor& x, const std::string& name, const KeysAndValues& kept, int64_t window) const {
  AttentionOptions options;
  options.causal = true;
  options.length = kept.length;
  if (window > 0) options.window_left = window - 1;
  return matmul(joined(scaled_dot_product_attention(heads(x, "q" + name), kept.keys, kept.values, 0.35, options)), weight("o" + name));
}

LazyTensor MixedModel::convolved(const LazyTensor& x, DecodingState::Layer& kept, const LazyTensor& count) const {
  const int64_t batch = x.dim(0), tokens = x.dim(1), before = kTaps - 1;
  const LazyTensor whole = concat({kept.tensors.at(0), x}, 1);
  LazyTensor sum = LazyTensor::zeros({batch, tokens, kHidden});
  for (int64_t k = 0; k < kTaps; ++k) sum = sum + slice(whole, 1, k, k + tokens) * slice(weight("taps"), 0, k, k + 1);
  if (count.rank() == 0) {
    kept.tensors[0] = slice_at(whole, count, before, 1);
  } else {  // a step: each row goes on by one token or not at all
    kept.tensors[0] = where(greater(reshape(count, {batch, 1, 1}), integer(0)), slice(whole, 1, 1, kTaps), slice(whole, 1, 0, before));
  }
  return silu(sum);
}

LazyTensor MixedModel::delta_rule(const LazyTensor& x, DecodingState::Layer& kept, const LazyTensor& count) const {
  const int64_t batch = x.dim(0), tokens = x.dim(1);
  const LazyTensor q = normed(heads(x, "q3")), k = normed(heads(x, "k3")) / 3.0, v = heads(x, "v3");
  const auto by_head = [&](const char* name) {
    return reshape(transpose(sigmoid(matmul(x, weight(name))), 1, 2), {batch, kHeads, tokens, 1});
  };
  const LazyTensor beta = by_head("beta"), decay = by_head("decay");
  LazyTensor s = kept.tensors.at(1);
  std::vector<LazyTensor> out;
  for (int64_t t = 0; t < tokens; ++t) {
    const auto at = [t](const LazyTensor& all) { return slice(all, 2, t, t + 1); };
    const LazyTensor real = is_real(count, t, batch), key = at(k);
    const LazyTensor faded = s * (real * at(decay) + (1.0 - real));
    const LazyTensor error = (at(v) - matmul(key, faded)) * at(beta) * real;
    s = faded + matmul(key, error, true);
    out.push_back(matmul(at(q), s));
  }
  kept.tensors[1] = s;
  return joined(concat(out, 2));
}

LazyTensor MixedModel::hidden(ForwardContext& context) const {
  LazyTensor x = embedding(weight("table"), context.ids);
  const KeysAndValues first = keys_and_values(normed(x), "0", context, kWhole);
  x = x + attend(normed(x), "0", first, 0);
  x = x + attend(normed(x), "1", keys_and_values(normed(x), "1", context, kWindowed), kWindow);
  x = x + attend(normed(x), std::to_string(kShared), first, 0);
  DecodingState::Layer fresh{{LazyTensor::zeros({x.dim(0), kTaps - 1, kHidden}), LazyTensor::zeros({x.dim(0), kHeads, kSize, kSize})}};
  DecodingState::Layer& kept = context.state == nullptr ? fresh : context.state->layers.at(kRecurrent);
  const LazyTensor count = context.state != nullptr && context.state->count.defined() ? context.state->count : integer(x.dim(1));
  x = x + matmul(delta_rule(convolved(normed(x), kept, count), kept, count), weight("o3"));
  return normed(x);
}

LazyTensor MixedModel::logits(const LazyTensor& hidden) const { return matmul(hidden, weight("head")); }

}  // namespace lazuli::test
