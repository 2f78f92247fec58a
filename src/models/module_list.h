// Declares which modules a model's folder lists, and what the transformer among them is.
#pragma once

#include <string>
#include <vector>

#include "io/model_folder.h"

namespace lazuli {

/// One entry of the `modules.json` of sentence-transformers.
struct ModuleEntry {
  std::string kind;  ///< the class, without its packages: Transformer, Pooling, Dense or Normalize
  std::string path;  ///< of its folder, below the model's; empty for that one itself
};

/// The entries of a folder's `modules.json`: Transformer, Pooling and what comes after them; none without the file. Throws IoError, and
/// FormatError naming the entry and what was expected.
std::vector<ModuleEntry> read_module_list(ModelFolder& folder);

/// Where the configuration and weights of the transformer are: the folder itself, or that of its first module.
ModelFolder& transformer_folder(ModelFolder& folder);

/// Whether the folder is meant for embeddings: it lists modules, or its configuration has the architecture of an encoder. Throws IoError
/// and FormatError.
bool holds_encoder(ModelFolder& folder);

}  // namespace lazuli
