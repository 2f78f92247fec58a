// Declares load_tokenizer, which reads the tokenizer of a model's folder that is open.
#pragma once

#include <string>

#include "io/model_folder.h"
#include "lazuli/tokenizer.h"

namespace lazuli {

/// Whether a folder has tokenizer.json, or another vocabulary that may take its place.
bool has_tokenizer(const ModelFolder& folder);

/// As Tokenizer::load; `name` is what the folder calls its tokenizer.json.
Tokenizer load_tokenizer(ModelFolder& folder, const TokenizerOptions& options = {}, const std::string& name = "tokenizer.json");

}  // namespace lazuli
