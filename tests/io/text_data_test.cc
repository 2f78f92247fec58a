// Checks the reading of texts: which files count and what for, rows, encodings, what is left out, the split, and the tokens.
#include "io/text_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "lazuli/error.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class TextData : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("lazuli_" + std::to_string(getpid()) + "_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const std::string& name, const std::string& bytes) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  std::string path(const std::string& name = {}) const { return (folder_ / name).string(); }
  std::string format_error(const std::string& name = {}) const {
    try {
      read_documents(path(name));
    } catch (const FormatError& e) {
      return e.what();
    }
    return "no error";
  }
  static std::vector<std::string> names(const std::vector<Document>& documents) {
    std::vector<std::string> out;
    for (const Document& d : documents) out.push_back(d.name);
    return out;
  }

  std::vector<std::string> read(const std::string& name = {}) {
    report_ = {};
    std::vector<std::string> texts;
    for (const Document& d : read_documents(path(name), report_)) texts.push_back(d.text);
    return texts;
  }
  TextSplit split(const std::string& name = {}, uint64_t seed = 0) {
    report_ = {};
    return read_split(path(name), seed, report_);
  }
  std::string left_out() const { return report_.left_out_text(); }

  fs::path folder_;
  DataReport report_;
};

TEST_F(TextData, AFolderGivesItsTextFilesSortedAndSaysWhatItLeavesOut) {
  write("b.py", "print(1)\n");
  write("a/z.txt", "zed");
  write("binary.dat", std::string("\x01\x00\x02", 3));
  write("latin", "caf\xe9");
  write("latin.txt", "caf\xe9");
  write("empty.txt", "");
  write(".git/config", "hidden");
  write("notes.pdf", "%PDF-1.7 text");
  write("settings.json", "{\"a\": 1}");
  fs::create_directory_symlink(folder_, folder_ / "loop");
  fs::create_symlink("nowhere", folder_ / "broken");
  EXPECT_THAT(read(), ElementsAre("zed", "print(1)\n"));
  EXPECT_THAT(report_.files, ElementsAre("a/z.txt", "b.py"));
  for (const char* said :
       {"hidden files and folders: 1 (.git)", "empty files: 1 (empty.txt)", "not UTF-8", "latin.txt", "binary files: 2", "a PDF",
        "JSON files without rows: 1 (settings.json)", "links to folders: 1 (loop)", "broken links: 1 (broken)"}) {
    EXPECT_THAT(left_out(), HasSubstr(said));
  }
}

TEST_F(TextData, JsonLinesGiveOneDocumentARow) {
  write("rows.jsonl", "{\"text\": \"one\\n\"}\n\n{\"text\": \"two\", \"id\": 3}");
  const auto rows = read_documents(path("rows.jsonl"), report_);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].text, "one\n");
  EXPECT_EQ(rows[1].name, "rows.jsonl:3");
  EXPECT_EQ(report_.rows, 2);
  EXPECT_EQ(left_out(), "columns: 1 (id)");
}

TEST_F(TextData, RowsAreKnownByNameInLettersOfEitherSizeOrByTheirFirstLine) {
  const std::string row = "{\"text\": \"a\"}\n", two = row + "{\"text\": \"b\"}\n";
  for (const char* name : {"A.JSONL", "a.ndjson", "a.json", "a.dat", "rows"}) {
    write(name, "\n" + two);
    EXPECT_THAT(read(name), ElementsAre("a", "b")) << name;
  }
  write("array.json", "[{\"text\": \"a\"},\n {\"text\": \"b\"}]");
  EXPECT_THAT(read("array.json"), ElementsAre("a", "b"));
  write("object.json", "{\n  \"text\": \"a\"\n}\n");
  EXPECT_THAT(read("object.json"), ElementsAre("a"));
  write("a.csv", "id,text\r\n1,\"a, \"\"b\"\"\nc\"\r\n2,\r\n3,d\r\n");
  EXPECT_THAT(read("a.csv"), ElementsAre("a, \"b\"\nc", "d"));
  EXPECT_THAT(left_out(), AllOf(HasSubstr("rows whose text is null: 1"), HasSubstr("columns: 1 (id)")));
  write("a.tsv", "text\tid\na\t1\n");
  EXPECT_THAT(read("a.tsv"), ElementsAre("a"));
  // Text stays text, braces and all, but it is said.
  write("a.txt", row);
  EXPECT_THAT(read("a.txt"), ElementsAre(row));
  EXPECT_THAT(report_.notes, ElementsAre(HasSubstr("read as text")));
}

TEST_F(TextData, WhatPythonWritesIsReadInColumnsThatNobodyAsksFor) {
  for (const char* value :
       {"NaN", "Infinity", "-Infinity", "1e999", "123456789012345678901234567890", "\"\\ud83d\"", "[\"\\ud83d\"]", "[NaN]"}) {
    write("rows.jsonl", std::string("{\"score\": ") + value + ", \"text\": \"fine\"}\n");
    EXPECT_EQ(format_error("rows.jsonl"), "no error") << value;
  }
}

TEST_F(TextData, BadRowsAreNamedByFileAndLine) {
  write("rows.jsonl", "{\"text\": \"fine\"}\n{\"text\": 3}\n");
  EXPECT_THAT(format_error("rows.jsonl"), HasSubstr("rows.jsonl:2"));
  write("rows.jsonl", "{\"text\": \"fine\"}\n\n{\"text\": \"open\n");
  EXPECT_THAT(format_error("rows.jsonl"), HasSubstr("rows.jsonl:3"));
  write("rows.jsonl", "{\"text\": \"\xff\"}\n");
  EXPECT_THAT(format_error("rows.jsonl"), AllOf(HasSubstr("rows.jsonl"), HasSubstr("byte 10 (line 1)"), HasSubstr("UTF-8")));
  write("rows.jsonl", "{\"text\": \"fine\"}\n{\"text\": \"half \\ud83d\"}\n");
  EXPECT_THAT(format_error("rows.jsonl"), AllOf(HasSubstr("rows.jsonl:2"), HasSubstr("half of a surrogate pair")));
  write("rows.jsonl", "\n\n");
  EXPECT_THAT(format_error("rows.jsonl"), HasSubstr("none"));
  write("rows.jsonl", "[1, 2]\n");
  EXPECT_THAT(format_error("rows.jsonl"), AllOf(HasSubstr("rows.jsonl[0]"), HasSubstr("object")));
  write("rows.csv", "text,id\na\n");
  EXPECT_THAT(format_error("rows.csv"), AllOf(HasSubstr("rows.csv:2"), HasSubstr("2 cells")));
  write("rows.csv", "text,,id,,text\na,,1,,b\n");
  EXPECT_THAT(format_error("rows.csv"), AllOf(HasSubstr("rows.csv:1"), HasSubstr("'text' twice")));
  write("rows.csv", "text\n\"open\n");
  EXPECT_THAT(format_error("rows.csv"), AllOf(HasSubstr("rows.csv:2"), HasSubstr("closing quote")));
}

TEST_F(TextData, ColumnsThatWouldChangeTheMeaningAreRefusedByName) {
  const auto error = [&](const std::string& row) {
    write("rows.jsonl", row + "\n");
    return format_error("rows.jsonl");
  };
  EXPECT_THAT(error("{\"prompt\": \"x\", \"completion\": \"y\"}"), AllOf(HasSubstr("prompt, completion"), HasSubstr("\"text\"")));
  EXPECT_THAT(error("{\"messages\": []}"), AllOf(HasSubstr("messages"), HasSubstr("template")));
  EXPECT_THAT(error("{\"text\": \"a\", \"messages\": []}"), HasSubstr("$.messages"));
  EXPECT_THAT(error("{\"text\": \"a\", \"prompt\": \"b\", \"completion\": \"c\"}"), HasSubstr("$.prompt"));
  EXPECT_THAT(error("{\"text\": \"a\", \"weight\": 0.5}"), HasSubstr("$.weight"));
  fs::create_directory(folder_ / "rows");
  write("rows/part.jsonl", "{\"content\": \"a\"}\n");
  EXPECT_THAT(format_error("rows"), AllOf(HasSubstr("part.jsonl:1"), HasSubstr("content")));
}

TEST_F(TextData, EveryNameOfAColumnThatChangesTheMeaningIsKnown) {
  const auto error = [&](const std::string& row) {
    write("rows.jsonl", row + "\n");
    return format_error("rows.jsonl");
  };
  for (const std::string name : {"weight", "weights", "sample_weight", "sample_weights"}) {
    EXPECT_THAT(error("{\"text\": \"a\", \"" + name + "\": 1}"), HasSubstr("$." + name + ": all rows weigh the same here"));
  }
  for (const std::string name : {"messages", "conversations", "conversation", "chat"}) {
    EXPECT_THAT(error("{\"text\": \"a\", \"" + name + "\": []}"), HasSubstr("$." + name + ": 'text' without it expected"));
    EXPECT_THAT(error("{\"" + name + "\": []}"), HasSubstr("conversations are not read"));
  }
  for (const std::string name : {"prompt", "completion", "instruction", "response", "output", "question", "answer"}) {
    EXPECT_THAT(error("{\"" + name + "\": \"a\"}"), HasSubstr("write what is asked and what is answered as one \"text\""));
    EXPECT_EQ(error("{\"text\": \"a\", \"" + name + "\": \"b\"}"), "no error");
  }
  EXPECT_THAT(error("{\"other\": \"a\"}"), testing::EndsWith("expected, got the columns other"));
  EXPECT_THAT(error("{}"), testing::EndsWith("expected, got the columns none"));
  for (const auto& [value, kind] :
       {std::pair("3", "a number"), {"[\"a\"]", "a list"}, {"{}", "another kind of value"}, {"true", "another"}}) {
    EXPECT_THAT(error(std::string("{\"text\": ") + value + "}"), HasSubstr(std::string("$.text: a string expected, got ") + kind));
  }
}

TEST_F(TextData, TablesHaveTheSeparatorOfTheirFirstLine) {
  for (const auto& [name, text] : {std::pair("a.csv", "id,text\n1,a;b\n"),
                                   {"b.csv", "id;text\n1;a,b\n"},
                                   {"c.csv", "id\ttext\n1\ta,b\n"},
                                   {"d.tsv", "id\ttext\n1\ta;b\n"},
                                   {"e.csv", "text\na;b\n"},
                                   {"f.csv", "\n\nid;text\n1;a,b\n"}}) {
    write(name, text);
    EXPECT_THAT(read(name), ElementsAre(testing::AnyOf("a;b", "a,b"))) << name;
  }
  write("g.csv", "text,id\n");
  EXPECT_THAT(format_error("g.csv"), HasSubstr("got none"));
}

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

TEST_F(TextData, RowsWithoutATextAreCounted) {
  write("rows.jsonl", "{\"text\": \"\"}\n{\"text\": null}\n{\"text\": \"a\"}\n{\"text\": \"\"}\n");
  EXPECT_THAT(read("rows.jsonl"), ElementsAre("a"));
  EXPECT_EQ(left_out(), "rows with an empty text: 2; rows whose text is null: 1");
  write("rows.jsonl", "{\"text\": \"\"}\n");
  EXPECT_THAT(format_error("rows.jsonl"), AllOf(HasSubstr("none"), HasSubstr("empty text: 1")));
  // As in Python, the last value of a name counts.
  write("rows.jsonl", "{\"text\": \"a\", \"text\": \"b\"}\n");
  EXPECT_THAT(read("rows.jsonl"), ElementsAre("b"));
}

TEST_F(TextData, MarksAreTakenOffAndWiderEncodingsConverted) {
  write("a.txt", "\xef\xbb\xbfhello");
  EXPECT_THAT(read("a.txt"), ElementsAre("hello"));
  write("a.jsonl", "\xef\xbb\xbf{\"text\": \"a\"}\n\xef\xbb\xbf{\"text\": \"b\"}\n");
  EXPECT_THAT(read("a.jsonl"), ElementsAre("a", "b"));
  const std::string little("\xff\xfeh\0\xe9\0\x3d\xd8\x00\xde\n\0", 12), big("\xfe\xff\0h\0\xe9\xd8\x3d\xde\x00\0\n", 12);
  for (const std::string& bytes : {little, big}) {
    write("a.txt", bytes);
    EXPECT_THAT(read("a.txt"), ElementsAre("h\xc3\xa9\xf0\x9f\x98\x80\n"));
    EXPECT_THAT(report_.notes, ElementsAre("a.txt was read as UTF-16"));
  }
  write("a.txt", std::string("\xff\xfe\0\0h\0\0\0", 8));
  EXPECT_THAT(read("a.txt"), ElementsAre("h"));
  write("a.txt", std::string("\xff\xfe\x3d\xd8h\0", 6));
  EXPECT_THAT(format_error("a.txt"), AllOf(HasSubstr("UTF-16"), HasSubstr("second half")));
  write("a.txt", std::string("\xff\xfeh", 3));
  EXPECT_THAT(format_error("a.txt"), HasSubstr("middle of a character"));
  write("a.txt", std::string("h\0e\0l\0l\0o\0", 10));
  EXPECT_THAT(format_error("a.txt"), HasSubstr("UTF-16 without a byte order mark"));
}

TEST_F(TextData, LineEndsOfTextAreThoseOfPythonAndThoseOfRowsStay) {
  write("a.txt", "a\r\nb\rc\n\r");
  EXPECT_THAT(read("a.txt"), ElementsAre("a\nb\nc\n\n"));
  EXPECT_EQ(report_.notes.size(), 1U);
  write("a.jsonl", "{\"text\": \"a\\r\\nb\"}\r\n");
  EXPECT_THAT(read("a.jsonl"), ElementsAre("a\r\nb"));
}

TEST_F(TextData, PathsWithoutTextAreErrorsThatSayWhatToDo) {
  EXPECT_THAT(format_error(), HasSubstr("none"));
  const std::pair<std::string, std::string> cases[] = {{std::string("\x89PNG\x00", 5), "PNG"},
                                                       {"\x1f\x8b\x08", "gunzip"},
                                                       {"PK\x03\x04", "zip"},
                                                       {std::string("PAR1\x00", 5), "to_json"},
                                                       {"%PDF-1.4", "pdftotext"},
                                                       {"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
                                                       {std::string("a\0b", 3), "byte 1 is 0"},
                                                       {"", "empty"},
                                                       {"\xef\xbb\xbf", "empty"},
                                                       {"caf\xe9 cr\xe8me", "byte 3 (line 1) is 0xe9"},
                                                       {"a\n\xc0\x80", "byte 2 (line 2)"}};
  for (const auto& [bytes, said] : cases) {
    write("a.txt", bytes);
    EXPECT_THAT(format_error("a.txt"), AllOf(HasSubstr("a.txt"), HasSubstr(said)));
  }
  // Letters that also begin a binary kind of file.
  write("a.txt", "PAR1 is a part of GGUF");
  EXPECT_EQ(read("a.txt").size(), 1U);
  EXPECT_THROW(read_documents(path("missing.txt")), IoError);
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

class TextTokens : public TextData {
 protected:
  /// Words of letters; the post-processor puts `before` and `after` around a text, where they are not empty.
  Tokenizer tokenizer(const std::string& before, const std::string& after) const {
    const auto special = [](const std::string& name) { return R"({"SpecialToken": {"id": ")" + name + R"(", "type_id": 0}},)"; };
    const auto entry = [](const char* name, int id) {
      return std::string("\"") + name + R"(": {"id": ")" + name + R"(", "ids": [)" + std::to_string(id) + R"(], "tokens": [")" + name +
             "\"]}";
    };
    std::string single = before.empty() ? "" : special(before);
    single += R"({"Sequence": {"id": "A", "type_id": 0}},)";
    if (!after.empty()) single += special(after);
    single.pop_back();
    const std::string processor = R"({"type": "TemplateProcessing", "single": [)" + single + R"(], "pair": [)" + single +
                                  R"(,{"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": {)" + entry("<s>", 0) + "," +
                                  entry("</s>", 1) + "}}";
    write("tokenizer.json",
          R"({"added_tokens": [{"id": 0, "content": "<s>", "special": true}, {"id": 1, "content": "</s>", "special": true}],
      "pre_tokenizer": {"type": "Whitespace"}, "post_processor": )" +
              processor + R"(,
      "model": {"type": "WordLevel", "vocab": {"<s>": 0, "</s>": 1, "a": 2, "b": 3, "?": 4}, "unk_token": "?"}})");
    return Tokenizer::load(path("tokenizer.json"));
  }
  static std::vector<int32_t> ids(const Tokenizer& tokenizer) {
    const Document documents[] = {{"1", "a b", true}, {"2", "b", true}, {"3", "a</s>", true}};
    return encode_documents(documents, tokenizer, 1);
  }
};

TEST_F(TextTokens, EachTextHasWhatTheTokenizerPutsThereAndOneEndOfText) {
  EXPECT_THAT(ids(tokenizer("", "")), ElementsAre(2, 3, 1, 3, 1, 2, 1));
  EXPECT_THAT(ids(tokenizer("<s>", "")), ElementsAre(0, 2, 3, 1, 0, 3, 1, 0, 2, 1));
  EXPECT_THAT(ids(tokenizer("<s>", "</s>")), ElementsAre(0, 2, 3, 1, 0, 3, 1, 0, 2, 1, 1));
}

TEST_F(TextTokens, TheTailOfOneLongFileIsHeldOut) {
  const Tokenizer words = tokenizer("<s>", "");
  TextSplit one;
  std::string text;
  for (int k = 0; k < 398; ++k) text += k % 2 == 0 ? "a " : "b ";
  one.train = {{"long.txt", text}};
  const TokenSplit parts = encode_split(one, words, 1);
  EXPECT_EQ(parts.tokens, 400);
  EXPECT_EQ(parts.train.size(), 360U);
  EXPECT_EQ(parts.validation.size(), 41U);
  EXPECT_EQ(parts.validation.front(), parts.train.back());
  EXPECT_EQ(parts.validation.back(), 1);
  EXPECT_EQ(parts.held_out, "the last 40 tokens of long.txt");
  one.train[0].row = true;
  EXPECT_TRUE(encode_split(one, words, 1).validation.empty());
  one.train = {{"short.txt", "a b"}};
  EXPECT_THAT(encode_split(one, words, 1).held_out, HasSubstr("too few"));
}

}  // namespace
}  // namespace lazuli
