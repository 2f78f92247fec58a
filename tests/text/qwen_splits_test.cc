// Checks that Qwen3.5's class keeps marks with the letters that they stand on, and Qwen2's does not.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lazuli/tokenizer.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

std::vector<int32_t> ids_of_marked_letter(const std::string& model_type) {
  const test::TempFolder folder;
  folder.write("config.json", fmt::format(R"({{"model_type": "{}"}})", model_type));
  folder.write("tokenizer.json", R"({"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
    "post_processor": null, "decoder": null, "model": {"type": "BPE", "vocab": {"x": 0, "t": 1, "Ì": 2, "Ħ": 3, "xÌ": 4},
    "merges": [["x", "Ì"]]}})");
  return Tokenizer::load(folder.path()).encode("x\u0304t");
}

// As AutoTokenizer of transformers 5.24 gives them: the letter and the first byte of its mark merge where one piece has both.
TEST(QwenSplits, MarksStayWithTheirLettersInQwen35) {
  for (const char* type : {"qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"}) {
    EXPECT_THAT(ids_of_marked_letter(type), testing::ElementsAre(4, 3, 1)) << type;
  }
  for (const char* type : {"qwen2", "qwen3", "qwen3_next"}) {
    EXPECT_THAT(ids_of_marked_letter(type), testing::ElementsAre(0, 2, 3, 1)) << type;
  }
}

}  // namespace
}  // namespace lazuli
