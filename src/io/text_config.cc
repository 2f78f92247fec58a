// Implements the reading of a wrapper's configuration.
#include "io/text_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "base/json_copy.h"
#include "io/model_config.h"

namespace lazuli {

namespace {

/// Keys that the wrapper may have for the whole model: those of its weights and tokens, and those that are refused.
constexpr std::array<std::string_view, 14> kOfWhole = {
    "architectures",      "eos_token_id",   "quantization_config", "quantization",   "per_layer_config",  "transformers_weights",
    "is_encoder_decoder", "image_token_id", "image_token_index",   "video_token_id", "video_token_index", "audio_token_id",
    "audio_token_index",  "dtype"};

bool is_of_whole(std::string_view key) { return std::find(kOfWhole.begin(), kOfWhole.end(), key) != kOfWhole.end(); }

bool ties_tables(const JsonValue& root, const JsonValue& text, const WrapperRules& rules) {
  const auto outer = set_key(root, "tie_word_embeddings"), inner = set_key(text, "tie_word_embeddings");
  return (outer ? outer->as_bool() : rules.ties) || (rules.text_ties && inner && inner->as_bool());
}

}  // namespace

std::shared_ptr<const JsonDocument> text_config(const JsonDocument& wrapper, const WrapperRules& rules) {
  const JsonValue root = wrapper.root();
  const std::optional<JsonValue> inner = rules.flat ? set_key(root, "text_config") : root.get("text_config");
  const JsonValue text = inner ? *inner : root;
  const auto own_type = inner ? set_key(text, "model_type") : std::nullopt;
  JsonWriter w;
  w.begin_object().field("model_type", own_type && !rules.only_type ? own_type->as_string() : rules.text_type);
  w.field("tie_word_embeddings", ties_tables(root, text, rules));
  const auto copy = [&w](std::string_view key, const JsonValue& value) {
    w.key(key);
    write_json(w, value);
  };
  for (const std::string_view key : kOfWhole) {
    auto value = set_key(root, key);
    if (!value && key == "dtype") value = set_key(root, "torch_dtype");
    if (!value) value = set_key(text, key);
    if (!value && key == "dtype") value = set_key(text, "torch_dtype");
    if (value) copy(key, *value);
  }
  for (const JsonMember& m : text.as_object()) {
    if (m.key != "model_type" && m.key != "tie_word_embeddings" && m.key != "torch_dtype" && !is_of_whole(m.key)) copy(m.key, m.value);
  }
  w.end_object();
  return std::make_shared<const JsonDocument>(JsonDocument::parse(w.text(), wrapper.name() + (inner ? ": text_config" : "")));
}

}  // namespace lazuli
