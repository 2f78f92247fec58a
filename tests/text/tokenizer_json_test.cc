// Checks what becomes of values in a tokenizer.json that only Python's json reads, and of keys that occur twice.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer_load_fixture.h"

namespace lazuli {
namespace {

using Ids = std::vector<std::int32_t>;

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

class TokenizerJson : public TokenizerLoad {
 protected:
  Ids ids(const std::string& text) const {
    write("tokenizer.json", text);
    return Tokenizer::load(folder_).encode("abab a");
  }
  const std::string file_ = small_file().dump();
};

TEST_F(TokenizerJson, NumbersThatNobodyReadsMayBeAnything) {
  EXPECT_EQ(ids(replaced(file_, "{", R"({"x":[NaN,1e999,123456789012345678901234567890],)")), (Ids{3, 4, 0}));
}

TEST_F(TokenizerJson, NumbersThatCountAreRefusedAtTheirPlace) {
  const std::string scores = R"({"model":{"type":"Unigram","unk_id":0,"vocab":[["a",-1.0],["b",SCORE]]}})";
  for (const std::string number : {"NaN", "-Infinity", "-1e400"}) {
    expect_text_refused(replaced(scores, "SCORE", number), "$.model.vocab[1][1]: a finite number expected, got " + number);
  }
  EXPECT_NO_THROW(ids(replaced(scores, "SCORE", "-12345678901234567890123"))) << "rounded";
  expect_text_refused(replaced(file_, "\"id\":5", "\"id\":NaN"), "$.added_tokens[0].id: an integer of 64 bits expected, got NaN");
  expect_text_refused(replaced(file_, "\"id\":5", "\"id\":123456789012345678901"), "expected, got 123456789012345678901");
  expect_text_refused(replaced(file_, "\"abab\":3", "\"abab\":123456789012345678901"), "id of \"abab\" must be an integer in 0 to");
  expect_text_refused(replaced(file_, "\"type\":\"BPE\"", "\"type\":\"BPE\",\"dropout\":NaN"), "$.model.dropout: a finite number expected");
}

TEST_F(TokenizerJson, HalvesOfCharactersAreRefusedWhereTheyAreText) {
  const std::string half = "a string of whole characters expected, got one with half of a surrogate pair";
  expect_text_refused(replaced(file_, "<s>", R"(<\ud83d>)"), "$.added_tokens[0].content: " + half);
  expect_text_refused(replaced(file_, R"("ab ab")", R"("ab \udc00")"), "$.model.merges[1]: " + half);
  expect_text_refused(replaced(file_, R"("ab ab")", R"(["ab","\udc00"])"), "$.model.merges[1][1]: " + half);
  EXPECT_EQ(ids(replaced(file_, "<s>", R"(<\ud83d\ude80>)")), (Ids{3, 4, 0})) << "both halves";
  // A token of the vocabulary that no text can have does no harm.
  EXPECT_EQ(ids(replaced(file_, "\"\u0120\":4", R"("\ud800":4)")).size(), 2U);
  expect_text_refused(replaced(file_, "<s>", "<\xff>"), "UTF-8 expected, got byte 0xff");
}

TEST_F(TokenizerJson, TheLastOfKeysThatOccurTwiceCounts) {
  EXPECT_EQ(ids(replaced(file_, "\"model\":", R"("model":3,"model":)")), (Ids{3, 4, 0}));
  EXPECT_EQ(ids(replaced(file_, "\"merges\":", R"("merges":[["b","a"]],"merges":)")), (Ids{3, 4, 0}));
  expect_text_refused(replaced(file_, "\"a\":0", "\"a\":0,\"a\":9"), "token \"a\" occurs twice");
}

}  // namespace
}  // namespace lazuli
