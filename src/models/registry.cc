// Implements the registries of architectures and the loading of models.
#include "models/registry.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "io/text_part.h"
#include "lazuli/error.h"
#include "lazuli/notice.h"
#include "models/decoder_encoder.h"

namespace lazuli {

namespace {

template <class Model>
struct Entry {
  ConfigRules rules;
  MakeModel<Model> make;
};

template <class Model>
using Registry = std::map<std::string, Entry<Model>, std::less<>>;

// A function's static: it exists whenever the first file enters itself.
template <class Model>
Registry<Model>& registry() {
  static Registry<Model> entries;
  return entries;
}

template <class Model>
std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const auto& [name, entry] : registry<Model>()) out.push_back(name);
  return out;
}

template <class Model>
const Entry<Model>* find_entry(std::string_view model_type) {
  const auto found = registry<Model>().find(model_type);
  return found == registry<Model>().end() ? nullptr : &found->second;
}

std::map<std::string, WrapperRules, std::less<>>& wrappers() {
  static std::map<std::string, WrapperRules, std::less<>> entries;
  return entries;
}

/// The text part's configuration where the file is of a wrapper, else the file itself.
std::shared_ptr<const JsonDocument> computed_config(const std::shared_ptr<const JsonDocument>& config) {
  const auto wrapper = wrappers().find(model_type_of(*config));
  return wrapper == wrappers().end() ? config : text_config(*config, wrapper->second);
}

/// transformers names the layers of every wrapper so.
constexpr const char* kWrappedModules = "model.language_model.";

std::shared_ptr<const WeightSource> text_part(ModelFolder& folder) {
  const auto part = std::make_shared<const TextPart>(folder.weights());
  if (const std::string others = part->others_text(); !others.empty()) {
    notice(fmt::format("{}: the text part is loaded, without images or sound; left out: {}", part->place(), others));
  }
  return part;
}

/// Both files of a folder that say what its model is.
struct Configs {
  ModelConfig model;
  GenerationConfig generation;
};

Configs read_configs(ModelFolder& folder, std::shared_ptr<const JsonDocument> config, const ConfigRules& rules) {
  Configs configs{ModelConfig::from(std::move(config), rules), {}};
  configs.generation = read_generation_config(folder, configs.model.vocab_size);
  if (configs.generation.eos_token_ids) configs.model.eos_token_ids = *configs.generation.eos_token_ids;
  return configs;
}

/// transformers loads such a folder with its adapter; here an adapter is named.
void tell_of_adapter(const ModelFolder& folder) {
  if (!folder.has("adapter_config.json")) return;
  notice(fmt::format("{}: the adapter in the model's folder is not used unless --adapter-path names it", folder.path()));
}

/// What a folder's config.json says is computed.
struct Described {
  std::shared_ptr<const JsonDocument> config;
  bool wrapped = false;  ///< it is the text part of a wrapper
  std::string model_type;
};

Described describe(ModelFolder& folder) {
  const auto file = folder.require("config.json");
  auto config = computed_config(file);
  std::string model_type = model_type_of(*config);
  const bool wrapped = config != file;
  return {std::move(config), wrapped, std::move(model_type)};
}

/// `states_only`: nothing will make logits of its states.
template <class Model>
std::pair<std::shared_ptr<const Model>, GenerationConfig> load(ModelFolder& folder, const Described& described, const Entry<Model>& entry,
                                                               DType dtype, Quantization quantization, bool states_only = false) {
  Configs configs = read_configs(folder, described.config, entry.rules);
  configs.model.states_only = states_only;
  WeightReader weights(described.wrapped ? text_part(folder) : folder.weights(), dtype, quantization);
  if (described.wrapped) weights.name_modules(kWrappedModules);
  tell_of_adapter(folder);
  return {entry.make(configs.model, folder.path(), weights), std::move(configs.generation)};
}

[[noreturn]] void fail_unknown(const JsonDocument& config, const std::string& model_type) {
  config.root()
      .get("model_type")
      .fail(fmt::format("one of {}, {} expected, got '{}'", fmt::join(names<LanguageModel>(), ", "), fmt::join(names<Encoder>(), ", "),
                        model_type));
}

}  // namespace

RegisterArchitecture::RegisterArchitecture(std::string_view model_type, const ConfigRules& rules, MakeModel<LanguageModel> make) {
  registry<LanguageModel>().emplace(model_type, Entry<LanguageModel>{rules, make});
}
RegisterArchitecture::RegisterArchitecture(std::string_view model_type, const ConfigRules& rules, MakeModel<Encoder> make) {
  registry<Encoder>().emplace(model_type, Entry<Encoder>{rules, make});
}

RegisterWrapper::RegisterWrapper(std::string_view model_type, const WrapperRules& rules) { wrappers().emplace(model_type, rules); }

std::string computed_model_type(const JsonDocument& config) {
  const std::string model_type = model_type_of(config);
  const auto wrapper = wrappers().find(model_type);
  return wrapper == wrappers().end() ? model_type : model_type_of(*text_config(config, wrapper->second));
}

ModelConfig read_model_config(const std::string& path) {
  ModelFolder folder(path);
  const auto config = computed_config(folder.require("config.json"));
  const std::string model_type = model_type_of(*config);
  if (const auto* decoder = find_entry<LanguageModel>(model_type)) return read_configs(folder, config, decoder->rules).model;
  if (const auto* encoder = find_entry<Encoder>(model_type)) return read_configs(folder, config, encoder->rules).model;
  fail_unknown(*config, model_type);
}

std::vector<std::string> architectures() { return names<LanguageModel>(); }
std::vector<std::string> encoder_architectures() { return names<Encoder>(); }
std::vector<std::string> wrapper_architectures() {
  std::vector<std::string> out;
  for (const auto& [name, rules] : wrappers()) out.push_back(name);
  return out;
}

LoadedModel load_language_model(ModelFolder& folder, DType dtype, Quantization quantization) {
  const Described described = describe(folder);
  const auto* entry = find_entry<LanguageModel>(described.model_type);
  if (entry == nullptr) {
    const bool encoder = find_entry<Encoder>(described.model_type) != nullptr;
    throw FormatError(fmt::format("{}: $.model_type: one of {} expected, got '{}'{}", described.config->name(),
                                  fmt::join(names<LanguageModel>(), ", "), described.model_type,
                                  encoder ? ", an encoder, which makes embeddings and no text" : ""));
  }
  auto [model, generation] = load<LanguageModel>(folder, described, *entry, dtype, quantization);
  if (model->bidirectional()) {
    described.config->root()
        .get("use_bidirectional_attention")
        .fail("a model that attends to one side is expected, since this one makes no text");
  }
  return {std::move(model), std::move(generation)};
}

std::shared_ptr<const LanguageModel> load_model(const std::string& path, DType dtype, Quantization quantization) {
  ModelFolder folder(path);
  return load_language_model(folder, dtype, quantization).model;
}

std::shared_ptr<const Encoder> load_encoder(ModelFolder& folder, DType dtype, Quantization quantization) {
  const Described described = describe(folder);
  if (const auto* encoder = find_entry<Encoder>(described.model_type)) {
    return load<Encoder>(folder, described, *encoder, dtype, quantization).first;
  }
  if (const auto* decoder = find_entry<LanguageModel>(described.model_type)) {
    return as_encoder(load<LanguageModel>(folder, described, *decoder, dtype, quantization, true).first);
  }
  fail_unknown(*described.config, described.model_type);
}

std::shared_ptr<const Encoder> load_encoder(const std::string& path, DType dtype, Quantization quantization) {
  ModelFolder folder(path);
  return load_encoder(folder, dtype, quantization);
}

}  // namespace lazuli
