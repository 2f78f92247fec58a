// Checks which files of a folder count, and what for: roles, the program's own files, and the split.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "text/text_data_fixture.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(TextData, OneFileOrMoreIsHeldOutButNeverAll) {
  const auto held_out = [&](int count, double fraction) {
    fs::remove_all(folder_);
    for (int k = 0; k < count; ++k) write(std::to_string(k) + ".txt", "text");
    report_ = {};
    const TextSplit split = read_split(path(), 0, report_, {}, fraction);
    EXPECT_EQ(split.train.size() + split.validation.size(), static_cast<size_t>(count));
    return split.validation.size();
  };
  EXPECT_EQ(held_out(1, 0.1), 0U);
  EXPECT_EQ(held_out(2, 0.1), 1U);
  EXPECT_EQ(held_out(14, 0.1), 1U);
  EXPECT_EQ(held_out(15, 0.1), 2U);
  EXPECT_EQ(held_out(3, 1), 2U);
  EXPECT_EQ(held_out(3, 0), 0U);
}

TEST_F(TextData, EveryNameOfAFileOfAnAdapterOrModelIsNoDataBesideIt) {
  write("a.txt", "a");
  write("adapter_config.json", "{}");
  for (const char* name : {"adapter_model.safetensors", "training_state.safetensors", "metrics.jsonl", "loss.svg"}) {
    write(name, "{\"text\": \"no text\"}\n");
  }
  EXPECT_THAT(read(), ElementsAre("a"));
  EXPECT_THAT(left_out(), HasSubstr("files of an adapter: 5 "));
  fs::remove_all(folder_);
  write("a.txt", "a");
  const std::vector<std::string> own = {"config.json",
                                        "generation_config.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "vocab.json",
                                        "vocab.txt",
                                        "merges.txt",
                                        "modules.json",
                                        "sentence_bert_config.json",
                                        "config_sentence_transformers.json",
                                        "model.safetensors.index.json",
                                        "chat_template.jinja",
                                        "model.safetensors",
                                        "x.gguf",
                                        "pytorch_model.bin"};
  for (const std::string& name : own) write(name, "{\"text\": \"no text\"}\n");
  EXPECT_THAT(read(), ElementsAre("a"));
  EXPECT_THAT(left_out(), HasSubstr("files of a model: " + std::to_string(own.size()) + " "));
  // Without weights or modules they are data like any.
  for (const char* name : {"model.safetensors", "x.gguf", "pytorch_model.bin", "modules.json"}) fs::remove(folder_ / name);
  EXPECT_GT(read().size(), 5U);
}

TEST_F(TextData, NamesOfFilesThatAreBeingWrittenAreKnown) {
  write("a.txt", "a");
  for (const char* name : {"a.txt.1-0.tmp", "a.txt.12345-67.tmp"}) write(name, "b");
  for (const char* name : {"b.tmp", "b.1.tmp", "b.x-1.tmp", "b.1-0.txt"}) write(name, "c");
  EXPECT_EQ(read().size(), 5U);
  EXPECT_THAT(left_out(), HasSubstr("unfinished files: 2 "));
}

TEST_F(TextData, EveryWordOfARoleIsKnown) {
  const auto roles = [&](const std::string& train, const std::string& other) {
    fs::remove_all(folder_);
    write(train, "{\"text\": \"a\"}\n");
    write(other, "{\"text\": \"b\"}\n");
    const TextSplit s = split();
    return std::pair(s.train.size(), s.validation.size());
  };
  for (const char* train : {"train.jsonl", "training.jsonl", "my_train.jsonl", "Train-00001.jsonl", "data/train.jsonl"}) {
    for (const char* other :
         {"valid.jsonl", "validation.jsonl", "val.jsonl", "dev.jsonl", "eval.jsonl", "evaluation.jsonl", "x.val.2.jsonl"}) {
      EXPECT_EQ(roles(train, other), std::pair(size_t{1}, size_t{1})) << train << other;
    }
    for (const char* other : {"test.jsonl", "testing.jsonl"}) {
      roles(train, other);
      EXPECT_THAT(left_out(), HasSubstr("test data, which are not trained on: 1 (" + std::string(other))) << train;
    }
    roles(train, "trainer.jsonl");
    EXPECT_THAT(left_out(), HasSubstr("files without a role beside those for training: 1 (trainer.jsonl)")) << train;
  }
  // Two words say nothing clear, and below other folders a file for training is one among others.
  roles("train.jsonl", "train_test.jsonl");
  EXPECT_THAT(left_out(), HasSubstr("without a role beside those for training: 1 (train_test.jsonl)"));
  roles("a.jsonl", "other/train.jsonl");
  EXPECT_EQ(left_out(), "");
  for (const char* note : {"README.md", "license.txt", "CITATION.rst", "dataset_card.md"}) {
    roles("a.jsonl", note);
    EXPECT_EQ(left_out(), "notes about the data: 1 (" + std::string(note) + ")");
  }
}

TEST_F(TextData, FilesOfRowsHaveTheRolesOfTheirNames) {
  const auto row = [](const std::string& text) { return "{\"text\": \"" + text + "\"}\n"; };
  write("train.jsonl", row("a") + row("b"));
  write("validation.jsonl", row("c"));
  write("test.jsonl", row("d"));
  write("notes.txt", "beside");
  TextSplit parts = split();
  EXPECT_EQ(parts.train.size(), 2U);
  ASSERT_EQ(parts.validation.size(), 1U);
  EXPECT_EQ(parts.validation[0].text, "c");
  EXPECT_THAT(left_out(), AllOf(HasSubstr("not trained on: 1 (test.jsonl)"), HasSubstr("notes.txt")));
  EXPECT_THAT(read(), ElementsAre("d"));
  EXPECT_THAT(report_.files, ElementsAre("test.jsonl"));
  fs::remove(folder_ / "test.jsonl");
  EXPECT_THAT(read(), ElementsAre("c"));
  fs::remove(folder_ / "validation.jsonl");
  EXPECT_THAT(read(), ElementsAre("a", "b"));
  // eval is validation where nothing else is.
  write("eval.jsonl", row("e"));
  EXPECT_EQ(split().validation[0].text, "e");
  write("dev.jsonl", row("f"));
  EXPECT_EQ(split().validation[0].text, "f");
  EXPECT_THAT(left_out(), HasSubstr("not trained on: 1 (eval.jsonl)"));
  // Parts of one file are read all, an older one beside the file itself is not.
  write("train_old.jsonl", row("old"));
  EXPECT_EQ(split().train.size(), 2U);
  EXPECT_THAT(left_out(), HasSubstr("files beside train.jsonl: 1 (train_old.jsonl)"));
  fs::remove(folder_ / "train.jsonl");
  fs::remove(folder_ / "train_old.jsonl");
  write("train-00000-of-00002.jsonl", row("g"));
  write("train-00001-of-00002.jsonl", row("h"));
  EXPECT_EQ(split().train.size(), 2U);
}

TEST_F(TextData, FoldersThatAreCalledTrainAndTestDivideTheData) {
  const auto texts = [](const std::vector<Document>& documents) {
    std::vector<std::string> all;
    for (const Document& d : documents) all.push_back(d.text);
    return all;
  };
  for (const std::string top : {"", "data/"}) {
    for (const std::string ending : {".jsonl", ".csv", ".txt"}) {
      const auto content = [&](const std::string& text) {
        return ending == ".txt" ? text : ending == ".csv" ? "text\n" + text + "\n" : "{\"text\": \"" + text + "\"}\n";
      };
      fs::remove_all(folder_);
      write(top + "train/a" + ending, content("a"));
      write(top + "train/deep/b" + ending, content("b"));
      write(top + "test/c" + ending, content("c"));
      const TextSplit two = split();
      EXPECT_EQ(two.train.size() + two.validation.size(), 2U) << top << ending;
      EXPECT_THAT(left_out(), HasSubstr("not trained on: 1 (" + top + "test/c" + ending + ")"));
      EXPECT_THAT(read(), ElementsAre("c"));
      write(top + "Validation/d" + ending, content("d"));
      EXPECT_THAT(texts(split().train), ElementsAre("a", "b"));
      EXPECT_THAT(texts(split().validation), ElementsAre("d"));
      // The folder comes before the file's own name.
      write(top + "train/test" + ending, content("e"));
      EXPECT_THAT(texts(split().train), ElementsAre("a", "b", "e"));
      // A folder deeper down says nothing, and neither does one for training alone.
      fs::remove_all(folder_ / top / "test");
      fs::remove_all(folder_ / top / "Validation");
      fs::remove(folder_ / top / ("train/test" + ending));
      write(top + "more/f" + ending, content("f"));
      EXPECT_THAT(read(), ElementsAre("f", "a", "b"));
    }
  }
  // Sources have folders for training and tests too.
  fs::remove_all(folder_);
  for (const char* name : {"train/a.py", "test/b.py", "train/settings.json", "test/settings.json"}) write(name, "{\"a\": 1}");
  EXPECT_EQ(read().size(), 2U);
}

TEST_F(TextData, FoldersOfOtherRowsAndTextsAreReadEachByItsKind) {
  write("part1.jsonl", "{\"text\": \"a\"}\n");
  write("part2.csv", "text\nb\n");
  write("sub/c.txt", "c");
  write("README.md", "about the data");
  EXPECT_THAT(read(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(left_out(), HasSubstr("notes about the data: 1 (README.md)"));
  fs::remove(folder_ / "part1.jsonl");
  fs::remove(folder_ / "part2.csv");
  EXPECT_THAT(read(), ElementsAre("about the data", "c"));
  // A program's sources have tests that are no data, and settings that are no rows.
  write("test.py", "pass");
  write("test.json", "{\"a\": 1}");
  EXPECT_EQ(read().size(), 3U);
  fs::remove_all(folder_);
  write("test.jsonl", "{\"text\": \"a\"}\n");
  EXPECT_THROW(split(), FormatError);
}

TEST_F(TextData, WhatTheProgramItselfWroteIsNoData) {
  write("a.txt", "a");
  write("adapter/adapter_config.json", "{}");
  write("adapter/metrics.jsonl", "{\"iteration\": 1}\n");
  write("adapter/loss.svg", "<svg/>");
  write("fused/config.json", "{}");
  write("fused/model.safetensors", "x");
  write("fused/README.md", "a model");
  write("vectors.jsonl", "{\"text\": \"a\", \"embedding\": [1, 2]}\n");
  write("trace.json", "{\"traceEvents\": []}\n");
  write("a.txt.123-0.tmp", "unfinished");
  EXPECT_THAT(read(), ElementsAre("a"));
  EXPECT_THAT(left_out(), AllOf(HasSubstr("folders of adapters: 1 (adapter)"), HasSubstr("folders of models: 1 (fused)"),
                                HasSubstr("vectors that embed wrote: 1"), HasSubstr("unfinished files: 1")));
  // The folder of the coming adapter holds nothing yet that tells what it is.
  write("new/old.txt", "old");
  const std::string excluded[] = {path("new")};
  EXPECT_EQ(read_split(path(), 0, report_, excluded).train.size(), 1U);
  // In the folder itself its files are known by their names.
  write("adapter_config.json", "{}");
  write("metrics.jsonl", "{\"text\": \"no text\"}\n");
  write("loss.svg", "<svg/>");
  fs::remove_all(folder_ / "new");
  EXPECT_THAT(read(), ElementsAre("a"));
}

TEST_F(TextData, FilesAreSplitBySeed) {
  for (int k = 0; k < 40; ++k) write(std::to_string(k) + ".txt", "text");
  const TextSplit first = split({}, 1), again = split({}, 1), other = split({}, 2);
  EXPECT_EQ(first.validation.size(), 4U);
  EXPECT_EQ(first.train.size(), 36U);
  EXPECT_EQ(names(first.validation), names(again.validation));
  EXPECT_NE(names(first.validation), names(other.validation));
}

}  // namespace
}  // namespace lazuli
