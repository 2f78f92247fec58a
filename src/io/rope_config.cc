// Implements the reading of rotary keys, with the precedence that transformers gives them.
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "io/model_config.h"

namespace lazuli {

namespace {

constexpr int64_t kMostPositions = (int64_t{1} << 31) - 1;
constexpr const char* kOriginal = "original_max_position_embeddings";
constexpr const char* kPart = "partial_rotary_factor";

bool has_members(const JsonValue& object) {
  const JsonObject members = object.as_object();
  return members.begin() != members.end();
}

/// `rope_type`, or `type` in its absence; null is no type. Phi-3's oldest files say `su` or `yarn` for longrope.
std::string_view type_of(const JsonValue& rope, const ModelConfig& config) {
  const auto type = rope.find("rope_type") ? rope.find("rope_type") : rope.find("type");
  if (!type) return "default";
  static constexpr std::array<std::string_view, 7> known = {"default", "linear", "llama3", "dynamic", "yarn", "longrope", "proportional"};
  const std::string_view name = type->as_string();
  if (config.model_type == "phi3" && (name == "su" || name == "yarn")) return "longrope";
  // In texts its three positions of a token are one and the same.
  if (name == "mrope" && config.model_type.ends_with("_vl_text")) return "default";
  for (std::string_view one : known) {
    if (one == name) return name;
  }
  type->fail(fmt::format("rope_type default, linear, llama3, dynamic, yarn, longrope or proportional expected, got '{}'", name));
}

void read_llama3(const JsonValue& rope, RopeScaling& s) {
  s.low_freq_factor = real_in_range(rope.get("low_freq_factor"), 1e-6, 1e6);
  s.high_freq_factor = real_in_range(rope.get("high_freq_factor"), 1e-6, 1e6);
  if (s.high_freq_factor <= s.low_freq_factor) {
    rope.get("high_freq_factor")
        .fail(fmt::format("more than low_freq_factor = {} expected, got {}", s.low_freq_factor, s.high_freq_factor));
  }
}

/// null and 0 are no value there.
double set_real(const JsonValue& rope, std::string_view key, double high, double otherwise) {
  const auto v = set_key(rope, key);
  const double value = v ? real_in_range(*v, 0, high) : 0;
  return value != 0 ? value : otherwise;
}

/// The growth of scores with the stretching of the context (Peng et al. 2023).
double yarn_growth(double factor, double scale) { return factor <= 1 ? 1 : 0.1 * scale * std::log(factor) + 1; }

void read_yarn(const JsonValue& rope, RopeSpec& spec) {
  RopeScaling& s = spec.scaling;
  if (spec.theta <= 1) rope.fail("a rope_theta above 1 expected with yarn");
  s.beta_fast = set_real(rope, "beta_fast", 1e6, 32);
  s.beta_slow = set_real(rope, "beta_slow", 1e6, 1);
  s.truncate = bool_key(rope, "truncate", true);
  const double scale = set_real(rope, "mscale", 1e6, 0), of_all = set_real(rope, "mscale_all_dim", 1e6, 0);
  const bool both = scale != 0 && of_all != 0;
  const auto given = set_key(rope, "attention_factor");
  s.attention_factor = given  ? real_in_range(*given, 0, 1e6)
                       : both ? yarn_growth(s.factor, scale) / yarn_growth(s.factor, of_all)
                              : yarn_growth(s.factor, 1);
}

std::vector<double> factors_of_pairs(const JsonValue& rope, std::string_view key, int64_t size) {
  const JsonValue list = rope.get(key);
  std::vector<double> out;
  for (const JsonValue& factor : list.as_array()) out.push_back(real_in_range(factor, 1e-6, 1e6));
  if (static_cast<int64_t>(out.size()) != size / 2) {
    list.fail(fmt::format("{} numbers expected, one for each pair that positions turn, got {}", size / 2, out.size()));
  }
  return out;
}

void read_longrope(const JsonValue& rope, RopeSpec& spec) {
  RopeScaling& s = spec.scaling;
  s.short_factors = factors_of_pairs(rope, "short_factor", spec.size);
  s.long_factors = factors_of_pairs(rope, "long_factor", spec.size);
  const auto given = set_key(rope, "attention_factor");
  const double original = std::log(static_cast<double>(s.original_max_position_embeddings));
  if (!given && s.factor > 1 && original <= 0) rope.fail(fmt::format("an {} above 1 expected with longrope", kOriginal));
  s.attention_factor = given ? real_in_range(*given, 0, 1e6) : s.factor <= 1 ? 1 : std::sqrt(1 + std::log(s.factor) / original);
}

int64_t original_positions(const JsonValue& root, const JsonValue& rope, const ConfigRules& rules, const ModelConfig& config) {
  if (root.find(kOriginal)) return int_key(root, kOriginal, 1, kMostPositions, 0);
  if (rules.original_max_position_embeddings > 0) return rules.original_max_position_embeddings;
  return int_key(rope, kOriginal, 1, kMostPositions, config.max_position_embeddings);
}

/// How many numbers of a head turn. Without stretching only architectures with partial heads heed the key.
int64_t rotary_size(const JsonValue& root, const JsonValue& rope, std::string_view type, const ConfigRules& rules,
                    const ModelConfig& config) {
  const auto in_rope = set_key(rope, kPart);
  const auto part = in_rope ? in_rope : set_key(root, kPart);
  const double otherwise = root.find(kPart) ? 1 : rules.partial_rotary_factor;  // null is all of a head
  if (type == "proportional" || (!part && otherwise == 1) || (type == "default" && !rules.heeds(kPart))) return config.head_dim;
  const double value = part ? real_in_range(*part, 0, 1) : otherwise;
  if (value != 1 && !rules.heeds(kPart)) part->fail("rotary embeddings of a part of the head are not supported");
  const auto size = static_cast<int64_t>(static_cast<double>(config.head_dim) * value);
  if (size < 2 || size % 2 != 0) {
    const std::string message = fmt::format("a part of an even size of at least 2 expected, got {} of {}", size, config.head_dim);
    if (part) part->fail(message);
    fail_key(root, kPart, message);
  }
  return size;
}

void read_scaling(const JsonValue& root, const JsonValue& rope, const ConfigRules& rules, const ModelConfig& config, RopeSpec& spec) {
  using Kind = RopeScaling::Kind;
  for (const JsonMember& m : rope.as_object()) {
    if (m.value.is_object()) m.value.fail("rotary parameters that differ between layers are not supported");
  }
  const std::string_view type = type_of(rope, config);
  spec.size = rotary_size(root, rope, type, rules, config);
  if (type == "default") return;
  RopeScaling& s = spec.scaling;
  s.original_max_position_embeddings = original_positions(root, rope, rules, config);
  if (type == "proportional") {
    s.kind = Kind::proportional;
    s.factor = rope.find("factor") ? real_in_range(rope.get("factor"), 1e-6, 1e6) : 1;
    s.turned_pairs = static_cast<int64_t>(real_key(rope, kPart, 0, 1, 1) * static_cast<double>(config.head_dim)) / 2;
    return;
  }
  // Which factor null means, and longrope's missing one, follows from the contexts.
  const bool implied = type == "longrope" ? !set_key(rope, "factor") : type == "yarn" && rope.get("factor").is_null();
  s.factor = implied ? static_cast<double>(config.max_position_embeddings) / static_cast<double>(s.original_max_position_embeddings)
                     : real_in_range(rope.get("factor"), 1e-6, 1e6);
  // Positions beyond max_position_embeddings, where `dynamic` begins to stretch, are never computed.
  s.kind = type == "linear"     ? Kind::linear
           : type == "llama3"   ? Kind::llama3
           : type == "yarn"     ? Kind::yarn
           : type == "longrope" ? Kind::longrope
                                : Kind::none;
  if (s.kind == Kind::llama3) read_llama3(rope, s);
  if (s.kind == Kind::yarn) read_yarn(rope, spec);
  if (s.kind == Kind::longrope) read_longrope(rope, spec);
}

}  // namespace

std::optional<JsonValue> rope_object(const JsonValue& root) {
  const auto scaling = set_key(root, "rope_scaling");
  if (scaling && has_members(*scaling)) return scaling;
  const auto parameters = set_key(root, "rope_parameters");
  if (parameters) parameters->as_object();
  return parameters;
}

RopeSpec read_rope(const JsonValue& root, const ConfigRules& rules, const ModelConfig& config) {
  const auto rope = rope_object(root);
  const bool own_theta = rope && rope->find("rope_theta");
  RopeSpec spec{real_key(own_theta ? *rope : root, "rope_theta", 1.0, 1e12, rules.rope_theta), {}, config.head_dim};
  if (rope) {
    read_scaling(root, *rope, rules, config, spec);
  } else {
    spec.size = rotary_size(root, root, "default", rules, config);
  }
  return spec;
}

RopeSpec read_layer_rope(const JsonValue& root, const ConfigRules& rules, const ModelConfig& config, std::string_view layer_type,
                         std::string_view theta_key, double theta, bool scaled) {
  const auto parameters = set_key(root, "rope_parameters");
  if (parameters) {
    for (const JsonMember& m : parameters->as_object()) {
      if (!m.value.is_null() && !m.value.is_object()) parameters->fail("an object of rotary parameters for each type of layers expected");
    }
  }
  const auto scaling = set_key(root, "rope_scaling");
  const bool old = scaling && has_members(*scaling);
  if (old && parameters) scaling->fail("rope_parameters and rope_scaling cannot both be there");
  const auto rope = parameters ? set_key(*parameters, layer_type) : old && scaled ? scaling : std::nullopt;
  const bool own_theta = rope && rope->find("rope_theta");
  RopeSpec spec{real_key(own_theta ? *rope : root, own_theta ? "rope_theta" : theta_key, 1.0, 1e12, theta), {}, config.head_dim};
  if (!rope) return spec;
  if (const auto type = rope->find("type"); type && !rope->find("rope_type") && type->as_string() != "default") {
    type->fail("rope_type expected: transformers does not heed `type` where layers turn by ropes of their own");
  }
  // Of an object inside rope_parameters neither outer keys nor `truncate` count.
  read_scaling(*rope, *rope, rules, config, spec);
  spec.scaling.truncate = true;
  return spec;
}

}  // namespace lazuli
