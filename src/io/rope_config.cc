// Implements the reading of rotary keys, with the precedence that transformers gives them.
#include <fmt/format.h>

#include <array>

#include "io/model_config.h"

namespace lazuli {

namespace {

constexpr int64_t kMostPositions = (int64_t{1} << 31) - 1;

/// `rope_scaling`, the older name, comes before `rope_parameters` unless it is empty, and the other object is not read at all then.
std::optional<JsonValue> rope_object(const JsonValue& root) {
  if (const auto scaling = set_key(root, "rope_scaling")) {
    const JsonObject members = scaling->as_object();
    if (members.begin() != members.end()) return scaling;
  }
  const auto parameters = set_key(root, "rope_parameters");
  if (parameters) parameters->as_object();
  return parameters;
}

/// `rope_type`, or `type` in its absence; null is no type.
std::string_view type_of(const JsonValue& rope) {
  const auto type = rope.find("rope_type") ? rope.find("rope_type") : rope.find("type");
  if (!type) return "default";
  static constexpr std::array<std::string_view, 4> known = {"default", "linear", "llama3", "dynamic"};
  const std::string_view name = type->as_string();
  for (std::string_view one : known) {
    if (one == name) return name;
  }
  type->fail(fmt::format("rope_type default, linear, llama3 or dynamic expected, got '{}'", name));
}

void read_llama3(const JsonValue& root, const JsonValue& rope, ModelConfig& c) {
  RopeScaling& s = c.rope_scaling;
  s.low_freq_factor = real_in_range(rope.get("low_freq_factor"), 1e-6, 1e6);
  s.high_freq_factor = real_in_range(rope.get("high_freq_factor"), 1e-6, 1e6);
  if (s.high_freq_factor <= s.low_freq_factor) {
    rope.get("high_freq_factor")
        .fail(fmt::format("more than low_freq_factor = {} expected, got {}", s.low_freq_factor, s.high_freq_factor));
  }
  constexpr const char* key = "original_max_position_embeddings";
  s.original_max_position_embeddings = int_key(root.find(key) ? root : rope, key, 1, kMostPositions, c.max_position_embeddings);
}

void read_scaling(const JsonValue& root, const JsonValue& rope, ModelConfig& c) {
  for (const JsonMember& m : rope.as_object()) {
    if (m.value.is_object()) m.value.fail("rotary parameters that differ between layers are not supported");
  }
  const std::string_view type = type_of(rope);
  if (type == "default") return;
  const auto in_rope = set_key(rope, "partial_rotary_factor");
  const auto part = in_rope ? in_rope : set_key(root, "partial_rotary_factor");
  if (part && part->as_double() != 1.0) part->fail("rotary embeddings of a part of the head are not supported");
  c.rope_scaling.factor = real_in_range(rope.get("factor"), 1e-6, 1e6);
  // Positions beyond max_position_embeddings, where `dynamic` begins to stretch, are never computed.
  if (type == "linear") c.rope_scaling.kind = RopeScaling::Kind::linear;
  if (type != "llama3") return;
  c.rope_scaling.kind = RopeScaling::Kind::llama3;
  read_llama3(root, rope, c);
}

}  // namespace

void read_rope(const JsonValue& root, ModelConfig& c) {
  const auto rope = rope_object(root);
  const bool own_theta = rope && rope->find("rope_theta");
  c.rope_theta = real_key(own_theta ? *rope : root, "rope_theta", 1.0, 1e12, c.rope_theta);
  if (rope) read_scaling(root, *rope, c);
}

}  // namespace lazuli
