// Checks WordPiece, BERT's normaliser and processors, pairs of texts, and the cutting of ids to a length.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "lazuli/error.h"
#include "lazuli/tokenizer.h"
#include "support/json_tree.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using json = test::JsonTree;
using Ids = std::vector<std::int32_t>;

json bert_file() {
  return json::parse(R"({
    "added_tokens": [{"id": 1, "content": "[CLS]", "special": true}, {"id": 2, "content": "[SEP]", "special": true}],
    "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 1], "sep": ["[SEP]", 2]},
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 10,
              "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "cafe": 3, "un": 4, "##able": 5, "##a": 6, ".": 7, "中": 8, "a": 9, "b": 10,
                        "c": 11, "##b": 12}}
  })");
}

Tokenizer load(const json& file) {
  const fs::path path = fs::temp_directory_path() / ("lazuli_bert_" + std::to_string(getpid()) + ".json");
  std::ofstream(path) << file.dump();
  Tokenizer tokenizer = Tokenizer::load(path);
  fs::remove(path);
  return tokenizer;
}

TEST(TokenizerBert, CleansAndCutsWords) {
  const Tokenizer tokenizer = load(bert_file());
  EXPECT_EQ(tokenizer.encode("Caf\u00e9 UNABLE.", true, false), (Ids{3, 4, 5, 7}));
  EXPECT_EQ(tokenizer.encode("a\u4e2db\u0001\t\u200bc", true, false), (Ids{9, 8, 10, 11}));
  EXPECT_EQ(tokenizer.encode("unx aaaaaaaaaa aaaaaaaaaaa", true, false), (Ids{0, 9, 6, 6, 6, 6, 6, 6, 6, 6, 6, 0}));
  EXPECT_EQ(tokenizer.encode("a [SEP] b", true, false), (Ids{9, 2, 10}));
  EXPECT_EQ(tokenizer.decode(Ids{1, 4, 5, 3, 7, 2}, true), "unable cafe.");
}

TEST(TokenizerBert, CutsIdsToALengthWithTheSpecialTokensKept) {
  const Tokenizer tokenizer = load(bert_file());
  EncodeOptions options;
  EXPECT_EQ(tokenizer.encode("a b c", options).ids, (Ids{1, 9, 10, 11, 2}));
  options.max_length = 4;
  EXPECT_EQ(tokenizer.encode("a b c", options).ids, (Ids{1, 9, 10, 2}));
  EXPECT_EQ(tokenizer.encode("a b c", options).type_ids, (Ids{0, 0, 0, 0}));
  options.max_length = 2;
  EXPECT_EQ(tokenizer.encode("a b c", options).ids, (Ids{1, 2}));
  options.max_length = 1;
  EXPECT_THROW(tokenizer.encode("a", options), ValueError);
  options.add_special_tokens = false;
  EXPECT_EQ(tokenizer.encode("a b c", options).ids, (Ids{9}));
}

TEST(TokenizerBert, JoinsPairs) {
  json file = bert_file();
  const Tokenizer tokenizer = load(file);
  EncodeOptions options;
  const TokenizedText both = tokenizer.encode_pair("a a a a", "b");
  EXPECT_EQ(both.ids, (Ids{1, 9, 9, 9, 9, 2, 10, 2}));
  EXPECT_EQ(both.type_ids, (Ids{0, 0, 0, 0, 0, 0, 1, 1}));
  options.max_length = 7;
  EXPECT_EQ(tokenizer.encode_pair("a a a a", "b", options).ids, (Ids{1, 9, 9, 9, 2, 10, 2}));
  EXPECT_EQ(tokenizer.encode_pair("a a a a", "b b b", options).ids, (Ids{1, 9, 9, 2, 10, 10, 2}));
  options.max_length = 8;
  EXPECT_EQ(tokenizer.encode_pair("a a a a", "b b b", options).ids, (Ids{1, 9, 9, 9, 2, 10, 10, 2}));
  file["post_processor"]["type"] = "RobertaProcessing";
  EXPECT_EQ(load(file).encode_pair("a", "b").ids, (Ids{1, 9, 2, 2, 10, 2}));
  EXPECT_EQ(load(file).encode_pair("a", "b").type_ids, (Ids{0, 0, 0, 0, 0, 0}));
  file["post_processor"] = nullptr;
  EXPECT_EQ(load(file).encode_pair("a", "b").type_ids, (Ids{0, 1}));
}

}  // namespace
}  // namespace lazuli
