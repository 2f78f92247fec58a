// Declares what the folder of a model says about itself: which modules it lists, and whether it holds an encoder.
#pragma once

#include <string>
#include <vector>

#include "lazuli/safetensors.h"

namespace lazuli {

/// One entry of the `modules.json` of sentence-transformers.
struct ModuleEntry {
  std::string kind;  ///< the class, without its packages: Transformer, Pooling, Dense or Normalize
  std::string path;  ///< of its folder, below the model's; empty for that one itself
};

/// The entries of a folder's `modules.json`: Transformer, Pooling and what comes after them; none without the file. Throws IoError, and
/// FormatError naming the entry and what was expected.
std::vector<ModuleEntry> read_module_list(const std::string& folder);

/// Where the configuration and weights of the transformer are: the folder itself, or that of its first module.
std::string transformer_folder(const std::string& folder);

/// Whether the folder's configuration has the architecture of an encoder. Throws IoError and FormatError.
bool holds_encoder(const std::string& folder);

/// The dtype of most of the weights among f32, bf16 and f16; f32 where there are none of these. A model mapped in it takes no memory of its
/// own.
DType stored_dtype(const Checkpoint& checkpoint);

}  // namespace lazuli
