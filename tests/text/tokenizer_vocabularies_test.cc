// Tests that folders without tokenizer.json are read as in transformers: ids that tokenizer_data/vocabularies/make.py took from there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "lazuli/error.h"
#include "lazuli/tokenizer.h"
#include "support/json_tree.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using json = test::JsonTree;
using test::TempFolder;
using Ids = std::vector<std::int32_t>;

std::string data_path(const std::string& name) { return source_folder() + "/tests/text/tokenizer_data/" + name; }

std::string bytes_of(const std::string& name) {
  std::ifstream file(data_path("vocabularies/" + name), std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// The vocabulary of a tokenizer.json under another name, as make.py writes it.
void write_vocabulary(const TempFolder& folder, const std::string& name, const std::string& source) {
  if (source.ends_with(".model")) return folder.write(name, bytes_of(source));
  const json model = json::read(data_path("files/" + source + ".json"))["model"];
  if (name == "vocab.json") return folder.write(name, model["vocab"].dump());
  std::string text;
  if (name == "merges.txt") {
    text = "#version: 0.2\n";
    for (const json& merge : model["merges"]) text += merge[0].get<std::string>() + " " + merge[1].get<std::string>() + "\n";
  } else {
    for (const auto& [word, id] : model["vocab"].items()) text += (text.empty() ? "" : "\n") + word;
    text += "  \r\n\nthe\nlast\u3000";
  }
  folder.write(name, text);
}

void write_case(const TempFolder& folder, const json& c) {
  for (const auto& [name, content] : c["files"].items()) folder.write(name, content.dump());
  for (const auto& [name, source] : c["vocabulary"].items()) write_vocabulary(folder, name, source.get<std::string>());
}

std::optional<std::int32_t> special_id(const json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<std::int32_t>());
}

TEST(TokenizerVocabularies, AreReadAsInTransformers) {
  const json data = json::read(data_path("vocabularies/cases.json"));
  const auto pooled = [&](const json& place) { return data["pool"][place.get<std::size_t>()].get<Ids>(); };
  for (const json& c : data["cases"]) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const TempFolder folder;
    write_case(folder, c);
    const Tokenizer tokenizer = Tokenizer::load(folder.path());
    for (std::size_t k = 0; k < data["texts"].size(); ++k) {
      EXPECT_EQ(tokenizer.encode(data["texts"][k].get<std::string>()), pooled(c["ids"][k])) << data["texts"][k].dump();
    }
    EXPECT_EQ(tokenizer.encode_pair(data["texts"][0].get<std::string>(), data["texts"][8].get<std::string>()).ids, pooled(c["pair"]));
    EXPECT_EQ(tokenizer.decode(pooled(c["ids"][3]), true), c["decoded"][0].get<std::string>());
    EXPECT_EQ(tokenizer.decode(pooled(c["ids"][5]), true), c["decoded"][1].get<std::string>());
    EXPECT_EQ(tokenizer.eos_id(), special_id(c["special"][0]));
    EXPECT_EQ(tokenizer.bos_id(), special_id(c["special"][1]));
    EXPECT_EQ(tokenizer.pad_id(), special_id(c["special"][2]));
    EXPECT_EQ(tokenizer.vocab_size(), c["size"].get<std::int32_t>());
  }
}

// Texts that spell its space are left out, to which transformers adds no other, and in unigrams control pieces, which transformers finds
// there.
TEST(TokenizerVocabularies, GiveTheIdsOfSentencepieceWhereNoClassBringsItsOwn) {
  const json data = json::read(data_path("vocabularies/cases.json"));
  std::size_t compared = 0;
  for (const json& c : data["cases"]) {
    if (!c.contains("sentencepiece")) continue;
    SCOPED_TRACE(c["name"].get<std::string>());
    const TempFolder folder;
    write_case(folder, c);
    const Tokenizer tokenizer = Tokenizer::load(folder.path());
    for (std::size_t k = 0; k < data["texts"].size(); ++k) {
      const std::string text = data["texts"][k];
      const bool spells_control = text.find("<s>") != std::string::npos || text.find("<ctl>") != std::string::npos;
      if (text.find("\u2581") != std::string::npos) continue;
      if (spells_control && c["name"].get<std::string>().find("unigram") != std::string::npos) continue;
      EXPECT_EQ(tokenizer.encode(text, false), data["pool"][c["sentencepiece"][k].get<std::size_t>()].get<Ids>()) << text;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 4 * (data["texts"].size() - 1) - 2 * 2);
}

class TokenizerVocabulary : public testing::Test {
 protected:
  void settings(const std::string& config, const std::string& model_type = "llama") const {
    folder_.write("config.json", R"({"model_type": ")" + model_type + "\"}");
    folder_.write("tokenizer_config.json", config);
  }
  std::string refusal() const {
    return test::message_of<FormatError>([&] { Tokenizer::load(folder_.path()); });
  }
  /// What is said of `bytes` as tokenizer.model.
  std::string refusal_of(const std::string& bytes) const {
    folder_.write("tokenizer.model", bytes);
    return refusal();
  }
  TempFolder folder_;
};

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}
std::string message(int field, const std::string& content) {
  return varint(static_cast<std::uint64_t>(field) << 3 | 2) + varint(content.size()) + content;
}
std::string number(int field, std::uint64_t value) { return varint(static_cast<std::uint64_t>(field) << 3) + varint(value); }
std::string piece(const std::string& text, const std::string& more = "") { return message(1, message(1, text) + more); }

TEST_F(TokenizerVocabulary, EveryTruncatedModelIsRefusedOrRead) {
  settings("{}");
  const std::string whole = bytes_of("unigram.model");
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    folder_.write("tokenizer.model", whole.substr(0, size));
    try {
      Tokenizer::load(folder_.path()).encode("the dog");
    } catch (const FormatError& error) {
      EXPECT_THAT(error.what(), HasSubstr("tokenizer.model: "));
    }
  }
}

TEST_F(TokenizerVocabulary, HostileModelsAreRefusedWithTheFileAndWhatIsWrong) {
  settings("{}");
  EXPECT_THAT(refusal_of(""), AllOf(HasSubstr("tokenizer.model: "), HasSubstr("has no pieces")));
  EXPECT_THAT(refusal_of("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
              HasSubstr("field 1 at byte 0 of a message has 9223372036854775807 bytes"));
  EXPECT_THAT(refusal_of(std::string(20, '\xff')), HasSubstr("has more than 10 bytes"));
  EXPECT_THAT(refusal_of("\x0b"), HasSubstr("wire type 3"));
  EXPECT_THAT(refusal_of(std::string(1, '\0')), HasSubstr("no field starts at byte 0"));
  EXPECT_THAT(refusal_of(number(1, 3)), HasSubstr("field 1 (pieces) has the wire type 0, expected 2"));
  EXPECT_THAT(refusal_of(piece("")), HasSubstr("piece 0 is empty"));
  EXPECT_THAT(refusal_of(piece("a") + piece("\xff")), HasSubstr("piece 1 is not UTF-8"));
  EXPECT_THAT(refusal_of(piece(std::string(1025, 'a'))), HasSubstr("1025 bytes, at most 1024"));
  EXPECT_THAT(refusal_of(piece("a", number(3, 9))), HasSubstr("the type 9, 1 to 6 expected"));
  EXPECT_THAT(refusal_of(piece("a", std::string("\x15\0\0\xc0\x7f", 5))), HasSubstr("the score of piece 0 (\"a\") is no finite number"));
  EXPECT_THAT(refusal_of(piece("a") + piece("a")), HasSubstr("piece 1 (\"a\") occurs twice"));
  EXPECT_THAT(refusal_of(piece("a") + message(2, number(3, 3))), HasSubstr("model_type 3, word, of trainer_spec is not supported"));
  EXPECT_THAT(refusal_of(piece("a") + message(2, number(3, 4))), HasSubstr("model_type 4, char,"));
  EXPECT_THAT(refusal_of(piece("a") + message(2, number(24, 1))), HasSubstr("treat_whitespace_as_suffix"));
  EXPECT_THAT(refusal_of(piece("a") + message(2, number(40, 7))), AllOf(HasSubstr("unk_id"), HasSubstr("7 is not in the vocabulary")));
  EXPECT_THAT(refusal_of(piece("a") + message(3, message(2, "abc"))), HasSubstr("is too short"));
  EXPECT_THAT(refusal_of(piece("a") + message(2, number(3, 2))), AllOf(HasSubstr("<unk>"), HasSubstr("is not in the vocabulary")));
}

// A chain of tokens, each of which is cut in all places, has as many merges as the file has bytes.
TEST_F(TokenizerVocabulary, AChainOfTokensTakesTimeAndMemoryInProportion) {
  settings(R"({"tokenizer_class": "LlamaTokenizer"})");
  std::string bytes = piece("<unk>") + piece("<s>") + piece("</s>");
  for (std::size_t length = 1; length <= 400; ++length) bytes += piece(std::string(length, 'a'));
  folder_.write("tokenizer.model", bytes + message(2, number(3, 2)));
  EXPECT_EQ(Tokenizer::load(folder_.path()).encode(std::string(400, 'a'), true, false), Ids{402});
}

TEST_F(TokenizerVocabulary, ClassesAndTheirFilesMustFit) {
  settings(R"({"tokenizer_class": "LlamaTokenizer"})");
  EXPECT_THAT(refusal_of(bytes_of("unigram.model")), HasSubstr("model_type 2 of trainer_spec expected for LlamaTokenizer, got 1"));
  settings(R"({"tokenizer_class": "XLMRobertaTokenizer"})");
  EXPECT_THAT(refusal_of(bytes_of("bpe.model")), HasSubstr("model_type 1 of trainer_spec expected for XLMRobertaTokenizer, got 2"));
  EXPECT_THAT(refusal_of(bytes_of("ranks.model")), HasSubstr("a vocabulary of tiktoken, which XLMRobertaTokenizer does not read"));
  settings(R"({"tokenizer_class": "BertTokenizer"})");
  EXPECT_THAT(refusal(), HasSubstr("takes the place of vocab.txt"));
  settings(R"({"tokenizer_class": "T5Tokenizer"})");
  EXPECT_THAT(refusal(), HasSubstr("T5Tokenizer is not supported without tokenizer.json"));
  settings("{}");
  folder_.write("tekken.json", "{}");
  EXPECT_THAT(refusal(), HasSubstr("tekken.json: is not read"));
}

TEST_F(TokenizerVocabulary, MissingFilesAreNamedWithTheClassThatReadsThem) {
  settings("{}");
  folder_.write("vocab.json", R"({"a": 0})");
  const auto missing = [&] { return test::message_of<IoError>([&] { Tokenizer::load(folder_.path()); }); };
  EXPECT_THAT(missing(),
              AllOf(HasSubstr("reads tokenizer.model for a folder without a known tokenizer_class"), HasSubstr("GPT2Tokenizer")));
  settings(R"({"tokenizer_class": "GPT2Tokenizer"})");
  EXPECT_THAT(missing(), HasSubstr("reads vocab.json and merges.txt for GPT2Tokenizer"));
}

TEST_F(TokenizerVocabulary, LinesThatAreWrongAreNamed) {
  settings(R"({"tokenizer_class": "GPT2Tokenizer"})");
  folder_.write("vocab.json", R"({"a": 0, "b": 1})");
  folder_.write("merges.txt", "#version: 0.2\na b c\n");
  EXPECT_THAT(refusal(), HasSubstr("merges.txt: line 2: two tokens with a space between them expected"));
  folder_.write("merges.txt", "a b\n");
  EXPECT_THAT(refusal(), HasSubstr("merge 0 needs \"ab\", which is not in the vocabulary"));
  folder_.write("merges.txt", "\xff b\n");
  EXPECT_THAT(refusal(), HasSubstr("merges.txt: byte 0 is not UTF-8"));
  folder_.write("merges.txt", "");
  folder_.write("vocab.json", R"({"a": 0}, "merges": [)");
  EXPECT_THAT(refusal(), HasSubstr("vocab.json: valid JSON expected: line 1"));
  folder_.write("vocab.json", "[]");
  EXPECT_THAT(refusal(), HasSubstr("vocab.json: an object of tokens and their ids expected"));
  settings(R"({"tokenizer_class": "BertTokenizer"})");
  folder_.write("vocab.txt", "a\n\xff\n");
  EXPECT_THAT(refusal(), HasSubstr("vocab.txt: byte 2 is not UTF-8"));
  settings("{}");
  EXPECT_THAT(refusal_of("YQ== 0\nYg== 2\n"), HasSubstr("rank 2 of 2 tokens: each of 0 to 1 expected once"));
  EXPECT_THAT(refusal_of("YQ== 0\nYQ== 1\n"), HasSubstr("the token of rank 1 has another rank too"));
  EXPECT_THAT(refusal_of("YQ== 0\nb\n"), HasSubstr("line 2: a token in base64, a space and its rank expected"));
  settings(R"({"added_tokens_decoder": {"999999999": {"content": "<x>"}}})");
  EXPECT_THAT(refusal_of("YQ== 0\n"), HasSubstr("id 999999999 in added_tokens_decoder, at most"));
}

TEST_F(TokenizerVocabulary, AFileItselfIsAPathToItsFolder) {
  settings("{}");
  folder_.write("tokenizer.model", bytes_of("unigram.model"));
  EXPECT_EQ(Tokenizer::load(folder_.path("tokenizer.model")).encode("the"), Tokenizer::load(folder_.path()).encode("the"));
}

}  // namespace
}  // namespace lazuli
