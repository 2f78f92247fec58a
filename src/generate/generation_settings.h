// Declares what generation_config.json asks for beyond the tokens that end a text.
#pragma once

#include <string>
#include <vector>

namespace lazuli {

/// Settings of a model's generation_config.json that would change which tokens are chosen.
struct GenerationSettings {
  std::string sampling;             ///< options that ask for the same draws; empty where it takes the most probable token
  std::string repetition;           ///< the option that asks for its penalty; empty for none
  std::vector<std::string> stop;    ///< its `stop_strings`
  std::vector<std::string> others;  ///< names of those that have no option
};

/// Of a model's folder; nothing set without the file. Throws IoError and FormatError.
GenerationSettings read_generation_settings(const std::string& folder);

}  // namespace lazuli
