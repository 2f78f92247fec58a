// Implements the reading of the files that CrossEncoder of sentence-transformers reads and writes.
#include "embed/cross_encoder_settings.h"

#include <fmt/format.h>

#include <filesystem>
#include <limits>
#include <utility>

#include "base/json.h"
#include "io/model_config.h"
#include "lazuli/error.h"
#include "lazuli/notice.h"

namespace lazuli {

namespace {

LazyTensor no_activation(const LazyTensor& x, Where) { return x; }

std::string class_of(const JsonValue& module) {
  const std::string type(module.get("type").as_string());
  const std::string kind = type.substr(type.rfind('.') + 1);
  if (!type.starts_with("sentence_transformers.") || (kind != "Transformer" && kind != "LogitScore")) {
    module.get("type").fail(fmt::format("a cross-encoder's Transformer and maybe LogitScore expected, got '{}'", type));
  }
  return kind;
}

std::string inner_path(const JsonValue& module) {
  const std::filesystem::path path(std::string(module.get("path").as_string()));
  for (const auto& part : path) {
    if (path.is_absolute() || part == "..")
      module.get("path").fail(fmt::format("a folder inside that of the model expected, got '{}'", path.string()));
  }
  return path.string();
}

int32_t token_id(const JsonValue& root, std::string_view key) {
  return static_cast<int32_t>(int_key(root, key, 0, std::numeric_limits<int32_t>::max(), -1));
}

void read_logit_score(ModelFolder& folder, CrossEncoderSettings& s) {
  const auto document = folder.require("config.json");
  const JsonValue root = document->root();
  root.get("true_token_id");
  s.true_id = token_id(root, "true_token_id");
  if (root.find_set("false_token_id")) s.false_id = token_id(root, "false_token_id");
  if (const std::string input = root.string_or("module_input_name", "causal_logits"); input != "causal_logits") {
    root.get("module_input_name").fail(fmt::format("causal_logits expected, got '{}'", input));
  }
}

void read_modules(ModelFolder& folder, CrossEncoderSettings& s) {
  const auto list = folder.find("modules.json");
  if (!list) return;
  size_t place = 0;
  for (const JsonValue& module : list->root().as_array()) {
    const std::string kind = class_of(module);
    if ((kind == "Transformer") != (place == 0) || place > 1) {
      module.get("type").fail(fmt::format("a Transformer and then maybe a LogitScore expected, got {} in place {}", kind, place));
    }
    if (place++ == 0) {
      s.transformer = inner_path(module);
    } else {
      s.decoder = true;
      read_logit_score(folder.below(inner_path(module)), s);
    }
  }
  if (place == 0) list->root().fail("a Transformer expected");
}

/// A function by its path in Python. What is not torch's is replaced by the default there, too.
Activation activation_at(const JsonValue& value) {
  static constexpr std::pair<std::string_view, Activation> table[] = {
      {"Sigmoid", sigmoid}, {"Identity", no_activation}, {"Tanh", tanh}, {"ReLU", relu}, {"GELU", gelu}, {"SiLU", silu}};
  const std::string_view path = value.as_string();
  if (!path.starts_with("torch.")) {
    notice(fmt::format("{} '{}' is no function of torch, so the default takes its place", value.place(), path));
    return nullptr;
  }
  for (const auto& [name, function] : table) {
    if (path.starts_with("torch.nn.") && path.substr(path.rfind('.') + 1) == name) return function;
  }
  value.fail(fmt::format("torch.nn's Sigmoid, Identity, Tanh, ReLU, GELU or SiLU expected, got '{}'", path));
}

void read_own_config(ModelFolder& folder, CrossEncoderSettings& s) {
  const auto document = folder.find("config_sentence_transformers.json");
  if (!document) return;
  const JsonValue root = document->root();
  if (const std::string type = root.string_or("model_type", "CrossEncoder"); type != "CrossEncoder") {
    root.get("model_type").fail(fmt::format("CrossEncoder expected, got '{}'", type));
  }
  if (const auto path = root.find_set("activation_fn")) s.activation = activation_at(*path);
  if (const auto prompts = root.find_set("prompts")) {
    for (const JsonMember& m : prompts->as_object()) {
      s.prompts[std::string(m.key)] = m.value.is_null() ? "" : std::string(m.value.as_string());
    }
  }
  s.default_prompt = root.string_or("default_prompt_name", "");
  if (!s.default_prompt.empty() && !s.prompts.contains(s.default_prompt)) {
    root.get("default_prompt_name").fail(fmt::format("the name of one of the prompts expected, got '{}'", s.default_prompt));
  }
}

void read_transformer_config(ModelFolder& folder, CrossEncoderSettings& s) {
  const auto document = folder.require("config.json");
  const JsonValue root = document->root();
  if (const auto classes = root.find_set("architectures"); classes && classes->as_array().size() > 0) {
    const std::string_view name = (*classes->as_array().begin()).as_string();
    s.decoder = s.decoder || name.ends_with("ForCausalLM");
  }
  if (s.activation != nullptr) return;
  const auto own = root.find_set("sentence_transformers");
  const auto path = own ? own->find_set("activation_fn") : root.find_set("sbert_ce_default_activation_function");
  if (path) s.activation = activation_at(*path);
}

}  // namespace

CrossEncoderSettings CrossEncoderSettings::read(ModelFolder& folder) {
  CrossEncoderSettings s;
  read_modules(folder, s);
  read_own_config(folder, s);
  read_transformer_config(folder.below(s.transformer), s);
  return s;
}

}  // namespace lazuli
