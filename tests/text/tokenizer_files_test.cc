// Tests that the files beside tokenizer.json count as in transformers: ids that tokenizer_data/files/make.py took from there.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lazuli/error.h"
#include "lazuli/tokenizer.h"
#include "support/json_tree.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using json = test::JsonTree;
using test::TempFolder;
using Ids = std::vector<std::int32_t>;

json read(const std::string& name) { return json::read(source_folder() + "/tests/text/tokenizer_data/files/" + name); }

void write(const TempFolder& folder, const std::string& name, const json& content) { folder.write(name, content.dump()); }

/// tokenizer.json of bytes, whose sections `changes` replaces, and the files of a folder.
void write_folder(const TempFolder& folder, const std::string& base, const json& changes, const json& files) {
  json tokenizer = read(base + ".json");
  tokenizer.update(changes);
  write(folder, "tokenizer.json", tokenizer);
  for (const auto& [name, content] : files.items()) write(folder, name, content);
}

std::optional<std::int32_t> id_of(const json& value) { return value.is_null() ? std::nullopt : std::optional(value.get<std::int32_t>()); }

TEST(TokenizerFiles, CountAsInTransformers) {
  const json data = read("cases.json");
  for (const json& c : data["cases"]) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const TempFolder folder;
    write_folder(folder, c["base"], c["tokenizer"], c["files"]);
    const Tokenizer tokenizer = Tokenizer::load(folder.path());
    for (std::size_t k = 0; k < data["texts"].size(); ++k) {
      EXPECT_EQ(tokenizer.encode(data["texts"][k].get<std::string>()), c["ids"][k].get<Ids>()) << data["texts"][k];
    }
    const std::string first = data["texts"][0], last = data["texts"][3];
    EncodeOptions cut;
    cut.max_length = 7;
    EXPECT_EQ(tokenizer.encode(first, cut).ids, c["cut"].get<Ids>());
    EXPECT_EQ(tokenizer.encode_pair(first, last).ids, c["pair"].get<Ids>());
    EXPECT_EQ(tokenizer.decode(c["ids"][0].get<Ids>(), true), c["decoded"].get<std::string>());
    EXPECT_EQ(tokenizer.eos_id(), id_of(c["special"][0]));
    EXPECT_EQ(tokenizer.bos_id(), id_of(c["special"][1]));
    EXPECT_EQ(tokenizer.pad_id(), id_of(c["special"][2]));
  }
}

class TokenizerFilesBeside : public testing::Test {
 protected:
  Ids ids(const json& config, const std::string& text) const {
    write_folder(folder_, "byte_level", json::object(), {{"tokenizer_config.json", config}});
    return Tokenizer::load(folder_.path()).encode(text);
  }
  std::string refusal(const std::string& file, const std::string& content) const {
    write_folder(folder_, "byte_level", json::object(), {{"config.json", {{"model_type", "llama"}}}});
    folder_.write(file, content);
    return test::message_of<FormatError>([&] { Tokenizer::load(folder_.path()); });
  }
  TempFolder folder_;
};

// transformers refuses these with a TypeError; there is only one thing that they can mean.
TEST_F(TokenizerFilesBeside, TokensAreTakenFromObjectsWithoutTheirType) {
  const json token = {{"content", "<x>"}, {"special", true}};
  const Ids expected = {0, 265};
  EXPECT_EQ(ids({{"eos_token", token}}, "<x>"), expected);
  EXPECT_EQ(ids({{"additional_special_tokens", json::array({token})}}, "<x>"), expected);
  EXPECT_EQ(ids({{"extra_special_tokens", {{"x", token}}}}, "<x>"), expected);
}

// As transformers 5.24 puts them together.
TEST_F(TokenizerFilesBeside, AnObjectOfTokensAndAListUnderTheOlderNameBothCount) {
  const Ids both = {0, 265, 266};
  const json object = {{"a", "<a>"}};
  EXPECT_EQ(ids({{"extra_special_tokens", object}, {"additional_special_tokens", {"<b>"}}}, "<a><b>"), both);
  folder_.write("special_tokens_map.json", R"({"additional_special_tokens": ["<b>"]})");
  EXPECT_EQ(ids({{"extra_special_tokens", object}}, "<a><b>"), both);
  EXPECT_EQ(ids({{"extra_special_tokens", {"<a>"}}}, "<a><b>").size(), 5U) << "a list counts alone";
}

TEST_F(TokenizerFilesBeside, AnObjectOfTokensBesideTakesTheListsPlace) {
  folder_.write("special_tokens_map.json", R"({"extra_special_tokens": {"a": "<a>"}})");
  for (const char* name : {"extra_special_tokens", "additional_special_tokens"}) {
    const Ids found = ids({{name, {"<b>"}}}, "<a><b>");
    EXPECT_EQ(found.size(), 5U) << name;
    EXPECT_EQ(found.at(1), 265) << name;
  }
  folder_.write("special_tokens_map.json", R"({"extra_special_tokens": ["<a>"]})");
  EXPECT_EQ(ids({{"additional_special_tokens", {"<b>"}}}, "<b><a>"), (Ids{0, 265, 266}));
}

TEST_F(TokenizerFilesBeside, NumbersThatDoNotMatterMayBeAnything) {
  folder_.write("special_tokens_map.json", "{}");
  const std::string config = R"({"model_max_length": 1000000000000000019884624838656, "x": NaN, "y": -Infinity, "eos_token": "</s>"})";
  write_folder(folder_, "byte_level", json::object(), json::object());
  folder_.write("tokenizer_config.json", "\xef\xbb\xbf" + config);
  EXPECT_EQ(Tokenizer::load(folder_.path()).eos_id(), 1);
}

TEST_F(TokenizerFilesBeside, AreRefusedByNameWhereTheyAreWrong) {
  const auto has = [](const std::string& text, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << text << "\nlacks " << part;
  };
  has(refusal("tokenizer_config.json", R"({"eos_token": 3})"), {"tokenizer_config.json", "$.eos_token", "a string"});
  has(refusal("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "a"}}})"), {"$.added_tokens_decoder.x", "number"});
  has(refusal("tokenizer_config.json", R"({"added_tokens_decoder": {"3": {}}})"), {"$.added_tokens_decoder.3", "content"});
  has(refusal("tokenizer_config.json", R"({"truncation_side": "up"})"), {"$.truncation_side", "'up'"});
  has(refusal("tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer"})"),
      {"$.tokenizer_class", "T5Tokenizer", "PreTrainedTokenizerFast"});
  has(refusal("tokenizer_config.json", R"({"tokenizer_class": "BertTokenizer"})"), {"$.model.type", "WordPiece", "BertTokenizer", "BPE"});
  has(refusal("tokenizer_config.json", "{\"eos_token\": \"</s>\",}"), {"tokenizer_config.json", "line 1, column 22"});
  folder_.write("tokenizer_config.json", "{}");
  has(refusal("added_tokens.json", R"({"<x>": "265"})"), {"added_tokens.json", "$.<x>", "an integer"});
  folder_.write("added_tokens.json", "{}");
  has(refusal("special_tokens_map.json", "version https://git-lfs.github.com/spec/v1\n"), {"special_tokens_map.json", "git lfs pull"});
}

TEST_F(TokenizerFilesBeside, EveryClassThatBuildsAnotherTokenizerIsRefused) {
  for (const std::string name : {"AlbertTokenizer",       "BarthezTokenizer",
                                 "BartphoTokenizer",      "BertGenerationTokenizer",
                                 "BertJapaneseTokenizer", "BertweetTokenizer",
                                 "BigBirdTokenizer",      "BioGptTokenizer",
                                 "BlenderbotTokenizer",   "BlenderbotSmallTokenizer",
                                 "ByT5Tokenizer",         "CamembertTokenizer",
                                 "CanineTokenizer",       "CLIPTokenizer",
                                 "CodeGenTokenizer",      "CodeLlamaTokenizer",
                                 "CohereTokenizer",       "ConvBertTokenizer",
                                 "CpmTokenizer",          "CTRLTokenizer",
                                 "DebertaTokenizer",      "DebertaV2Tokenizer",
                                 "EsmTokenizer",          "FlaubertTokenizer",
                                 "FNetTokenizer",         "FSMTTokenizer",
                                 "FunnelTokenizer",       "HerbertTokenizer",
                                 "LukeTokenizer",         "MBartTokenizer",
                                 "MBart50Tokenizer",      "MLukeTokenizer",
                                 "MyT5Tokenizer",         "NllbTokenizer",
                                 "NougatTokenizer",       "OpenAIGPTTokenizer",
                                 "ParakeetTokenizer",     "PegasusTokenizer",
                                 "PhobertTokenizer",      "ProphetNetTokenizer",
                                 "ReformerTokenizer",     "RemBertTokenizer",
                                 "RoCBertTokenizer",      "RoFormerTokenizer",
                                 "SeamlessM4TTokenizer",  "Siglip2Tokenizer",
                                 "SplinterTokenizer",     "T5Tokenizer",
                                 "UdopTokenizer",         "VitsTokenizer",
                                 "WhisperTokenizer",      "XGLMTokenizer",
                                 "XLMTokenizer",          "XLNetTokenizer"}) {
    for (const std::string end : {"", "Fast"}) {
      const std::string text = refusal("tokenizer_config.json", "{\"tokenizer_class\": \"" + name + end + "\"}");
      EXPECT_NE(text.find("$.tokenizer_class: " + name + end + " builds another tokenizer"), std::string::npos) << text;
    }
  }
  // A name that stands for no class stands for the file.
  EXPECT_FALSE(ids({{"tokenizer_class", "MyTokenizer"}}, "a").empty());
}

TEST_F(TokenizerFilesBeside, ATextIsLowerCasedBeforeItsOwnStepsButNotItsSpecialTokens) {
  write_folder(folder_, "byte_level", json::object(), {{"tokenizer_config.json", {{"additional_special_tokens", {"<X>"}}}}});
  const Tokenizer plain = Tokenizer::load(folder_.path());
  const Tokenizer lower = Tokenizer::load(folder_.path(), {.lower_case = true});
  EXPECT_EQ(lower.encode("THE<X>\u00c9"), plain.encode("the<X>\u00e9"));
}

}  // namespace
}  // namespace lazuli
