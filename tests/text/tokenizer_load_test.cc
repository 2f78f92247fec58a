// Checks what Tokenizer::load accepts, and that it refuses broken and hostile files by name.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "text/tokenizer_load_fixture.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using json = test::JsonTree;

using Edit = std::function<void(json&)>;

TEST_F(TokenizerLoad, AcceptsBothFormsOfMerges) {
  const Tokenizer tokenizer = load(small_file());
  EXPECT_EQ(tokenizer.encode("ababab a<s>"), (std::vector<std::int32_t>{3, 2, 4, 0, 5}));
  EXPECT_EQ(tokenizer.vocab_size(), 6);
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{3, 4, 0, 5}, true), "abab a");
}

TEST_F(TokenizerLoad, TakesSpecialIdsFromTheFilesBesideIt) {
  write("tokenizer_config.json", R"({"eos_token": {"content": "<s>"}, "bos_token": "a", "pad_token": null})");
  write("generation_config.json", R"({"eos_token_id": [3, 5, 1]})");
  const Tokenizer tokenizer = load(small_file());
  EXPECT_EQ(tokenizer.eos_id(), 5);
  EXPECT_EQ(tokenizer.eos_ids(), (std::vector<std::int32_t>{5, 3, 1}));
  EXPECT_EQ(tokenizer.bos_id(), 0);
  EXPECT_EQ(tokenizer.pad_id(), std::nullopt);
}

TEST_F(TokenizerLoad, AMissingFileIsAnIoError) { EXPECT_THROW(Tokenizer::load(folder_), IoError); }

TEST_F(TokenizerLoad, RefusesTextThatIsNoTokenizer) {
  expect_text_refused("", "JSON");
  expect_text_refused("{", "JSON");
  expect_text_refused("[]", "an object");
  expect_text_refused("{}", "'model'");
  expect_text_refused(R"({"model": 3})", "model");
  expect_text_refused("{\"model\": {\"vocab\": {\"\xFF\": 0}, \"merges\": []}}", "JSON");
  expect_text_refused(std::string(200'000, '['), "JSON");
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += R"({"type": "Sequence", "pretokenizers": [)";
  expect_text_refused("{\"pre_tokenizer\": " + nested, "JSON");
}

TEST_F(TokenizerLoad, RefusesDeeplyNestedSequences) {
  json nested = {{"type", "Digits"}};
  for (int i = 0; i < 100; ++i) nested = {{"type", "Sequence"}, {"pretokenizers", json::array({nested})}};
  json file = small_file();
  file["pre_tokenizer"] = nested;
  expect_refused(file, "nested");
}

TEST_F(TokenizerLoad, RefusesUnsupportedComponentsByName) {
  const std::vector<std::pair<Edit, std::string>> edits = {
      {[](json& f) { f["normalizer"]["type"] = "Uppercase"; }, "Uppercase"},
      {[](json& f) { f["pre_tokenizer"]["type"] = "Syllables"; }, "Syllables"},
      {[](json& f) {
         f["pre_tokenizer"] = {{"type", "FixedLength"}, {"length", 0}};
       },
       "length"},
      {[](json& f) { f["decoder"]["type"] = "Morse"; }, "Morse"},
      {[](json& f) { f["post_processor"]["type"] = "Frame"; }, "Frame"},
      {[](json& f) { f["model"]["type"] = "PhraseLevel"; }, "PhraseLevel"},
      {[](json& f) { f["model"]["dropout"] = 0.1; }, "dropout"},
      {[](json& f) { f["model"]["continuing_subword_prefix"] = "##"; }, "prefix"},
      {[](json& f) {
         f["normalizer"] = {{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", "x"}};
       },
       "empty"},
      {[](json& f) {
         f["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "ab"}};
       },
       "one character"},
      {[](json& f) {
         f["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "last"}};
       },
       "last"},
      {[](json& f) {
         f["decoder"] = {{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}};
       },
       "negative"},
      {[](json& f) {
         f["post_processor"] = {{"type", "BertProcessing"}, {"cls", {"a", 0}}, {"sep", {"b"}}};
       },
       "token and its id"},
      {[](json& f) {
         const json bert = {{"type", "BertProcessing"}, {"cls", {"a", 0}}, {"sep", {"b", 1}}};
         f["post_processor"] = {{"type", "Sequence"}, {"processors", {bert, bert}}};
       },
       "BertProcessing follows"},
      {[](json& f) {
         f["model"] = {{"type", "WordPiece"}, {"unk_token", "[UNK]"}, {"vocab", {{"a", 0}}}};
       },
       "[UNK]"},
      {[](json& f) {
         f["model"] = {{"type", "WordPiece"}, {"unk_token", "a"}, {"vocab", {{"a", 0}, {std::string(5000, 'x'), 1}}}};
       },
       "5000"},
      {[](json& f) {
         f["model"] = {{"type", "Unigram"}, {"unk_id", 1}, {"vocab", json::array({json::array({"a", -1.0})})}};
       },
       "unk_id"},
      {[](json& f) {
         f["model"] = {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", json::array({json::array({"a", -1.0}), json::array({"b"})})}};
       },
       "entry 1"},
      {[](json& f) {
         f["model"] = {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", json::array({json::array({"a", -1.0}), json::array({"a", -2.0})})}};
       },
       "twice"},
  };
  for (const auto& [edit, part] : edits) {
    json file = small_file();
    edit(file);
    expect_refused(file, part);
  }
}

TEST_F(TokenizerLoad, RefusesBrokenTables) {
  const std::vector<std::pair<Edit, std::string>> edits = {
      {[](json& f) { f["model"]["vocab"] = 1; }, "vocab"},
      {[](json& f) { f["model"]["vocab"]["c"] = "5"; }, "\"c\""},
      {[](json& f) { f["model"]["vocab"]["c"] = -1; }, "\"c\""},
      {[](json& f) { f["model"]["vocab"]["c"] = 1.5; }, "\"c\""},
      {[](json& f) { f["model"]["vocab"]["c"] = 2147483648; }, "\"c\""},
      {[](json& f) { f["model"]["vocab"]["c"] = 18446744073709551615U; }, "\"c\""},
      {[](json& f) { f["model"]["vocab"]["c"] = 1'000'000; }, "\"c\""},
      {[](json& f) { f["model"]["vocab"]["c"] = 1; }, "already"},
      {[](json& f) { f["model"]["merges"] = "a b"; }, "merges"},
      {[](json& f) { f["model"]["merges"].push_back("ab"); }, "merge 2"},
      {[](json& f) { f["model"]["merges"].push_back("a b c"); }, "merge 2"},
      {[](json& f) { f["model"]["merges"].push_back({"a"}); }, "merge 2"},
      {[](json& f) {
         f["model"]["merges"].push_back({"a", 1});
       },
       "merge 2"},
      {[](json& f) {
         f["model"]["merges"].push_back({"a", "zz"});
       },
       "\"zz\""},
      {[](json& f) {
         f["model"]["merges"].push_back({"b", "a"});
       },
       "\"ba\""},
      {[](json& f) { f["model"]["unk_token"] = "<unk>"; }, "<unk>"},
      {[](json& f) { f["added_tokens"][0]["id"] = 2147483648; }, "2147483648"},
      {[](json& f) { f["added_tokens"][0]["id"] = 0; }, "<s>"},
      {[](json& f) { f["added_tokens"][0]["content"] = "a"; }, "\"a\""},
      {[](json& f) { f["added_tokens"][0]["content"] = std::string(5000, 'x'); }, "5000"},
      {[](json& f) { f["added_tokens"][0]["special"] = 1; }, "special"},
      {[](json& f) { f["added_tokens"] = "x"; }, "added_tokens"},
  };
  for (const auto& [edit, part] : edits) {
    json file = small_file();
    edit(file);
    expect_refused(file, part);
  }
  std::string text = small_file().dump();
  text.insert(text.find("\"vocab\":{") + 9, "\"b\":9,");
  expect_text_refused(text, "twice");
}

TEST_F(TokenizerLoad, TakesPiecesAsWords) {
  json file = small_file();
  file["pre_tokenizer"] = {{"type", "WhitespaceSplit"}};
  file["decoder"] = nullptr;
  file["added_tokens"] = json::array();
  file["model"] = {{"type", "WordLevel"}, {"vocab", {{"the", 0}, {"cat", 1}, {"[?]", 2}}}, {"unk_token", "[?]"}};
  const Tokenizer tokenizer = load(file);
  EXPECT_EQ(tokenizer.encode(" the  cat saw the"), (std::vector<std::int32_t>{0, 1, 2, 0}));
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{0, 1}, true), "the cat");
  file["model"]["unk_token"] = "none";
  try {
    load(file).encode("the dog");
    ADD_FAILURE();
  } catch (const ValueError& error) {
    EXPECT_NE(std::string(error.what()).find("\"dog\""), std::string::npos) << error.what();
  }
}

TEST_F(TokenizerLoad, NumbersReachTheirLimits) {
  // Ids up to twice the tokens, of which there are six, and 65,536 more.
  constexpr int limit = 2 * 6 + 65536;
  const auto with = [](const Edit& edit) {
    json file = small_file();
    edit(file);
    return file;
  };
  const auto both = [&](const auto& edit, const json& at, const json& beyond, const std::string& part) {
    EXPECT_NO_THROW(load(with([&](json& f) { edit(f, at); }))) << at;
    expect_refused(with([&](json& f) { edit(f, beyond); }), part);
  };
  const std::string last = std::to_string(limit - 1);
  both([](json& f, const json& id) { f["added_tokens"][0]["id"] = id; }, limit - 1, limit,
       "id " + std::to_string(limit) + " is not in 0 to " + last);
  both([](json& f, const json& id) { f["added_tokens"][0]["id"] = id; }, 5, -1, "id -1 is not in 0 to " + last);
  both([](json& f, const json& id) { f["model"]["vocab"]["abab"] = id; }, limit - 1, limit,
       "id of \"abab\" must be an integer in 0 to " + last);
  both([](json& f, const json& size) { f["added_tokens"][0]["content"] = std::string(size.get<std::size_t>(), 'x'); }, 1024, 1025,
       "content of 1025 bytes, at most 1024 are supported");
  const auto words = [](json& f, const json& vocab) {
    f["model"] = {{"type", "WordPiece"}, {"unk_token", "a"}, {"vocab", vocab}};
    f["added_tokens"] = json::array();
  };
  both(words, {{"a", 0}, {std::string(4096, 'x'), 1}}, {{"a", 0}, {std::string(4097, 'x'), 1}}, "token 1 has 4097 bytes, at most 4096");
  both(
      [](json& f, const json& most) {
        f["model"] = {{"type", "WordPiece"}, {"unk_token", "a"}, {"vocab", {{"a", 0}}}, {"max_input_chars_per_word", most}};
        f["added_tokens"] = json::array();
      },
      0, -1, "must not be negative");
  both(
      [](json& f, const json& id) {
        f["model"] = {{"type", "Unigram"}, {"unk_id", id}, {"vocab", json::array({json::array({"a", -1.0}), json::array({"b", -2})})}};
        f["added_tokens"] = json::array();
      },
      1, 2, "2 is not in the vocabulary");
  expect_refused(
      with([](json& f) {
        f["model"] = {{"type", "Unigram"}, {"unk_id", -1}, {"vocab", json::array({json::array({"a", -1.0}), json::array({"b", -2})})}};
      }),
      "-1 is not in the vocabulary");
  const auto bert = [](json& f, const json& id) {
    f["post_processor"] = {{"type", "BertProcessing"}, {"cls", {"a", 0}}, {"sep", {"b", id}}};
  };
  both(bert, limit - 1, limit, "is not in 0 to " + last);
  both(bert, 0, -1, "id -1 is not in 0 to");
  const auto type = [](json& f, const json& id) {
    f["post_processor"] = {
        {"type", "TemplateProcessing"}, {"single", {{{"Sequence", {{"id", "A"}, {"type_id", id}}}}}}, {"special_tokens", json::object()}};
  };
  both(type, 65535, 65536, "type_id 65536 is not in 0 to 65535");
  both(type, 0, -1, "type_id -1 is not in 0 to 65535");
  both([](json& f, const json& length) { f["pre_tokenizer"] = {{"type", "FixedLength"}, {"length", length}}; }, 1, 0, "must be at least 1");
  for (const char* side : {"start", "stop"}) {
    both(
        [&](json& f, const json& count) {
          f["decoder"] = {{"type", "Strip"}, {"content", " "}, {"start", 0}, {"stop", 0}};
          f["decoder"][side] = count;
        },
        1, -1, "must not be negative");
  }
  both(
      [](json& f, const json& depth) {
        json nested = {{"type", "Digits"}};
        for (int i = 0; i < depth.get<int>(); ++i) nested = {{"type", "Sequence"}, {"pretokenizers", json::array({nested})}};
        f["pre_tokenizer"] = nested;
      },
      16, 17, "Sequences are nested more than 16 deep");
}

TEST_F(TokenizerLoad, RefusesTokensThatContradictEachOther) {
  const auto with = [](const json& token) {
    json file = small_file();
    file["added_tokens"].push_back(token);
    return file;
  };
  expect_refused(with({{"id", 5}, {"content", "<x>"}}), "id 5 is that of two added tokens");
  expect_refused(with({{"id", 7}, {"content", "ab"}}), "added token \"ab\" has id 7, but 2 in the vocabulary");
  expect_refused(with({{"id", 2}, {"content", "<x>"}}), "id 2 of added token \"<x>\" is that of \"ab\" in the vocabulary");
  EXPECT_NO_THROW(load(with({{"id", 2}, {"content", "ab"}})));
  EXPECT_NO_THROW(load(with({{"id", 9}, {"content", ""}})));
}

TEST_F(TokenizerLoad, RefusesTemplatesOfOtherSequences) {
  json file = small_file();
  const auto sequence = [](const char* id) { return json{{"Sequence", {{"id", id}}}}; };
  file["post_processor"] = {{"type", "TemplateProcessing"},
                            {"single", json::array({sequence("A")})},
                            {"pair", {sequence("A"), sequence("B")}},
                            {"special_tokens", json::object()}};
  EXPECT_NO_THROW(load(file));
  json broken = file;
  broken["post_processor"]["pair"][1] = sequence("C");
  expect_refused(broken, "names sequence \"C\", a template has A and B");
  broken = file;
  broken["post_processor"]["single"][0] = sequence("C");
  expect_refused(broken, "names sequence \"C\", a template has A and B");
  broken = file;
  broken["post_processor"]["single"] = json::array({sequence("B")});
  expect_refused(broken, "a template for one text may only name sequence A");
  for (const json& cls : {json::array({"a"}), json::array({"a", 0, 1}), json::array()}) {
    broken["post_processor"] = {{"type", "RobertaProcessing"}, {"cls", cls}, {"sep", {"b", 1}}};
    expect_refused(broken, "must be a token and its id");
  }
}

TEST_F(TokenizerLoad, RefusesMergesThatDoNotStartWithThePrefix) {
  json file = small_file();
  file["pre_tokenizer"] = {{"type", "Whitespace"}};
  file["added_tokens"] = json::array();
  file["model"] = {{"type", "BPE"}, {"continuing_subword_prefix", "##"}, {"vocab", {{"a", 0}, {"##b", 1}, {"ab", 2}, {"b", 3}}}};
  file["model"]["merges"] = {"#version: 0.2", "a ##b"};
  EXPECT_EQ(load(file).encode("ab"), (std::vector<std::int32_t>{2}));
  file["model"]["merges"] = {"#version: 0.2", "a ##b", "a b"};
  expect_refused(file, "merge 1 needs \"b\" to start with the prefix \"##\"");
  file["model"]["merges"] = json::array();
  for (int k = 0; k < 64; ++k) file["model"]["merges"].push_back("a ##b");
  file["model"]["merges"].push_back("a ##c");
  expect_refused(file, "merge 64 needs \"##c\", which is not in the vocabulary");
}

TEST_F(TokenizerLoad, RefusesMapsOfCharactersThatAreBroken) {
  const auto with = [](const std::string& map) {
    json file = small_file();
    file["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", map}};
    return file;
  };
  expect_refused(with("A?"), "is not base64");
  expect_refused(with(""), "is too short");
  expect_refused(with("AAAA"), "is too short");
  expect_refused(with("AAAAAA=="), "has a trie that goes past its end");      // a trie of nothing
  expect_refused(with("AwAAAAAAAAAA"), "has a trie that goes past its end");  // of 3 bytes
  expect_refused(with("CAAAAAAAAAA="), "has a trie that goes past its end");  // of 8 bytes, of which 4 are there
  expect_refused(with("BAAAAAAAAAD/"), "has replacements that are not UTF-8");
  EXPECT_NO_THROW(load(with("BAAAAAAAAAA=")));
}

TEST_F(TokenizerLoad, AcceptsADropoutOfNothing) {
  json file = small_file();
  for (const json& none : {json(nullptr), json(0), json(0.0)}) {
    file["model"]["dropout"] = none;
    EXPECT_EQ(load(file).encode("ab"), (std::vector<std::int32_t>{2}));
  }
}

TEST_F(TokenizerLoad, RefusesBrokenTemplates) {
  json file = small_file();
  file["post_processor"] =
      json::parse(R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
                                           "special_tokens": {"<s>": {"ids": [5]}}})");
  EXPECT_EQ(load(file).encode("a"), (std::vector<std::int32_t>{5, 0}));
  json broken = file;
  broken["post_processor"]["single"][1]["Sequence"]["id"] = "B";
  expect_refused(broken, "sequence A");
  broken = file;
  broken["post_processor"]["special_tokens"]["<s>"]["ids"][0] = 1'000'000;
  expect_refused(broken, "1000000");
  broken = file;
  broken["post_processor"]["special_tokens"].clear();
  expect_refused(broken, "<s>");
}

}  // namespace
}  // namespace lazuli
