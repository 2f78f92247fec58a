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

}  // namespace

std::vector<float> rope_frequencies(int64_t head_size, double theta, const RopeScaling& scaling) {
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
  return out;
}

RopeTables::Pair RopeTables::rows(int64_t positions) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (tables_.cos.defined() && tables_.cos.dim(0) >= positions) return tables_;
  const auto count = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(positions, 256))));
  const Shape shape{count, static_cast<int64_t>(frequencies_.size())};
  Tensor cos = Tensor::empty(DType::f32, shape), sin = Tensor::empty(DType::f32, shape);
  size_t k = 0;
  auto c = cos.mutable_data<float>(), s = sin.mutable_data<float>();
  for (int64_t position = 0; position < count; ++position) {
    for (float frequency : frequencies_) {
      const float angle = static_cast<float>(position) * frequency;
      c[k] = static_cast<float>(std::cos(static_cast<double>(angle)));
      s[k++] = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
  }
  tables_ = {LazyTensor::from_tensor(std::move(cos)), LazyTensor::from_tensor(std::move(sin))};
  return tables_;
}

}  // namespace lazuli
