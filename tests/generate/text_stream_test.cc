// Checks that text comes out of tokens in their order, whatever is held back on the way.
#include "generate/text_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/source_folder.h"

namespace lazuli {
namespace {

using testing::ElementsAre;

class TextStreamOf : public testing::Test {
 protected:
  int32_t token(std::string_view spelling) const { return tokenizer_.token_to_id(spelling).value(); }
  /// The text of tokens, as the caller gets it and as the result keeps it.
  std::string text_of(const std::vector<std::string>& stop, const std::vector<int32_t>& tokens) {
    std::string text;
    const TextCallback on_text = [&](std::string_view piece) {
      pieces_.emplace_back(piece);
      return true;
    };
    TextStream stream(tokenizer_, stop, on_text, text);
    for (int32_t token : tokens) reason_ = stream.feed(token);
    stream.end();
    stopped_ = stream.stopped();
    std::string streamed;
    for (const std::string& piece : pieces_) streamed += piece;
    EXPECT_EQ(streamed, text);
    return text;
  }

  Tokenizer tokenizer_ = Tokenizer::load(source_folder() + "/models/pycoder-16m");
  std::vector<std::string> pieces_;
  std::optional<FinishReason> reason_;
  bool stopped_ = false;
};

// The first byte of a character of two is spelled Ã in the byte-level alphabet.
TEST_F(TextStreamOf, AHalfStopTextComesBeforeTheHalfCharacterAfterIt) {
  EXPECT_EQ(text_of({"xyz"}, {token("a"), token("x"), token("y"), token("Ã")}), "axy\uFFFD");
  EXPECT_THAT(pieces_, ElementsAre("a", "", "", "", "xy\uFFFD"));
  EXPECT_FALSE(stopped_);
}

TEST_F(TextStreamOf, AHalfStopTextIsTextWhereNothingFollows) {
  EXPECT_EQ(text_of({"xyz"}, {token("a"), token("x"), token("y")}), "axy");
  EXPECT_THAT(pieces_, ElementsAre("a", "", "", "xy"));
}

TEST_F(TextStreamOf, AHalfCharacterCanEndAStopText) {
  EXPECT_EQ(text_of({"x\uFFFD"}, {token("a"), token("x"), token("Ã")}), "a");
  EXPECT_TRUE(stopped_);
}

TEST_F(TextStreamOf, NothingFollowsAStopText) {
  EXPECT_EQ(text_of({"zz", "xy"}, {token("a"), token("z"), token("x"), token("y")}), "az");
  EXPECT_EQ(reason_, FinishReason::stop);
  EXPECT_TRUE(stopped_);
}

TEST_F(TextStreamOf, AStopTextEndsTheTextEvenWhereTheCallerDoes) {
  std::string text;
  const TextCallback refuses = [](std::string_view) { return false; };
  TextStream stream(tokenizer_, {"x"}, refuses, text);
  EXPECT_EQ(stream.feed(token("a")), FinishReason::cancelled);
  EXPECT_EQ(stream.feed(token("x")), FinishReason::stop);
}

TEST_F(TextStreamOf, WithoutACallerTheTextIsKept) {
  std::string text;
  const TextCallback none;
  TextStream stream(tokenizer_, {}, none, text);
  EXPECT_EQ(stream.feed(token("a")), std::nullopt);
  stream.end();
  EXPECT_EQ(text, "a");
}

}  // namespace
}  // namespace lazuli
