// Declares what the commands that make text say about settings of a model which only options turn on.
#pragma once

#include "io/generation_config.h"
#include "lazuli/generate.h"

namespace lazuli::cli {

/// Defaults are mlx-lm's and not the model's, so what the model's file would have changed is told.
void tell_of_settings(const GenerationConfig& config, const GenerateOptions& options);

}  // namespace lazuli::cli
