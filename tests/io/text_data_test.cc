// Checks the reading of texts: which files count, JSON lines, and the split by file.
#include "io/text_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "lazuli/error.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class TextData : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("text_data_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
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

  fs::path folder_;
};

TEST_F(TextData, AFolderGivesItsTextFilesSortedAndSkipsTheRest) {
  write("b.py", "print(1)\n");
  write("a/z.txt", "zed");
  write("binary.dat", std::string("\x01\x00\x02", 3));
  write("latin", "caf\xe9");
  write("latin.txt", "caf\xe9");
  write("empty.txt", "");
  write(".git/config", "hidden");
  const auto documents = read_documents(path());
  EXPECT_EQ(names(documents), (std::vector<std::string>{"a/z.txt", "b.py", "latin.txt"}));
  EXPECT_EQ(documents[1].text, "print(1)\n");
}

TEST_F(TextData, JsonLinesGiveOneDocumentARow) {
  write("rows.jsonl", "{\"text\": \"one\\n\"}\n\n{\"text\": \"two\", \"id\": 3}");
  const auto rows = read_documents(path("rows.jsonl"));
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].text, "one\n");
  EXPECT_EQ(rows[1].name, "rows.jsonl:3");
}

TEST_F(TextData, BadRowsAreNamedByFileAndLine) {
  write("rows.jsonl", "{\"text\": \"fine\"}\n{\"text\": 3}\n");
  EXPECT_THAT(format_error("rows.jsonl"), HasSubstr("rows.jsonl:2"));
  write("rows.jsonl", "{\"text\": \"fine\"}\n\n{\"text\": \"open\n");
  EXPECT_THAT(format_error("rows.jsonl"), HasSubstr("rows.jsonl:3"));
  write("rows.jsonl", "{\"prompt\": \"x\"}\n");
  EXPECT_THAT(format_error("rows.jsonl"), HasSubstr("text"));
  write("rows.jsonl", "{\"text\": \"\xff\"}\n");
  EXPECT_THAT(format_error("rows.jsonl"), HasSubstr("rows.jsonl:1"));
  write("rows.jsonl", "\n\n");
  EXPECT_THAT(format_error("rows.jsonl"), HasSubstr("none"));
}

TEST_F(TextData, PathsWithoutTextAreErrors) {
  EXPECT_THAT(format_error(), HasSubstr("none"));
  write("image.png", std::string("\x89PNG\x00", 5));
  EXPECT_THAT(format_error("image.png"), HasSubstr("binary"));
  EXPECT_THROW(read_documents(path("missing.txt")), IoError);
}

TEST_F(TextData, AFolderWithTrainAndValidRowsIsSplitAsItIs) {
  write("train.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n");
  write("valid.jsonl", "{\"text\": \"c\"}\n");
  const TextSplit split = read_split(path(), 0);
  EXPECT_EQ(split.train.size(), 2U);
  ASSERT_EQ(split.validation.size(), 1U);
  EXPECT_EQ(split.validation[0].text, "c");
  EXPECT_EQ(read_documents(path())[0].text, "c");
}

TEST_F(TextData, FilesAreSplitBySeed) {
  for (int k = 0; k < 40; ++k) write(std::to_string(k) + ".txt", "text");
  const TextSplit first = read_split(path(), 1), again = read_split(path(), 1), other = read_split(path(), 2);
  EXPECT_EQ(first.validation.size(), 4U);
  EXPECT_EQ(first.train.size(), 36U);
  EXPECT_EQ(names(first.validation), names(again.validation));
  EXPECT_NE(names(first.validation), names(other.validation));
}

TEST_F(TextData, OneDocumentIsAllForTraining) {
  write("one.txt", "text");
  EXPECT_TRUE(read_split(path("one.txt"), 0).validation.empty());
  EXPECT_EQ(read_split(path(), 0).train.size(), 1U);
}

}  // namespace
}  // namespace lazuli
