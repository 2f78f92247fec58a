#include "embed/pooling.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/json.h"
#include "lazuli/error.h"
#include "lazuli/ops.h"

namespace lazuli {

namespace {

// In the order in which the vectors of several flags are joined.
constexpr std::pair<std::string_view, PoolingMode> kModes[] = {{"cls", PoolingMode::cls},
                                                               {"max", PoolingMode::max},
                                                               {"mean", PoolingMode::mean},
                                                               {"mean_sqrt_len_tokens", PoolingMode::mean_sqrt_len_tokens},
                                                               {"weightedmean", PoolingMode::weightedmean},
                                                               {"lasttoken", PoolingMode::lasttoken}};

constexpr std::pair<std::string_view, PoolingMode> kFlags[] = {{"pooling_mode_cls_token", PoolingMode::cls},
                                                               {"pooling_mode_max_tokens", PoolingMode::max},
                                                               {"pooling_mode_mean_tokens", PoolingMode::mean},
                                                               {"pooling_mode_mean_sqrt_len_tokens", PoolingMode::mean_sqrt_len_tokens},
                                                               {"pooling_mode_weightedmean_tokens", PoolingMode::weightedmean},
                                                               {"pooling_mode_lasttoken", PoolingMode::lasttoken}};

constexpr double kSmallest = 1e-9;  // what a sum of weights is at least

PoolingMode mode_named(const JsonValue& value) {
  for (const auto& [name, mode] : kModes) {
    if (value.as_string() == name) return mode;
  }
  value.fail(fmt::format("cls, max, mean, mean_sqrt_len_tokens, weightedmean or lasttoken expected, got '{}'", value.as_string()));
}

std::vector<PoolingMode> read_modes(const JsonValue& root) {
  std::vector<PoolingMode> modes;
  if (const auto named = root.find("pooling_mode"); named && !named->is_null()) {
    if (!named->is_array()) return {mode_named(*named)};
    for (const JsonValue& one : named->as_array()) modes.push_back(mode_named(one));
    if (modes.empty()) named->fail("at least one mode expected");
    return modes;
  }
  for (const JsonMember& member : root.as_object()) {
    const bool known = std::any_of(std::begin(kFlags), std::end(kFlags), [&](const auto& f) { return f.first == member.key; });
    if (!known && member.key.starts_with("pooling_mode_") && member.value.as_bool()) member.value.fail("this kind of pooling is unknown");
  }
  for (const auto& [flag, mode] : kFlags) {
    if (root.bool_or(flag, false)) modes.push_back(mode);
  }
  if (modes.empty()) modes.push_back(PoolingMode::mean);
  return modes;
}

/// Sum over the tokens of states times weights (batch, tokens).
LazyTensor weighted(const LazyTensor& states, const LazyTensor& weights) {
  const LazyTensor row = reshape(weights, {weights.dim(0), 1, weights.dim(1)});
  return reshape(matmul(row, states), {states.dim(0), states.dim(2)});
}

LazyTensor total(const LazyTensor& weights) { return maximum(sum(weights, {1}, true), LazyTensor::scalar(kSmallest)); }

/// The states of the first token where `score` (batch, tokens) is largest.
LazyTensor state_of_largest(const LazyTensor& states, const LazyTensor& score) {
  return weighted(states, one_hot(argmax(score, 1), states.dim(1)));
}

}  // namespace

Pooling Pooling::read(ModelFolder& folder, int64_t states) {
  const auto document = folder.require("config.json");
  const JsonValue root = document->root();
  Pooling pooling;
  pooling.modes = read_modes(root);
  pooling.include_prompt = root.bool_or("include_prompt", true);
  for (const char* key : {"word_embedding_dimension", "embedding_dimension"}) {
    if (const int64_t size = root.int_or(key, states); size != states) {
      root.get(key).fail(fmt::format("{}, the size of the states, expected, got {}", states, size));
    }
  }
  return pooling;
}

bool Pooling::packs() const { return std::find(modes.begin(), modes.end(), PoolingMode::max) == modes.end(); }

LazyTensor Pooling::forward_packed(const LazyTensor& states, const LazyTensor& mask, const LazyTensor& positions) const {
  const LazyTensor x = cast(states, DType::f32), taken = cast(mask, DType::f32);
  const LazyTensor number = reshape(cast(add_scalar(positions, 1), DType::f32), {1, x.dim(0)});
  std::vector<LazyTensor> parts;
  for (PoolingMode mode : modes) {
    switch (mode) {
      case PoolingMode::cls:
        parts.push_back(gather(x, argmax(taken, 1), 0));
        break;
      case PoolingMode::max:
        throw ValueError("[pooling] padded texts are expected for the maximum, got packed ones");
      case PoolingMode::mean:
        parts.push_back(div(matmul(taken, x), total(taken)));
        break;
      case PoolingMode::mean_sqrt_len_tokens:
        parts.push_back(div(matmul(taken, x), sqrt(total(taken))));
        break;
      case PoolingMode::weightedmean: {
        const LazyTensor weights = mul(taken, number);
        parts.push_back(div(matmul(weights, x), total(weights)));
        break;
      }
      case PoolingMode::lasttoken:
        parts.push_back(gather(x, argmax(mul(taken, number), 1), 0));
        break;
    }
  }
  return parts.size() == 1 ? parts[0] : concat(parts, 1);
}

LazyTensor Pooling::forward(const LazyTensor& states, const LazyTensor& mask) const {
  const LazyTensor x = cast(states, DType::f32), taken = cast(mask, DType::f32);
  const int64_t tokens = x.dim(1);
  const LazyTensor number = reshape(arange(1, tokens + 1, 1, DType::f32), {1, tokens});
  std::vector<LazyTensor> parts;
  for (PoolingMode mode : modes) {
    switch (mode) {
      case PoolingMode::cls:
        parts.push_back(state_of_largest(x, taken));
        break;
      case PoolingMode::max: {
        const LazyTensor lowest = LazyTensor::full(Shape{}, -std::numeric_limits<double>::infinity());
        parts.push_back(max(where(reshape(mask, {mask.dim(0), tokens, 1}), x, lowest), {1}));
        break;
      }
      case PoolingMode::mean:
        parts.push_back(div(weighted(x, taken), total(taken)));
        break;
      case PoolingMode::mean_sqrt_len_tokens:
        parts.push_back(div(weighted(x, taken), sqrt(total(taken))));
        break;
      case PoolingMode::weightedmean: {
        const LazyTensor weights = mul(taken, number);
        parts.push_back(div(weighted(x, weights), total(weights)));
        break;
      }
      case PoolingMode::lasttoken:
        parts.push_back(state_of_largest(x, mul(taken, number)));
        break;
    }
  }
  return parts.size() == 1 ? parts[0] : concat(parts, 1);
}

}  // namespace lazuli
