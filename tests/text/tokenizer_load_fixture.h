// Defines TokenizerLoad, which loads tokenizers from files made up by a test, and a small such file.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "lazuli/error.h"
#include "lazuli/tokenizer.h"
#include "support/json_tree.h"
#include "support/temp_folder.h"

namespace lazuli {

class TokenizerLoad : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const { temporary_.write(name, text); }

  Tokenizer load(const test::JsonTree& file) const {
    write("tokenizer.json", file.dump());
    return Tokenizer::load(folder_);
  }

  // Loading fails with an error that names the file and `part`.
  void expect_refused(const test::JsonTree& file, const std::string& part) const { expect_text_refused(file.dump(), part); }
  void expect_text_refused(const std::string& text, const std::string& part) const {
    write("tokenizer.json", text);
    try {
      Tokenizer::load(folder_);
      ADD_FAILURE() << "accepted: " << text.substr(0, 300);
    } catch (const FormatError& error) {
      EXPECT_NE(std::string(error.what()).find("tokenizer.json"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }

  const test::TempFolder temporary_;
  const std::filesystem::path folder_ = temporary_.path();
};

inline test::JsonTree small_file() {
  return test::JsonTree::parse(R"({
    "added_tokens": [{"id": 5, "content": "<s>", "special": true}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "post_processor": null,
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "abab": 3, "Ġ": 4}, "merges": [["a", "b"], "ab ab"]}
  })");
}

}  // namespace lazuli
