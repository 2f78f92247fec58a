// Writes the folder of a small Llama model that the program can load and train in moments.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "lazuli/safetensors.h"
#include "support/tiny_llama.h"

namespace lazuli::test {

/// Texts of the letters a to d are its whole language; b after a is one token.
inline constexpr const char* kTinyTokenizer = R"({"added_tokens": [], "decoder": {"type": "ByteLevel"},
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
  "model": {"type": "BPE", "vocab": {"a": 1, "b": 2, "ab": 3, "c": 4, "d": 5, "end": 0}, "merges": ["a b"]}})";

inline void write_tiny_llama(const std::string& folder) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/config.json") << kTinyLlamaConfig;
  std::ofstream(folder + "/tokenizer.json") << kTinyTokenizer;
  save_safetensors(folder + "/model.safetensors", tiny_llama_weights());
}

}  // namespace lazuli::test
