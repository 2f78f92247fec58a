// Checks tokenizers of every kind against ids and texts written by the tokenizers package (scripts/check_tokenizers.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "lazuli/tokenizer.h"
#include "support/json_tree.h"
#include "support/source_folder.h"

namespace lazuli {
namespace {

const std::string kKinds = source_folder() + "/tests/text/tokenizer_data/";

const test::JsonTree& golden() {
  static const auto rows = test::JsonTree::read(kKinds + "golden_kinds.json");
  return rows;
}

class TokenizerKinds : public testing::TestWithParam<const char*> {
 protected:
  Tokenizer tokenizer_ = Tokenizer::load(kKinds + GetParam() + ".json");
};

TEST_P(TokenizerKinds, GiveTheIdsAndTextOfTheTokenizersPackage) {
  const auto& rows = golden().at(GetParam());
  ASSERT_GE(rows.size(), 100U);
  for (const auto& row : rows) {
    const auto input = row.at("input").get<std::string>();
    const auto ids = row.at("ids").get<std::vector<std::int32_t>>();
    const auto text = row.value("text", input);
    EXPECT_EQ(tokenizer_.encode(input), ids) << row;
    EXPECT_EQ(tokenizer_.encode(input, false), row.value("ids_plain_special", ids)) << row;
    EXPECT_EQ(tokenizer_.decode(ids, true), text) << row;
    EXPECT_EQ(tokenizer_.decode(ids, false), row.value("text_with_special", text)) << row;
  }
}

TEST_P(TokenizerKinds, StreamedTextEqualsDecodedTextHoweverItIsCut) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::int32_t> ids(random() % 30);
    for (auto& id : ids) id = static_cast<std::int32_t>(random() % static_cast<unsigned>(tokenizer_.vocab_size()));
    Tokenizer::StreamDecoder stream(tokenizer_, round % 2 == 0);
    // The same decoder serves text after text.
    for (int again = 0; again < 2; ++again) {
      std::string joined;
      for (std::size_t pos = 0; pos < ids.size();) {
        const std::size_t count = std::min<std::size_t>(random() % 4, ids.size() - pos);
        joined += stream.feed(std::span(ids).subspan(pos, count));
        pos += count;
      }
      joined += stream.flush();
      EXPECT_EQ(joined, tokenizer_.decode(ids, round % 2 == 0));
    }
  }
}

TEST_P(TokenizerKinds, TakeLongTextsInTimeInProportion) {
  for (const std::string unit :
       {"a", "=", " ", "\n", "\u4F60", "e\u0301", "\u0301\u0323", "\uE000", "ab ", "\u2581", "\uFDFA", "``", "e"}) {
    std::string text;
    while (text.size() < 200'000) text += unit;
    const auto start = std::chrono::steady_clock::now();
    const auto ids = tokenizer_.encode(text);
    tokenizer_.decode(ids, true);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    // A quadratic step would take minutes.
    EXPECT_LT(seconds.count(), 10.0) << unit;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, TokenizerKinds,
                         testing::Values("bert", "bert_cased", "llama2", "metaspace", "suffix", "prefix", "t5", "albert", "sentencepiece",
                                         "unigram_bytes"));

TEST(TokenizerStream, GivesTextAsSoonAsNoLaterIdCanChangeIt) {
  const Tokenizer tokenizer = Tokenizer::load(kKinds + "llama2.json");
  const auto ids = tokenizer.encode("the end \U0001F9FF.");
  Tokenizer::StreamDecoder stream(tokenizer);
  std::string text;
  for (const auto id : ids) {
    const std::string part = stream.feed(id);
    // Only the bytes of the character that the vocabulary lacks wait.
    const auto token = tokenizer.id_to_token(id).value_or("");
    EXPECT_EQ(part.empty(), token.starts_with("<0x")) << token;
    text += part;
  }
  EXPECT_EQ(text + stream.flush(), "the end \U0001F9FF.");
}

}  // namespace
}  // namespace lazuli
