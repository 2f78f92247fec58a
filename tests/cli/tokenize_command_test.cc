// Checks the commands tokenize and fuse: what they print and what they refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/program.h"
#include "lazuli/tokenizer.h"

namespace lazuli {
namespace {

using testing::HasSubstr;

const std::string kText = "def main():\n    return 1 <|endoftext|>";

class TokenizeCommand : public testing::Test {
 protected:
  struct Result {
    int code;
    std::string out, err;
  };
  Result run(std::vector<std::string> arguments) const {
    const Program program(folder_, arguments);
    const int code = program.wait();
    return {code, program.out(), program.err()};
  }
  Result tokenize(std::vector<std::string> more) const {
    more.insert(more.begin(), {"tokenize", "--model", model_folder()});
    return run(std::move(more));
  }
  TestFolder folder_;
};

TEST_F(TokenizeCommand, JsonHasIdsAndTokens) {
  const Tokenizer tokenizer = Tokenizer::load(model_folder());
  for (const bool special : {true, false}) {
    std::vector<std::string> arguments = {"--text", kText, "--json"};
    if (!special) arguments.emplace_back("--no-special");
    const Result r = tokenize(arguments);
    ASSERT_EQ(r.code, 0) << r.err;
    const JsonDocument document = JsonDocument::parse(r.out, "stdout");
    std::vector<int32_t> ids;
    for (const JsonValue id : document.root().get("ids").as_array()) ids.push_back(static_cast<int32_t>(id.as_int()));
    EXPECT_EQ(ids, tokenizer.encode(kText, special, special));
    EXPECT_EQ(document.root().get("tokens").as_array().size(), ids.size());
  }
}

TEST_F(TokenizeCommand, DecodeUndoesIt) {
  const std::string ids = tokenize({"--text", kText, "--ids"}).out;
  EXPECT_EQ(tokenize({"--decode", "--text", ids}).out, kText + "\n");
  std::ofstream(folder_ / "ids.txt") << "[" << ids << "]";
  EXPECT_EQ(tokenize({"--decode", "--input", folder_ / "ids.txt"}).out, kText + "\n");
}

TEST_F(TokenizeCommand, LinesHaveIdAndSpelling) {
  EXPECT_EQ(tokenize({"--text", "def"}).out.find("def"), 10U);
  EXPECT_EQ(tokenize({"--text", "def", "--quiet"}).err, "");
}

TEST_F(TokenizeCommand, WhatIsWrongIsNamed) {
  EXPECT_EQ(tokenize({}).code, 2);
  EXPECT_EQ(tokenize({"--text", "a", "--input", "b"}).code, 2);
  const Result words = tokenize({"--decode", "--text", "1 two"});
  EXPECT_EQ(words.code, 1);
  EXPECT_THAT(words.err, HasSubstr("'two'"));
  EXPECT_EQ(tokenize({"--input", "/no/file"}).code, 1);
  for (const char* word : {"-1", "2147483648", "1.5", "2x", "x2"}) {
    EXPECT_THAT(tokenize({"--decode", "--text", std::string("1, ") + word}).err,
                HasSubstr("[tokenize] a token id is expected, got '" + std::string(word) + "'"));
  }
  const Result beyond = tokenize({"--decode", "--text", "0 99999"});
  EXPECT_EQ(beyond.code, 1);
  EXPECT_THAT(beyond.err, HasSubstr("[tokenize] the id 99999 is not in the vocabulary"));
  EXPECT_EQ(tokenize({"--decode", "--text", "[0, 0]"}).out, "<|endoftext|><|endoftext|>\n");
  EXPECT_EQ(tokenize({"--decode", "--text", "[0]", "--no-special"}).out, "\n");
}

TEST_F(TokenizeCommand, TextThatIsNotUTF8IsConvertedOrRefused) {
  const std::string ids = tokenize({"--text", "def", "--ids"}).out;
  for (const auto& [bytes, said] : std::map<std::string, std::string>{{"\xef\xbb\xbf"
                                                                       "def",
                                                                       ""},
                                                                      {std::string("\xff\xfe"
                                                                                   "d\0e\0f\0",
                                                                                   8),
                                                                       "was read as UTF-16"}}) {
    std::ofstream(folder_ / "text.txt") << bytes;
    const Result r = tokenize({"--input", folder_ / "text.txt", "--ids"});
    EXPECT_EQ(r.out, ids);
    EXPECT_THAT(r.err, HasSubstr(said));
  }
  std::ofstream(folder_ / "text.txt") << "caf\xe9";
  const Result file = tokenize({"--input", folder_ / "text.txt"});
  EXPECT_EQ(file.code, 1);
  EXPECT_THAT(file.err, HasSubstr("byte 3 (line 1) is 0xe9"));
  const std::string broken = "caf\xe9";
  const std::vector<std::vector<std::string>> options = {
      {"tokenize", "--text", broken},
      {"generate", "--prompt", broken},
      {"generate", "--prompt", "a", "--stop", broken},
      {"similar", "--input", folder_ / "text.txt", "--query", broken},
  };
  for (std::vector<std::string> words : options) {
    const std::string option = words[words.size() - 2];
    words.insert(words.end(), {"--model", model_folder()});
    const Result r = run(words);
    EXPECT_EQ(r.code, 2) << option;
    EXPECT_THAT(r.err, HasSubstr(option + ": UTF-8 expected, got the byte 0xe9 at offset 3"));
  }
}

TEST_F(TokenizeCommand, FuseMergesAnAdapter) {
  std::ofstream(folder_ / "text.txt") << "one two three four five six\n";
  ASSERT_EQ(run({"finetune", "--model", model_folder(), "--data", folder_ / "text.txt", "--adapter-path", folder_ / "adapter", "--iters",
                 "0", "--quiet"})
                .code,
            0);
  const std::vector<std::string> arguments = {"fuse",        "--model",         model_folder(), "--adapter-path", folder_ / "adapter",
                                              "--save-path", folder_ / "fused", "--json"};
  const Result r = run(arguments);
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(JsonDocument::parse(r.out, "stdout").root().get("layers").as_int(), 56);
  // The factors b of a new adapter are zero, so the weights stay what they are.
  EXPECT_TRUE(read_file(folder_ / "fused/model.safetensors", 1 << 30) == read_file(model_folder() + "/model.safetensors", 1 << 30));
  const Result again = run(arguments);
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, HasSubstr("new or empty"));
}

}  // namespace
}  // namespace lazuli
