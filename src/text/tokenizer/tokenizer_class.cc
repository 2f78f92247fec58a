// Implements choose_class: which class of transformers a folder's tokenizer is loaded by.
#include <fmt/format.h>

#include <algorithm>

#include "text/tokenizer/settings.h"

namespace lazuli::tokenizer {
namespace {

constexpr std::pair<std::string_view, TokenizerClass> kClasses[] = {
    {"PreTrainedTokenizer", TokenizerClass::as_file},
    {"TokenizersBackend", TokenizerClass::as_file},
    {"PythonBackend", TokenizerClass::as_file},
    {"BertTokenizer", TokenizerClass::bert},
    {"DistilBertTokenizer", TokenizerClass::bert},
    {"ElectraTokenizer", TokenizerClass::bert},
    {"MobileBertTokenizer", TokenizerClass::bert},
    {"SqueezeBertTokenizer", TokenizerClass::bert},
    {"MPNetTokenizer", TokenizerClass::mpnet},
    {"RobertaTokenizer", TokenizerClass::roberta},
    {"LongformerTokenizer", TokenizerClass::roberta},
    {"BartTokenizer", TokenizerClass::roberta},
    {"XLMRobertaTokenizer", TokenizerClass::xlm_roberta},
    {"GPT2Tokenizer", TokenizerClass::gpt2},
    {"GPTNeoXTokenizer", TokenizerClass::gpt_neox},
    {"Qwen2Tokenizer", TokenizerClass::qwen2},
    {"Qwen3_5Tokenizer", TokenizerClass::qwen3_5},
    {"LlamaTokenizer", TokenizerClass::llama},
};

/// Classes of transformers that build something else than tokenizer.json says. Any other name stands for no class, and for the file.
constexpr std::string_view kRefused[] = {"AlbertTokenizer",       "BarthezTokenizer",
                                         "BartphoTokenizer",      "BertGenerationTokenizer",
                                         "BertJapaneseTokenizer", "BertweetTokenizer",
                                         "BigBirdTokenizer",      "BioGptTokenizer",
                                         "BlenderbotTokenizer",   "BlenderbotSmallTokenizer",
                                         "ByT5Tokenizer",         "CamembertTokenizer",
                                         "CanineTokenizer",       "CLIPTokenizer",
                                         "CodeGenTokenizer",      "CodeLlamaTokenizer",
                                         "CohereTokenizer",       "ConvBertTokenizer",
                                         "CpmTokenizer",          "CTRLTokenizer",
                                         "DebertaTokenizer",      "DebertaV2Tokenizer",
                                         "EsmTokenizer",          "FlaubertTokenizer",
                                         "FNetTokenizer",         "FSMTTokenizer",
                                         "FunnelTokenizer",       "GemmaTokenizer",
                                         "HerbertTokenizer",      "LukeTokenizer",
                                         "MBartTokenizer",        "MBart50Tokenizer",
                                         "MLukeTokenizer",        "MyT5Tokenizer",
                                         "NllbTokenizer",         "NougatTokenizer",
                                         "OpenAIGPTTokenizer",    "ParakeetTokenizer",
                                         "PegasusTokenizer",      "PhobertTokenizer",
                                         "ProphetNetTokenizer",   "ReformerTokenizer",
                                         "RemBertTokenizer",      "RoCBertTokenizer",
                                         "RoFormerTokenizer",     "SeamlessM4TTokenizer",
                                         "Siglip2Tokenizer",      "SplinterTokenizer",
                                         "T5Tokenizer",           "UdopTokenizer",
                                         "VitsTokenizer",         "WhisperTokenizer",
                                         "XGLMTokenizer",         "XLMTokenizer",
                                         "XLNetTokenizer"};

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

/// What an architecture takes where no class is named; `own`: also where another one is.
struct Registered {
  std::string_view model_type;
  std::string_view class_name;
  bool own;
};
constexpr Registered kRegistered[] = {{"bert", "BertTokenizer", false},
                                      {"camembert", "CamembertTokenizer", false},
                                      {"distilbert", "BertTokenizer", false},
                                      {"electra", "BertTokenizer", false},
                                      {"modernbert", "TokenizersBackend", true},
                                      {"mpnet", "MPNetTokenizer", false},
                                      {"nomic_bert", "BertTokenizer", false},
                                      {"qwen2", "Qwen2Tokenizer", true},
                                      {"qwen3", "Qwen2Tokenizer", false},
                                      {"qwen3_5", "Qwen3_5Tokenizer", true},
                                      {"qwen3_5_moe", "Qwen3_5Tokenizer", true},
                                      {"qwen3_5_moe_text", "Qwen3_5Tokenizer", true},
                                      {"qwen3_5_text", "Qwen3_5Tokenizer", false},
                                      {"qwen3_moe", "Qwen2Tokenizer", false},
                                      {"qwen3_next", "Qwen2Tokenizer", false},
                                      {"qwen3_vl", "Qwen2Tokenizer", false},
                                      {"roberta", "RobertaTokenizer", false},
                                      {"xlm-roberta", "XLMRobertaTokenizer", false}};

/// The class that AutoTokenizer of transformers takes. `declared` is the one that a file names, empty without one.
std::string_view class_for(std::string_view model_type, std::string_view declared, const JsonValue& root) {
  const auto known =
      std::find_if(std::begin(kRegistered), std::end(kRegistered), [&](const Registered& r) { return r.model_type == model_type; });
  const bool registered = known != std::end(kRegistered);
  const std::string_view named = without_fast(declared);
  if (named.empty()) return registered ? known->class_name : "TokenizersBackend";
  if (registered && known->own) return known->class_name;
  // Llama 3 and its kin name a class that would build sentencepiece's splits.
  if (named == "LlamaTokenizer" && is_byte_level(root)) return "TokenizersBackend";
  return named;
}

}  // namespace

void choose_class(Settings& s, const JsonDocument* config, const JsonDocument* model, const JsonValue& root) {
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
  if (place != nullptr && std::find(std::begin(kRefused), std::end(kRefused), s.class_name) != std::end(kRefused)) {
    place->root()
        .get("tokenizer_class")
        .fail(fmt::format("{} builds another tokenizer than tokenizer.json says, which is not supported; 'PreTrainedTokenizerFast' in its "
                          "place takes the file as it stands",
                          declared));
  }
}

}  // namespace lazuli::tokenizer
