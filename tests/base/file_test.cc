// Tests of file reading and atomic writing.
#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "lazuli/error.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("lazuli_file_" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::ptrdiff_t entries() const { return std::distance(fs::directory_iterator(folder_), fs::directory_iterator()); }
  fs::path folder_;
};

TEST_F(FileTest, WritesAndReadsBack) {
  const std::string content("a\0b\n", 4);
  write_file(path("x"), content);
  EXPECT_EQ(read_file(path("x"), 100), content);
  write_file(path("x"), "");
  EXPECT_EQ(read_file(path("x"), 100), "");
  EXPECT_EQ(entries(), 1);
}

TEST_F(FileTest, WithoutCommitTheOldFileStaysAndNothingIsLeftBehind) {
  write_file(path("x"), "old");
  {
    AtomicFile file(path("x"));
    file.write("new");
    EXPECT_EQ(entries(), 2);
  }
  EXPECT_EQ(read_file(path("x"), 100), "old");
  EXPECT_EQ(entries(), 1);
}

TEST_F(FileTest, AFailedRenameRemovesTheTemporaryFile) {
  fs::create_directory(folder_ / "taken");
  EXPECT_THROW(write_file(path("taken"), "x"), IoError);
  EXPECT_EQ(entries(), 1);
}

TEST_F(FileTest, ErrorsNameThePathAndTheReason) {
  const auto message = [](auto&& call) -> std::string {
    try {
      call();
    } catch (const IoError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message([&] { read_file(path("none"), 1); }), path("none") + ": cannot open: No such file or directory");
  EXPECT_EQ(message([&] { write_file(path("no/such"), ""); }), path("no/such") + ": cannot write: No such file or directory");
  EXPECT_EQ(message([&] { read_file(folder_.string(), 1); }), folder_.string() + ": cannot read: Is a directory");
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_NE(message([&] { read_file(path("pipe"), 1); }).find("a regular file is expected"), std::string::npos);
}

TEST_F(FileTest, ALinkStaysAndItsFileIsReplaced) {
  write_file(path("file"), "old");
  fs::create_symlink("file", path("link"));
  fs::create_symlink(path("link"), path("link of a link"));
  fs::create_symlink("later", path("dangling"));
  write_file(path("link of a link"), "new");
  write_file(path("dangling"), "made");
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(read_file(path("file"), 9), "new");
  EXPECT_EQ(read_file(path("later"), 9), "made");
  EXPECT_EQ(entries(), 5);
  fs::create_symlink("round", path("round"));
  EXPECT_THROW(write_file(path("round"), ""), IoError);
}

TEST_F(FileTest, WhatIsNoFileIsNotReplaced) {
  EXPECT_THROW(write_file(folder_.string(), "x"), IoError);
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  const FileDescriptor reader(open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  write_file(path("pipe"), "abc");
  EXPECT_TRUE(fs::is_fifo(path("pipe")));
  char bytes[4] = {};
  EXPECT_EQ(read(reader.get(), bytes, sizeof bytes), 3);
  EXPECT_EQ(entries(), 1);
}

TEST_F(FileTest, AFileKeepsWhoMayReadIt) {
  write_file(path("private"), "old");
  ASSERT_EQ(chmod(path("private").c_str(), 0600), 0);
  write_file(path("private"), "new");
  EXPECT_EQ(fs::status(path("private")).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(FileTest, WhetherAFileCanBeWrittenIsKnownBefore) {
  require_writable(path("new"));
  EXPECT_EQ(entries(), 0);
  write_file(path("there"), "content");
  require_writable(path("there"));
  EXPECT_EQ(read_file(path("there"), 9), "content");
  EXPECT_THROW(require_writable(path("none/new")), IoError);
  EXPECT_THROW(require_writable(path("there/new")), IoError);
  EXPECT_THROW(require_writable(folder_.string()), IoError);
  EXPECT_THROW(require_writable(""), IoError);
}

TEST_F(FileTest, RefusesFilesAboveTheLimit) {
  write_file(path("x"), "12345");
  EXPECT_EQ(read_file(path("x"), 5), "12345");
  EXPECT_THROW(read_file(path("x"), 4), FormatError);
}

}  // namespace
}  // namespace lazuli
