// Checks encoding and decoding against ids written by the tokenizers package (scripts/check_tokenizers.py), and against hard texts.
#include "lazuli/tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "lazuli/error.h"
#include "support/json_tree.h"
#include "support/source_folder.h"

namespace lazuli {
namespace {

const std::string kSource = source_folder();
const std::string kData = kSource + "/tests/text/tokenizer_data/";
const std::string kPycoder = kSource + "/models/pycoder-16m";

test::JsonTree read_json(const std::string& path) { return test::JsonTree::read(path); }

Tokenizer load_named(const std::string& name) { return Tokenizer::load(name == "pycoder" ? kPycoder : kData + name + ".json"); }

const Tokenizer& pycoder() {
  static const Tokenizer tokenizer = Tokenizer::load(kPycoder);
  return tokenizer;
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

class TokenizerGolden : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerGolden, GivesTheIdsAndTextOfTheTokenizersPackage) {
  const Tokenizer tokenizer = load_named(GetParam());
  const auto rows = read_json(kData + "golden.json").at(GetParam());
  ASSERT_GE(rows.size(), 100U);
  for (const auto& row : rows) {
    const auto input = row.at("input").get<std::string>();
    const auto ids = row.at("ids").get<std::vector<std::int32_t>>();
    const auto text = row.value("text", input);
    EXPECT_EQ(tokenizer.encode(input), ids) << row;
    EXPECT_EQ(tokenizer.encode(input, false), row.value("ids_plain_special", ids)) << row;
    EXPECT_EQ(tokenizer.decode(ids, true), text) << row;
    EXPECT_EQ(tokenizer.decode(ids, false), row.value("text_with_special", text)) << row;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, TokenizerGolden, testing::Values("pycoder", "gpt2", "llama3", "added"));

TEST(Tokenizer, EncodesTheReferencePrompts) {
  for (const auto& row : read_json(kSource + "/tests/data/pycoder-16m/greedy.json")) {
    auto ids = pycoder().encode(row.at("prompt").get<std::string>());
    EXPECT_EQ(ids, row.at("prompt_ids").get<std::vector<std::int32_t>>());
    const auto more = row.at("greedy_ids").get<std::vector<std::int32_t>>();
    ids.insert(ids.end(), more.begin(), more.end());
    EXPECT_EQ(pycoder().decode(ids, true), row.at("text").get<std::string>());
  }
}

TEST(Tokenizer, KnowsItsTokens) {
  EXPECT_EQ(pycoder().vocab_size(), 8192);
  EXPECT_EQ(pycoder().token_to_id("<|endoftext|>"), 0);
  EXPECT_EQ(pycoder().id_to_token(0), "<|endoftext|>");
  EXPECT_TRUE(pycoder().is_special(2));
  EXPECT_FALSE(pycoder().is_special(3));
  EXPECT_EQ(pycoder().token_to_id("no such token"), std::nullopt);
  EXPECT_EQ(pycoder().id_to_token(8192), std::nullopt);
  EXPECT_EQ(pycoder().id_to_token(-1), std::nullopt);
  EXPECT_EQ(pycoder().eos_id(), 0);
  EXPECT_EQ(pycoder().pad_id(), 0);
  EXPECT_EQ(pycoder().bos_id(), std::nullopt);
  EXPECT_EQ(pycoder().eos_ids().front(), 0);
}

TEST(Tokenizer, AddsTheTemplatesTokensUnlessToldNotTo) {
  const Tokenizer tokenizer = load_named("llama3");
  auto ids = tokenizer.encode("hat", true, true);
  ASSERT_FALSE(ids.empty());
  EXPECT_EQ(ids.front(), tokenizer.token_to_id("<|endoftext|>"));
  ids.erase(ids.begin());
  EXPECT_EQ(tokenizer.encode("hat", true, false), ids);
}

TEST(Tokenizer, ReadsBytesThatAreNotUtf8AsReplacementCharacters) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a\xFF"
       "b",
       "a\uFFFDb"},
      {"\xE4\xBD", "\uFFFD"},
      {"\xC0\x80", "\uFFFD\uFFFD"},
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
      {"\xF0\x9F\x99 x", "\uFFFD x"},
      {"\xF5\x80\xE4\xBD\xA0", "\uFFFD\uFFFD\u4F60"},
  };
  for (const auto& [bytes, text] : cases) EXPECT_EQ(pycoder().encode(bytes), pycoder().encode(text)) << text;
}

TEST(Tokenizer, LeavesOutIdsThatTheVocabularyLacks) {
  const std::vector<std::int32_t> ids = {67, 8192, -1, 2'000'000'000, 68};
  EXPECT_EQ(pycoder().decode(ids, true), "ab");
}

TEST(Tokenizer, StreamedTextEqualsDecodedTextHoweverItIsCut) {
  std::mt19937 random(7);
  const std::string text = "def f(): return '\u4F60\u597D \U0001F642 caf\u00E9'<|im_end|>\n" + repeated("\U0001F44D\U0001F3FD", 5);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::int32_t> ids = pycoder().encode(text);
    // Half of the rounds decode ids in no sensible order, so that characters break.
    if (round % 2 == 1) {
      for (auto& id : ids) id = static_cast<std::int32_t>(random() % 300);
    }
    for (const bool skip : {true, false}) {
      Tokenizer::StreamDecoder stream(pycoder(), skip);
      std::string joined;
      for (std::size_t pos = 0; pos < ids.size();) {
        const std::size_t count = std::min<std::size_t>(random() % 4, ids.size() - pos);
        const std::string part = stream.feed(std::span(ids).subspan(pos, count));
        EXPECT_TRUE(part.empty() || (static_cast<unsigned char>(part.front()) & 0xC0) != 0x80);
        joined += part;
        pos += count;
      }
      joined += stream.flush();
      EXPECT_EQ(joined, pycoder().decode(ids, skip));
    }
  }
}

TEST(Tokenizer, StreamHoldsBackAnIncompleteCharacter) {
  const auto ids = pycoder().encode("\U00010348");  // four bytes, a token each
  ASSERT_GE(ids.size(), 2U);
  Tokenizer::StreamDecoder stream(pycoder());
  EXPECT_EQ(stream.feed(ids.front()), "");
  EXPECT_EQ(stream.flush(), "\uFFFD");
  EXPECT_EQ(stream.flush(), "");
  std::string text;
  for (const auto id : ids) text += stream.feed(id);
  EXPECT_EQ(text, "\U00010348");
}

TEST(Tokenizer, LongTextsTakeTimeInProportion) {
  const std::vector<std::string> units = {
      "a",       "=", " ",  "\n", " \n",    "1",    "\u4F60",   "e\u0301", "x\u0301\u0323\u0334", "\u0301\u0323", "'",
      "<|im_en", "<", "ab", " a", "\u00A0", "[x] ", "  <mask>", "foo"};
  for (const char* name : {"pycoder", "llama3", "gpt2", "added"}) {
    const Tokenizer tokenizer = load_named(name);
    for (const std::string& unit : units) {
      const std::string text = repeated(unit, 400'000 / unit.size());
      const auto start = std::chrono::steady_clock::now();
      const auto ids = tokenizer.encode(text);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      // A quadratic step would take minutes.
      EXPECT_LT(seconds.count(), 10.0) << name << ": " << unit;
      EXPECT_FALSE(ids.empty());
    }
  }
}

TEST(Tokenizer, ManyThreadsShareOne) {
  const std::string text = repeated("def main(argv):\n    return [x ** 2 for x in range(10)]  # caf\u00E9\n", 50);
  const auto expected = pycoder().encode(text);
  std::vector<std::thread> threads;
  std::vector<int> wrong(8, 0);
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      const Tokenizer other = load_named("gpt2");
      for (int i = 0; i < 10; ++i) {
        other.encode(text);
        if (pycoder().encode(text) != expected || pycoder().decode(expected, true) != text) ++wrong[t];
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(8, 0));
}

}  // namespace
}  // namespace lazuli
