// Declares what the generation_config.json of a model asks for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/model_folder.h"

namespace lazuli {

/// The tokens that end a text, and settings that would change which tokens are chosen.
struct GenerationConfig {
  std::optional<std::vector<int64_t>> eos_token_ids;  ///< these come before those of config.json; nothing where the file says none
  std::string sampling;                               ///< options that ask for the same draws; empty: it takes the most probable token
  std::string repetition;                             ///< the option that asks for its penalty; empty for none
  std::vector<std::string> stop;                      ///< its `stop_strings`
  std::vector<std::string> others;                    ///< names of settings that have no option
};

/// Of a model's folder; nothing set without the file. Ids outside the vocabulary are told and left out. Throws IoError and FormatError.
GenerationConfig read_generation_config(ModelFolder& folder, int64_t vocab_size);

}  // namespace lazuli
