// Defines folders of sentence-transformers with a tiny encoder, put together from tests/data.
#pragma once

#include <filesystem>
#include <string>

#include "support/source_folder.h"

namespace lazuli::test {

inline std::string data_folder(const std::string& name) { return source_folder() + "/tests/data/" + name; }

/// Fills `folder` with the encoder, its tokenizer, and the modules of `variant` of tests/data/tiny-sentences; none for an empty name.
inline void make_tiny_sentences(const std::string& folder, const std::string& variant) {
  namespace fs = std::filesystem;
  fs::create_directories(folder);
  fs::copy(data_folder("tiny-bert/config.json"), folder + "/config.json");
  fs::copy(data_folder("tiny-bert/model.safetensors"), folder + "/model.safetensors");
  fs::copy(data_folder("tiny-sentences/tokenizer.json"), folder + "/tokenizer.json");
  if (!variant.empty()) fs::copy(data_folder("tiny-sentences/" + variant), folder, fs::copy_options::recursive);
}

}  // namespace lazuli::test
