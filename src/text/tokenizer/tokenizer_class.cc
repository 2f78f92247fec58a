// Implements choose_class: which class of transformers a folder's tokenizer is loaded by.
#include <fmt/format.h>

#include <algorithm>

#include "text/tokenizer/class_names.h"
#include "text/tokenizer/settings.h"

namespace lazuli::tokenizer {
namespace {

std::string_view without_fast(std::string_view name) {
  constexpr std::string_view end = "Fast";
  if (name.ends_with(end)) name.remove_suffix(end.size());
  return name;
}

/// Whether a component, or one of a Sequence, is ByteLevel.
bool has_byte_level(const std::optional<JsonValue>& node) {
  if (!node || !node->is_object()) return false;
  if (const auto type = node->find_set("type"); type && type->is_string() && type->as_string() == "ByteLevel") return true;
  for (const JsonMember& member : node->as_object()) {
    if (!member.value.is_array()) continue;
    for (const JsonValue& item : member.value.as_array()) {
      if (item.is_object() && has_byte_level(item)) return true;
    }
  }
  return false;
}

bool is_byte_level(const JsonValue& root) {
  return has_byte_level(root.find("pre_tokenizer")) || has_byte_level(root.find("decoder")) || has_byte_level(root.find("normalizer")) ||
         has_byte_level(root.find("post_processor"));
}

template <std::size_t N>
bool contains(const std::string_view (&list)[N], std::string_view item) {
  return std::find(std::begin(list), std::end(list), item) != std::end(list);
}

/// The class that transformers registers for a model; empty for a model that it does not know.
std::string_view registered_class(std::string_view model_type) {
  if (contains(kBackendModels, model_type)) return kBackendClass;
  for (const Registered& entry : kRegistered) {
    std::string_view models = entry.models;
    while (!models.empty()) {
      const std::size_t end = std::min(models.find(' '), models.size());
      if (models.substr(0, end) == model_type) return entry.class_name;
      models.remove_prefix(std::min(end + 1, models.size()));
    }
  }
  return {};
}

/// The class that AutoTokenizer of transformers takes. `declared` is the one that a file names, empty without one.
std::string_view class_for(std::string_view model_type, std::string_view declared, const JsonValue& root) {
  const std::string_view registered = registered_class(model_type);
  const std::string_view named = without_fast(declared);
  if (named.empty()) return registered.empty() ? kBackendClass : registered;
  const bool wrong = contains(kWronglyNamed, model_type);
  // Llama 3 and its kin name a class that would build sentencepiece's splits.
  if (named == "LlamaTokenizer" && !wrong && is_byte_level(root)) return kBackendClass;
  if (registered.empty() || registered == named) return named;
  return registered == kBackendClass || wrong ? registered : named;
}

}  // namespace

void choose_class(Settings& s, const JsonDocument* config, const JsonDocument* model, const JsonValue& root, bool has_file) {
  const auto text_of = [](const JsonDocument* file, std::string_view key) {
    return file != nullptr && file->root().is_object() ? file->root().string_or(key, "") : std::string();
  };
  std::string declared = text_of(config, "tokenizer_class");
  const JsonDocument* place = declared.empty() ? nullptr : config;
  if (declared.empty()) {
    declared = text_of(model, "tokenizer_class");
    if (!declared.empty()) place = model;
  }
  s.class_name = std::string(class_for(text_of(model, "model_type"), declared, root));
  for (const auto& [name, kind] : kClasses) {
    if (name == s.class_name) s.kind = kind;
  }
  if (!contains(kRefused, s.class_name)) return;
  if (place != nullptr) {
    place->root()
        .get("tokenizer_class")
        .fail(has_file ? fmt::format("{} builds another tokenizer than tokenizer.json says, which is not supported; "
                                     "'PreTrainedTokenizerFast' in its place takes the file as it stands",
                                     declared)
                       : fmt::format("{} is not supported without tokenizer.json", declared));
  }
  model->root()
      .get("model_type")
      .fail(fmt::format("{} of this model builds another tokenizer than tokenizer.json says, which is not supported; the tokenizer_class "
                        "'PreTrainedTokenizerFast' in tokenizer_config.json takes the file as it stands",
                        s.class_name));
}

}  // namespace lazuli::tokenizer
