// Implements the reading of config.json with a range for every number.
#include "io/model_config.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr int64_t kMaxCount = (int64_t{1} << 31) - 1;
constexpr int64_t kMaxSize = int64_t{1} << 24;
constexpr int64_t kMaxLayers = 1 << 16;

/// The value of `key`, nothing when it is missing or null.
std::optional<JsonValue> find_set(const JsonValue& object, std::string_view key) {
  std::optional<JsonValue> v = object.find(key);
  if (v && v->is_null()) v.reset();
  return v;
}

int64_t in_range(const JsonValue& value, int64_t low, int64_t high) {
  const int64_t v = value.as_int();
  if (v < low || v > high) value.fail(fmt::format("a number from {} to {} expected, got {}", low, high, v));
  return v;
}

int64_t get_count(const JsonValue& object, std::string_view key, int64_t high) { return in_range(object.get(key), 1, high); }

int64_t count_or(const JsonValue& object, std::string_view key, int64_t high, int64_t fallback) {
  const auto v = find_set(object, key);
  return v ? in_range(*v, 1, high) : fallback;
}

/// A number in [low, high].
double real_in_range(const JsonValue& value, double low, double high) {
  const double v = value.as_double();
  if (!(v >= low && v <= high)) value.fail(fmt::format("a number from {} to {} expected, got {}", low, high, v));
  return v;
}

double real_or(const JsonValue& object, std::string_view key, double low, double high, double fallback) {
  const auto v = find_set(object, key);
  return v ? real_in_range(*v, low, high) : fallback;
}

void read_sizes(const JsonValue& root, ModelConfig& c) {
  c.hidden_size = get_count(root, "hidden_size", kMaxSize);
  c.intermediate_size = get_count(root, "intermediate_size", kMaxSize);
  c.num_hidden_layers = get_count(root, "num_hidden_layers", kMaxLayers);
  c.num_attention_heads = get_count(root, "num_attention_heads", kMaxLayers);
  c.num_key_value_heads = count_or(root, "num_key_value_heads", kMaxLayers, c.num_attention_heads);
  if (c.num_attention_heads % c.num_key_value_heads != 0) {
    root.get("num_key_value_heads")
        .fail(fmt::format("a divisor of num_attention_heads = {} expected, got {}", c.num_attention_heads, c.num_key_value_heads));
  }
  c.head_dim = count_or(root, "head_dim", kMaxLayers, 0);
  if (c.head_dim == 0) {
    if (c.hidden_size % c.num_attention_heads != 0) {
      root.get("hidden_size")
          .fail(fmt::format("a multiple of num_attention_heads = {} expected, got {}", c.num_attention_heads, c.hidden_size));
    }
    c.head_dim = c.hidden_size / c.num_attention_heads;
  }
  c.vocab_size = get_count(root, "vocab_size", kMaxCount);
  c.max_position_embeddings = get_count(root, "max_position_embeddings", kMaxCount);
}

void read_llama3(const JsonValue& rope, RopeScaling& s) {
  s.low_freq_factor = real_in_range(rope.get("low_freq_factor"), 1e-6, 1e6);
  s.high_freq_factor = real_in_range(rope.get("high_freq_factor"), 1e-6, 1e6);
  if (s.high_freq_factor <= s.low_freq_factor) {
    rope.get("high_freq_factor")
        .fail(fmt::format("more than low_freq_factor = {} expected, got {}", s.low_freq_factor, s.high_freq_factor));
  }
  s.original_max_position_embeddings = get_count(rope, "original_max_position_embeddings", kMaxCount);
}

/// `rope_parameters` of newer files or `rope_scaling` of older ones.
void read_rope_object(const JsonValue& rope, ModelConfig& c) {
  for (const JsonMember& m : rope.as_object()) {
    if (m.value.is_object()) m.value.fail("rotary parameters that differ between layers are not supported");
  }
  c.rope_theta = real_or(rope, "rope_theta", 1.0, 1e12, c.rope_theta);
  if (const auto part = find_set(rope, "partial_rotary_factor"); part && part->as_double() != 1.0) {
    part->fail("rotary embeddings of a part of the head are not supported");
  }
  const auto type = find_set(rope, find_set(rope, "rope_type") ? "rope_type" : "type");
  const std::string_view name = type ? type->as_string() : "default";
  if (name == "default") return;
  if (name != "linear" && name != "llama3") {
    type->fail(fmt::format("rope_type default, linear or llama3 expected, got '{}'", name));
  }
  c.rope_scaling.kind = name == "linear" ? RopeScaling::Kind::linear : RopeScaling::Kind::llama3;
  c.rope_scaling.factor = real_in_range(rope.get("factor"), 1.0, 1e6);
  if (c.rope_scaling.kind == RopeScaling::Kind::llama3) read_llama3(rope, c.rope_scaling);
}

void read_rope(const JsonValue& root, ModelConfig& c) {
  c.rope_theta = real_or(root, "rope_theta", 1.0, 1e12, c.rope_theta);
  if (const auto part = find_set(root, "partial_rotary_factor"); part && part->as_double() != 1.0) {
    part->fail("rotary embeddings of a part of the head are not supported");
  }
  const auto parameters = find_set(root, "rope_parameters");
  const auto rope = parameters ? parameters : find_set(root, "rope_scaling");
  if (rope) read_rope_object(*rope, c);
}

/// Attention over a window would silently give other results; say so instead.
void refuse_windows(const JsonValue& root) {
  if (const auto v = find_set(root, "use_sliding_window"); v && v->as_bool()) v->fail("sliding window attention is not supported");
  const auto layers = find_set(root, "layer_types");
  if (!layers) return;
  for (const JsonValue& layer : layers->as_array()) {
    if (layer.as_string() != "full_attention") layer.fail(fmt::format("layers of full_attention expected, got '{}'", layer.as_string()));
  }
}

void read_tokens(const JsonValue& root, ModelConfig& c) {
  if (const auto bos = find_set(root, "bos_token_id")) c.bos_token_id = in_range(*bos, 0, kMaxCount);
  const auto eos = find_set(root, "eos_token_id");
  if (!eos) return;
  if (!eos->is_array()) {
    c.eos_token_ids.push_back(in_range(*eos, 0, kMaxCount));
    return;
  }
  for (const JsonValue& id : eos->as_array()) c.eos_token_ids.push_back(in_range(id, 0, kMaxCount));
}

std::optional<DType> read_dtype(const JsonValue& root) {
  const auto current = find_set(root, "dtype");
  const auto value = current ? current : find_set(root, "torch_dtype");
  if (!value) return std::nullopt;
  static constexpr std::array<std::pair<std::string_view, DType>, 4> names = {
      {{"float32", DType::f32}, {"bfloat16", DType::bf16}, {"float16", DType::f16}, {"float64", DType::f64}}};
  for (const auto& [name, dtype] : names) {
    if (value->as_string() == name) return dtype;
  }
  value->fail(fmt::format("float32, bfloat16, float16 or float64 expected, got '{}'", value->as_string()));
}

ModelConfig from_document(JsonDocument document) {
  ModelConfig c;
  c.json = std::make_shared<const JsonDocument>(std::move(document));
  const JsonValue root = c.json->root();
  c.model_type = std::string(root.get("model_type").as_string());
  if (const auto names = find_set(root, "architectures")) {
    for (const JsonValue& name : names->as_array()) c.architectures.emplace_back(name.as_string());
  }
  read_sizes(root, c);
  read_rope(root, c);
  refuse_windows(root);
  read_tokens(root, c);
  c.rms_norm_eps = real_or(root, "rms_norm_eps", 0.0, 1.0, c.rms_norm_eps);
  c.initializer_range = real_or(root, "initializer_range", 0.0, 1e6, c.initializer_range);
  c.tie_word_embeddings = root.bool_or("tie_word_embeddings", false);
  c.attention_bias = root.bool_or("attention_bias", false);
  c.mlp_bias = root.bool_or("mlp_bias", false);
  c.hidden_act = root.string_or("hidden_act", "silu");
  c.dtype = read_dtype(root);
  return c;
}

}  // namespace

ModelConfig ModelConfig::read(const std::string& path) { return from_document(JsonDocument::read(path, size_t{16} << 20)); }

ModelConfig ModelConfig::parse(std::string_view text, const std::string& name) { return from_document(JsonDocument::parse(text, name)); }

}  // namespace lazuli
