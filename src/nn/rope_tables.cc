// Implements the tables of rotary position embeddings.
#include "nn/rope_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "lazuli/error.h"

namespace lazuli {

namespace {

/// The stretching of Llama 3.1: long waves by the whole factor, short ones not at all, those between by a part.
float stretch_llama3(float frequency, const RopeScaling& s) {
  const auto factor = static_cast<float>(s.factor);
  const auto old_length = static_cast<double>(s.original_max_position_embeddings);
  const auto low_wave = static_cast<float>(old_length / s.low_freq_factor);
  const auto high_wave = static_cast<float>(old_length / s.high_freq_factor);
  const float wave = static_cast<float>(2 * std::numbers::pi) / frequency;
  if (wave > low_wave) return frequency / factor;
  if (wave < high_wave) return frequency;
  const float smooth = (static_cast<float>(old_length) / wave - static_cast<float>(s.low_freq_factor)) /
                       static_cast<float>(s.high_freq_factor - s.low_freq_factor);
  return (1 - smooth) * frequency / factor + smooth * frequency;
}

/// The pair whose wave turns so many times in the original context, as a real number.
double pair_of_turns(double turns, int64_t head_size, double theta, const RopeScaling& s) {
  const double positions = static_cast<double>(s.original_max_position_embeddings) / (turns * 2 * std::numbers::pi);
  return static_cast<double>(head_size) * std::log(positions) / (2 * std::log(theta));
}

/// The stretching of YaRN (Peng et al. 2023): pairs of slow waves by the whole factor, of fast ones not at all, between them by a part.
void stretch_yarn(std::vector<float>& frequencies, int64_t head_size, double theta, const RopeScaling& s) {
  double low = pair_of_turns(s.beta_fast, head_size, theta, s), high = pair_of_turns(s.beta_slow, head_size, theta, s);
  if (s.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(head_size - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const float ramp = (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float kept = 1 - std::clamp(ramp, 0.0F, 1.0F);
    const float stretched = 1.0F / (static_cast<float>(s.factor) * (1.0F / frequencies[i]));
    frequencies[i] = stretched * (1 - kept) + frequencies[i] * kept;
  }
}

/// Each pair by its own factor (Ding et al. 2024).
void stretch_longrope(std::vector<float>& frequencies, const std::vector<double>& factors) {
  if (factors.size() != frequencies.size()) {
    throw ValueError(fmt::format("[rope] {} factors are expected, got {}", frequencies.size(), factors.size()));
  }
  for (size_t i = 0; i < frequencies.size(); ++i) frequencies[i] = 1.0F / (static_cast<float>(factors[i]) * (1.0F / frequencies[i]));
}

}  // namespace

std::vector<float> rope_frequencies(int64_t head_size, double theta, const RopeScaling& scaling, bool beyond) {
  if (head_size < 2 || head_size % 2 != 0) throw ValueError(fmt::format("[rope] an even head size is expected, got {}", head_size));
  std::vector<float> out(static_cast<size_t>(head_size / 2));
  for (size_t i = 0; i < out.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_size);
    // Rounded once from double: what the f32 power of PyTorch gives in nearly all cases.
    const auto power = static_cast<float>(std::pow(static_cast<double>(static_cast<float>(theta)), static_cast<double>(exponent)));
    out[i] = 1.0F / power;
    if (scaling.kind == RopeScaling::Kind::linear) out[i] /= static_cast<float>(scaling.factor);
    if (scaling.kind == RopeScaling::Kind::llama3) out[i] = stretch_llama3(out[i], scaling);
  }
  if (scaling.kind == RopeScaling::Kind::proportional) {
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = i < static_cast<size_t>(scaling.turned_pairs) ? out[i] / static_cast<float>(scaling.factor) : 0;
    }
  }
  if (scaling.kind == RopeScaling::Kind::yarn) stretch_yarn(out, head_size, theta, scaling);
  if (scaling.kind == RopeScaling::Kind::longrope) stretch_longrope(out, beyond ? scaling.long_factors : scaling.short_factors);
  return out;
}

RopeTables::RopeTables(const RopeSpec& spec) : spec_(spec) {
  within_.frequencies = rope_frequencies(spec.size, spec.theta, spec.scaling);
  if (spec.scaling.kind != RopeScaling::Kind::longrope) return;
  beyond_.frequencies = rope_frequencies(spec.size, spec.theta, spec.scaling, true);
  original_ = spec.scaling.original_max_position_embeddings;
}

float RopeTables::growth(int64_t position) const {
  const auto periods = static_cast<float>(position / spec_.scaling.original_max_position_embeddings);
  return 1 + static_cast<float>(spec_.query_growth) * std::log(1 + periods);
}

RopeTables::Pair RopeTables::tables(const std::vector<float>& frequencies, int64_t count, bool of_queries) const {
  const Shape shape{count, static_cast<int64_t>(frequencies.size())};
  Tensor cos = Tensor::empty(DType::f32, shape), sin = Tensor::empty(DType::f32, shape);
  const auto attention_factor = static_cast<float>(spec_.scaling.attention_factor);
  size_t k = 0;
  auto c = cos.mutable_data<float>(), s = sin.mutable_data<float>();
  for (int64_t position = 0; position < count; ++position) {
    const float factor = of_queries ? attention_factor * growth(position) : attention_factor;
    for (float frequency : frequencies) {
      const float angle = static_cast<float>(position) * frequency;
      c[k] = static_cast<float>(std::cos(static_cast<double>(angle))) * factor;
      s[k++] = static_cast<float>(std::sin(static_cast<double>(angle))) * factor;
    }
  }
  return {LazyTensor::from_tensor(std::move(cos)), LazyTensor::from_tensor(std::move(sin))};
}

RopeTables::Rows RopeTables::rows(int64_t positions) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  Tables& kept = original_ > 0 && positions > original_ ? beyond_ : within_;
  if (kept.rows.keys.cos.defined() && kept.rows.keys.cos.dim(0) >= positions) return kept.rows;
  const auto count = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(positions, 256))));
  kept.rows.keys = tables(kept.frequencies, count, false);
  kept.rows.queries = spec_.query_growth == 0 ? kept.rows.keys : tables(kept.frequencies, count, true);
  return kept.rows;
}

}  // namespace lazuli
