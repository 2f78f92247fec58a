// Implements the notices about settings of generation_config.json.
#include "cli/generation_notices.h"

#include <fmt/format.h>

#include "lazuli/notice.h"

namespace lazuli::cli {

void tell_of_settings(const GenerationConfig& config, const GenerateOptions& options) {
  std::vector<std::string> missing;
  if (!config.sampling.empty() && options.sampler.temperature == 0) missing.push_back(config.sampling);
  if (!config.repetition.empty() && options.sampler.repetition_penalty == 1) missing.push_back(config.repetition);
  if (options.stop.empty()) {
    for (const std::string& text : config.stop) missing.push_back(fmt::format("--stop '{}'", text));
  }
  if (!missing.empty()) notice(fmt::format("generation_config.json asks for {}, which only options turn on", fmt::join(missing, " ")));
  if (config.others.empty()) return;
  notice(fmt::format("generation_config.json asks for {}, which is not supported and not done", fmt::join(config.others, ", ")));
}

}  // namespace lazuli::cli
