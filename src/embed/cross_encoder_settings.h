// Defines CrossEncoderSettings, what a folder says about a cross-encoder besides its weights.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "io/model_folder.h"
#include "models/activation.h"

namespace lazuli {

struct CrossEncoderSettings {
  bool decoder = false;             ///< scores are logits of tokens; else a classification head makes them
  int32_t true_id = -1;             ///< of a decoder: the token that says that a text fits; -1: the tokenizer finds it
  std::optional<int32_t> false_id;  ///< and the one that says that it does not; none: the first one's logit is the score
  std::string transformer;          ///< the folder of its transformer below this one; empty: this one
  Activation activation = nullptr;  ///< of the head's numbers; null: sigmoid for one label, nothing for more
  std::map<std::string, std::string> prompts;
  std::string default_prompt;  ///< its name; empty: none

  /// Reads `modules.json`, `config_sentence_transformers.json` and the configuration of the transformer. Throws IoError, and
  /// FormatError naming the file and what was expected.
  static CrossEncoderSettings read(ModelFolder& folder);
};

}  // namespace lazuli
