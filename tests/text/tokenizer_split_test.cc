// Checks how texts are split before merging: expressions, what they may take, scripts and lengths.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "text/tokenizer_load_fixture.h"

namespace lazuli {
namespace {

using json = test::JsonTree;

json split_file(const std::string& expression) {
  json file = small_file();
  file["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers",
                            {{{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Isolated"}, {"invert", false}},
                             {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  return file;
}

TEST_F(TokenizerLoad, RunsOtherSplitExpressions) {
  EXPECT_EQ(load(split_file("b(?=a)")).encode("abab"), (std::vector<std::int32_t>{0, 1, 2}));
  expect_refused(split_file("(a"), "offset");
  expect_refused(split_file("[a&&b]"), "&&");
  json file = split_file("a");
  file["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Scattered";
  expect_refused(file, "Scattered");
}

TEST_F(TokenizerLoad, StopsRunawayExpressions) {
  const Tokenizer tokenizer = load(split_file("(a|aa)+$(?<!a)"));
  EXPECT_THROW(tokenizer.encode(std::string(60, 'a')), ValueError);
}

TEST_F(TokenizerLoad, BoundsWhatAllMatchesOfATextMayTakeAndNamesTheExpression) {
  const auto seconds_since = [](auto start) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  const std::string run(1'000'000, 'a');
  for (const std::string expression : {"(a+)+b", "a+b", "a+[bc]", "a*[bc]", "(?:a|x)+?[bc]", "a(?=a*b)"}) {
    const Tokenizer tokenizer = load(split_file(expression));
    const auto start = std::chrono::steady_clock::now();
    // The last one ends in what may follow, where the search cannot tell at once that nothing does.
    for (const std::string& text : {run, run + "\n" + "b"}) {
      try {
        EXPECT_FALSE(tokenizer.encode(text).empty()) << expression;
      } catch (const ValueError& error) {
        EXPECT_NE(std::string(error.what()).find(expression), std::string::npos) << error.what();
      }
    }
    // Quadratic time would be hours.
    EXPECT_LT(seconds_since(start), 30) << expression;
  }
  EXPECT_THROW(load(split_file("a(?=a*b)")).encode(run), ValueError);
  json replacing = small_file();
  replacing["normalizer"] = {{"type", "Replace"}, {"pattern", {{"Regex", "a(?=a*b)"}}}, {"content", "b"}};
  EXPECT_THROW(load(replacing).encode(run), ValueError);
}

TEST_F(TokenizerLoad, TheBudgetIsFarAboveWhatOrdinaryExpressionsTake) {
  const std::string words = R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}{1,3}(?=\p{N}*$)| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]|\s+(?!\S)|\s+)";
  const Tokenizer tokenizer = load(split_file(words));
  for (const auto& [unit, count] : std::vector<std::pair<std::string, std::size_t>>{
           {"ab", 1'000'000}, {"a  b\n", 1'000'000}, {" ", 300'000}, {"aaaa bb ", 1'000'000}, {"\n", 1'000'000}, {"1", 3'000}}) {
    std::string text;
    while (text.size() < count) text += unit;
    EXPECT_NO_THROW(tokenizer.encode(text)) << unit;
  }
}

TEST_F(TokenizerLoad, FindsWhatAnExpressionSeesOnlyFarAhead) {
  // Expected: which bytes are matched, the rest being isolated as well.
  const auto count = [&](const std::string& expression, const std::string& text) {
    json file = small_file();
    file["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Removed"}, {"invert", true}};
    file["model"] = {{"type", "WordLevel"}, {"vocab", {{"?", 0}}}, {"unk_token", "?"}};
    file["added_tokens"] = json::array();
    return load(file).encode(text).size();
  };
  for (const std::size_t length : {1U, 63U, 64U, 255U, 256U, 257U, 1023U, 1024U, 1025U, 5000U, 70'000U}) {
    const std::string run(length, 'x');
    EXPECT_EQ(count("ax*b", "a" + run + "ba" + run + "b"), 2U) << length;
    EXPECT_EQ(count("ax*b", "a" + run + "ca" + run + "b"), 1U) << length;
    EXPECT_EQ(count("x+(?!x)", run + " " + run), 2U) << length;
    EXPECT_EQ(count("a(?=x*b)|(?<!x)x+$", "a" + run + "b" + run + "\n" + run), 3U) << length;
    EXPECT_EQ(count("(?<=b)x+\\b|\\Aa", "a" + run + "b" + run), 2U) << length;
    EXPECT_EQ(count("x*", run + "b" + run), 2U) << length;
    EXPECT_EQ(count("b|\\z", run + "b" + run), 1U) << length;
    EXPECT_EQ(count("x{3}", run), length / 3) << length;
    std::string accents;
    for (std::size_t i = 0; i < length; ++i) accents += "\u00e9";
    EXPECT_EQ(count("[\\x{e9}]+|b", accents + "b" + accents), 3U) << length;
    EXPECT_EQ(count("(?i)\u00c9", accents), length) << length;
  }
  expect_refused(split_file("\\Ga"), "\\G");
}

TEST_F(TokenizerLoad, SplitsByScriptAndLength) {
  json file = small_file();
  file["added_tokens"] = json::array();
  file["model"] = {{"type", "WordLevel"}, {"vocab", json::object()}, {"unk_token", "?"}};
  const auto ids = [&](const json& splitter, const std::vector<std::string>& words, const std::string& text) {
    file["pre_tokenizer"] = splitter;
    file["model"]["vocab"] = {{"?", 0}};
    for (const std::string& word : words) file["model"]["vocab"][word] = file["model"]["vocab"].size();
    return load(file).encode(text);
  };
  const json scripts = {{"type", "UnicodeScripts"}};
  EXPECT_EQ(ids(scripts, {"ab cd ", "\u65e5\u672c\u3054\u30ab\u30fc", "12", "."},
                "  ab cd \u65e5\u672c\u3054\u30ab\u30fc"
                "12"),
            (std::vector<std::int32_t>{1, 2, 3}));
  EXPECT_EQ(ids(scripts, {"a"}, "   "), (std::vector<std::int32_t>{}));
  EXPECT_EQ(ids({{"type", "FixedLength"}, {"length", 2}}, {"a\u00e9", "cd", "e"},
                "a\u00e9"
                "cde"),
            (std::vector<std::int32_t>{1, 2, 3}));
  EXPECT_EQ(ids({{"type", "FixedLength"}}, {"abcde", "f"}, "abcdef"), (std::vector<std::int32_t>{1, 2}));
}

}  // namespace
}  // namespace lazuli
