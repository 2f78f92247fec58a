// Implements the reading of generation_config.json.
#include "io/generation_config.h"

#include <fmt/format.h>

#include <string_view>

#include "io/model_config.h"

namespace lazuli {

namespace {

/// Settings without an option, with the number that means the same as none; those that are lists or objects mean none by being empty.
struct Setting {
  const char* key;
  double none;
};
constexpr Setting kOtherSettings[] = {{"no_repeat_ngram_size", 0},
                                      {"min_length", 0},
                                      {"min_new_tokens", 0},
                                      {"num_beams", 1},
                                      {"guidance_scale", 1},
                                      {"typical_p", 1},
                                      {"epsilon_cutoff", 0},
                                      {"eta_cutoff", 0},
                                      {"top_h", 1},
                                      {"penalty_alpha", 0},
                                      {"max_time", -1},
                                      {"forced_bos_token_id", -1},
                                      {"forced_eos_token_id", -1},
                                      {"bad_words_ids", 0},
                                      {"sequence_bias", 0},
                                      {"suppress_tokens", 0},
                                      {"begin_suppress_tokens", 0},
                                      {"exponential_decay_length_penalty", 0},
                                      {"force_words_ids", 0},
                                      {"constraints", 0},
                                      {"dola_layers", 0},
                                      {"watermarking_config", 0},
                                      {"token_healing", 0}};

bool says_something(const JsonValue& v, double none) {
  if (v.is_null()) return false;
  if (v.is_bool()) return v.as_bool();
  if (v.is_number()) return v.as_double() != none;
  if (v.is_array()) return v.as_array().size() > 0;
  if (!v.is_object()) return true;
  const JsonObject members = v.as_object();
  return members.begin() != members.end();
}

double number_or(const JsonValue& root, std::string_view key, double fallback) {
  const auto v = set_key(root, key);
  return v ? v->as_double() : fallback;
}

/// transformers draws with a temperature of 1 from the 50 most probable tokens where the file does not say.
std::string sampling_options(const JsonValue& root) {
  if (!root.bool_or("do_sample", false)) return {};
  std::string text = fmt::format("--temp {}", number_or(root, "temperature", 1));
  if (const double k = number_or(root, "top_k", 50); k > 0) text += fmt::format(" --top-k {}", k);
  if (const double p = number_or(root, "top_p", 1); p != 1) text += fmt::format(" --top-p {}", p);
  if (const double p = number_or(root, "min_p", 0); p != 0) text += fmt::format(" --min-p {}", p);
  return text;
}

}  // namespace

GenerationConfig read_generation_config(ModelFolder& folder, int64_t vocab_size) {
  GenerationConfig settings;
  const auto document = folder.find("generation_config.json");
  if (!document) return settings;
  const JsonValue root = document->root();
  if (const auto ids = set_key(root, "eos_token_id")) settings.eos_token_ids = read_token_ids(*document, *ids, vocab_size);
  settings.sampling = sampling_options(root);
  if (const double penalty = number_or(root, "repetition_penalty", 1); penalty != 1) {
    settings.repetition = fmt::format("--repetition-penalty {}", penalty);
  }
  if (const auto stop = set_key(root, "stop_strings"); stop && stop->is_string()) {
    settings.stop.emplace_back(stop->as_string());
  } else if (stop) {
    for (const JsonValue& text : stop->as_array()) settings.stop.emplace_back(text.as_string());
  }
  for (const auto& [key, none] : kOtherSettings) {
    if (const auto v = root.find(key); v && says_something(*v, none)) settings.others.emplace_back(key);
  }
  return settings;
}

}  // namespace lazuli
