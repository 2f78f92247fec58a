// Implements the reading of config.json with a range for every number.
#include "io/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "lazuli/error.h"
#include "lazuli/notice.h"

namespace lazuli {

namespace {

constexpr int64_t kMaxCount = (int64_t{1} << 31) - 1;
constexpr int64_t kMaxSize = int64_t{1} << 24;
constexpr int64_t kMaxLayers = 1 << 16;

int64_t in_range(const JsonValue& value, int64_t low, int64_t high) {
  const int64_t v = value.as_int();
  if (v < low || v > high) value.fail(fmt::format("a number from {} to {} expected, got {}", low, high, v));
  return v;
}

/// The name under which a file has a size: transformers takes either.
std::string_view name_in(const JsonValue& root, const ConfigRules& rules, std::string_view key) {
  for (const auto& [common, own] : rules.aliases) {
    if (common != key || common.empty() || !root.find(own)) continue;
    const auto value = root.find(key);
    if (value && value->as_int() != root.get(own).as_int()) {
      value->fail(fmt::format("the value {} of {} expected, got {}", root.get(own).as_int(), own, value->as_int()));
    }
    return own;
  }
  return key;
}

/// A fallback of 0 is none.
int64_t count_key(const JsonValue& root, const ConfigRules& rules, std::string_view key, int64_t high, int64_t fallback) {
  const std::string_view name = name_in(root, rules, key);
  return fallback > 0 ? int_key(root, name, 1, high, fallback) : in_range(root.get(name), 1, high);
}

int64_t read_key_value_heads(const JsonValue& root, const ConfigRules& rules, int64_t heads) {
  constexpr const char* key = "num_key_value_heads";
  const auto value = root.find(key);
  if (value && value->is_null()) return heads;
  const int64_t count = int_key(root, key, 1, kMaxLayers, rules.num_key_value_heads > 0 ? rules.num_key_value_heads : heads);
  if (heads % count == 0) return count;
  const std::string wanted = fmt::format("a divisor of num_attention_heads = {} expected, got {}", heads, count);
  fail_key(root, key, value ? wanted : fmt::format("{}, which is what a missing {} means", wanted, key));
}

/// Encoders have heads of the same size for queries, keys and values, whatever other keys say.
void read_heads(const JsonValue& root, const ConfigRules& rules, ModelConfig& c) {
  c.num_key_value_heads = rules.decoder ? read_key_value_heads(root, rules, c.num_attention_heads) : c.num_attention_heads;
  const auto size = rules.decoder || rules.heeds("head_dim") ? set_key(root, "head_dim") : std::nullopt;
  if (size || rules.head_dim > 0) {
    c.head_dim = size ? in_range(*size, 1, kMaxLayers) : rules.head_dim;
    return;
  }
  if (c.hidden_size % c.num_attention_heads != 0) {
    fail_key(root, "hidden_size",
             fmt::format("a multiple of num_attention_heads = {} expected, got {}", c.num_attention_heads, c.hidden_size));
  }
  c.head_dim = c.hidden_size / c.num_attention_heads;
}

void read_sizes(const JsonValue& root, const ConfigRules& rules, ModelConfig& c) {
  c.hidden_size = count_key(root, rules, "hidden_size", kMaxSize, rules.hidden_size);
  c.intermediate_size = count_key(root, rules, "intermediate_size", kMaxSize, rules.intermediate_size);
  c.num_hidden_layers = count_key(root, rules, "num_hidden_layers", kMaxLayers, rules.num_hidden_layers);
  c.num_attention_heads = count_key(root, rules, "num_attention_heads", kMaxLayers, rules.num_attention_heads);
  c.vocab_size = count_key(root, rules, "vocab_size", kMaxCount, rules.vocab_size);
  c.max_position_embeddings = count_key(root, rules, "max_position_embeddings", kMaxCount, rules.max_position_embeddings);
  read_heads(root, rules, c);
}

std::optional<DType> read_dtype(const JsonValue& root) {
  const auto current = set_key(root, "dtype");
  const auto value = current ? current : set_key(root, "torch_dtype");
  if (!value) return std::nullopt;
  static constexpr std::array<std::pair<std::string_view, DType>, 4> names = {
      {{"float32", DType::f32}, {"bfloat16", DType::bf16}, {"float16", DType::f16}, {"float64", DType::f64}}};
  for (const auto& [name, dtype] : names) {
    if (value->as_string() == name) return dtype;
  }
  value->fail(fmt::format("float32, bfloat16, float16 or float64 expected, got '{}'", value->as_string()));
}

bool is_unset(const JsonValue& v) {
  if (v.is_null() || (v.is_bool() && !v.as_bool())) return true;
  if (v.is_array()) return v.as_array().size() == 0;
  if (!v.is_object()) return false;
  const JsonObject members = v.as_object();
  return !(members.begin() != members.end());
}

/// Keys that change what is computed, or from what, in ways that no architecture here follows.
void refuse_keys(const JsonValue& root, const ConfigRules& rules) {
  static constexpr std::string_view kStored = "weights that are stored rounded are not supported; take the original ones, and --quantize";
  static constexpr std::pair<std::string_view, std::string_view> refused[] = {
      {"per_layer_config", "layers of different configurations are not supported"},
      {"transformers_weights", "weights under another name than model.safetensors are not supported"},
      {"is_encoder_decoder", "a model of a decoder or an encoder alone is expected"},
      {"add_cross_attention", "a model without attention to another model's states is expected"},
      {"pruned_heads", "heads that are left out of layers are not supported"},
  };
  for (const char* key : {"quantization_config", "quantization"}) {
    const auto v = set_key(root, key);
    if (!v) continue;
    const auto method = v->is_object() ? v->find("quant_method") : std::nullopt;
    if (!rules.mxfp4 || !method || !method->is_string() || method->as_string() != "mxfp4") v->fail(kStored);
  }
  for (const auto& [key, why] : refused) {
    if (const auto v = root.find(key); v && !is_unset(*v) && !rules.heeds(key)) v->fail(why);
  }
}

/// Keys that change what decoders of some architecture compute. One that this architecture does not heed is refused, since nobody writes it
/// for a model that it does not change.
void refuse_unread(const JsonValue& root, const ConfigRules& rules, const ModelConfig& c) {
  static constexpr std::string_view keys[] = {"attn_logit_softcapping",
                                              "final_logit_softcapping",
                                              "query_pre_attn_scalar",
                                              "attention_multiplier",
                                              "embedding_multiplier",
                                              "residual_multiplier",
                                              "logits_scaling",
                                              "logit_scale",
                                              "clip_qkv",
                                              "qk_norm",
                                              "use_qk_norm",
                                              "alibi",
                                              "parallel_attn",
                                              "use_parallel_residual",
                                              "num_experts",
                                              "num_local_experts",
                                              "n_routed_experts",
                                              "no_rope_layers",
                                              "no_rope_layer_interval",
                                              "attn_temperature_tuning",
                                              "use_bidirectional_attention",
                                              "rope_local_base_freq",
                                              "sliding_window_pattern",
                                              "attention_chunk_size",
                                              "attention_bias",
                                              "mlp_bias",
                                              "sliding_window"};
  for (const std::string_view key : keys) {
    if (rules.heeds(key)) continue;
    const auto v = root.find(key);
    if (!v || is_unset(*v) || (v->is_number() && v->as_double() == 1.0)) continue;
    if (key == "sliding_window" && v->is_int() && v->as_int() >= c.max_position_embeddings) continue;
    v->fail(fmt::format("a key without effect in {}, which other architectures heed: it must not be set", c.model_type));
  }
}

/// Where a file has none, or null, there is no such token.
std::vector<int64_t> read_media_tokens(const JsonValue& root) {
  std::vector<int64_t> ids;
  for (const char* key :
       {"image_token_id", "image_token_index", "video_token_id", "video_token_index", "audio_token_id", "audio_token_index"}) {
    if (const auto id = set_key(root, key)) ids.push_back(id->as_int());
  }
  return ids;
}

}  // namespace

std::optional<JsonValue> set_key(const JsonValue& root, std::string_view key) {
  std::optional<JsonValue> v = root.find(key);
  if (v && v->is_null()) v.reset();
  return v;
}

void fail_key(const JsonValue& root, std::string_view key, std::string_view message) {
  if (const auto v = root.find(key)) v->fail(message);
  root.fail(fmt::format("{}: {}", key, message));
}

int64_t int_key(const JsonValue& root, std::string_view key, int64_t low, int64_t high, int64_t fallback) {
  const auto v = root.find(key);
  return v ? in_range(*v, low, high) : fallback;
}

double real_in_range(const JsonValue& value, double low, double high) {
  const double v = value.as_double();
  if (!(v >= low && v <= high)) value.fail(fmt::format("a number from {} to {} expected, got {}", low, high, v));
  return v;
}

double real_key(const JsonValue& root, std::string_view key, double low, double high, double fallback) {
  const auto v = root.find(key);
  return v ? real_in_range(*v, low, high) : fallback;
}

bool bool_key(const JsonValue& root, std::string_view key, bool fallback) {
  const auto v = root.find(key);
  return v ? v->as_bool() : fallback;
}

std::string model_type_of(const JsonDocument& document) { return std::string(document.root().get("model_type").as_string()); }

std::vector<int64_t> read_token_ids(const JsonDocument& document, const JsonValue& value, int64_t vocab_size) {
  std::vector<int64_t> ids;
  const auto add = [&](const JsonValue& one) {
    const int64_t id = one.as_int();
    if (id >= 0 && id < vocab_size) {
      ids.push_back(id);
    } else {
      notice(fmt::format("{}: {}: {} is no token of the vocabulary of {}, so no text ends with it", document.name(), one.place(), id,
                         vocab_size));
    }
  };
  if (value.is_null()) return ids;
  if (!value.is_array()) {
    add(value);
    return ids;
  }
  for (const JsonValue& id : value.as_array()) add(id);
  return ids;
}

ModelConfig ModelConfig::from(std::shared_ptr<const JsonDocument> document, const ConfigRules& rules) {
  ModelConfig c;
  c.json = std::move(document);
  const JsonValue root = c.json->root();
  c.model_type = model_type_of(*c.json);
  if (const auto names = set_key(root, "architectures")) {
    for (const JsonValue& name : names->as_array()) c.architectures.emplace_back(name.as_string());
  }
  refuse_keys(root, rules);
  read_sizes(root, rules, c);
  if (rules.decoder) {
    if (!rules.ropes_by_layer) c.rope = read_rope(root, rules, c);
    c.rms_norm_eps = real_key(root, "rms_norm_eps", 0.0, 1.0, rules.rms_norm_eps);
    c.tie_word_embeddings = bool_key(root, "tie_word_embeddings", rules.tie_word_embeddings);
    refuse_unread(root, rules, c);
  }
  c.windows = rules.windows(root, c);
  if (const auto eos = root.find("eos_token_id")) c.eos_token_ids = read_token_ids(*c.json, *eos, c.vocab_size);
  if (rules.decoder) c.media_tokens = read_media_tokens(root);
  c.initializer_range = real_key(root, "initializer_range", 0.0, 1e6, c.initializer_range);
  c.activation_key = rules.activation_key;
  const auto act = root.find(rules.activation_key);
  c.hidden_act = act ? std::string(act->as_string()) : rules.hidden_act;
  c.dtype = read_dtype(root);
  return c;
}

ModelConfig ModelConfig::parse(std::string_view text, const std::string& name, const ConfigRules& rules) {
  return from(std::make_shared<const JsonDocument>(JsonDocument::parse(text, name)), rules);
}

}  // namespace lazuli
