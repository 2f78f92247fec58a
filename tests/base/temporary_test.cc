// Tests of what becomes of the temporary files and folders of writers that were killed.
#include "base/temporary.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/atomic_folder.h"
#include "base/file.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;

class TemporaryTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("lazuli_temporary_" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  bool has(const std::string& name) const { return fs::exists(folder_ / name); }
  std::ptrdiff_t entries() const { return std::distance(fs::directory_iterator(folder_), fs::directory_iterator()); }

  /// Runs `work` in a process of its own, which kills itself after it.
  template <typename Work>
  static void in_a_killed_process(const Work& work) {
    const pid_t child = fork();
    if (child == 0) {
      work();
      raise(SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
  }

  fs::path folder_;
};

TEST_F(TemporaryTest, TheNextWriterRemovesWhatAKilledOneLeft) {
  write_file(path("x"), "old");
  in_a_killed_process([&] { (new AtomicFile(path("x")))->write("half"); });
  EXPECT_EQ(entries(), 2);
  EXPECT_EQ(read_file(path("x"), 100), "old");
  write_file(path("x"), "new");
  EXPECT_EQ(entries(), 1);
  EXPECT_EQ(read_file(path("x"), 100), "new");
}

TEST_F(TemporaryTest, TheSameHoldsForFolders) {
  in_a_killed_process([&] { write_file((new AtomicFolder(path("model")))->file("weights"), "half"); });
  EXPECT_EQ(entries(), 1);
  AtomicFolder folder(path("model"));
  EXPECT_EQ(entries(), 1);
  write_file(folder.file("weights"), "whole");
  folder.commit();
  EXPECT_EQ(entries(), 1);
  EXPECT_EQ(read_file(path("model/weights"), 100), "whole");
}

TEST_F(TemporaryTest, WhatIsBeingWrittenStays) {
  AtomicFile first(path("x"));
  first.write("first");
  AtomicFile second(path("x"));
  EXPECT_EQ(entries(), 2);
  second.write("second");
  first.commit();
  second.commit();
  EXPECT_EQ(read_file(path("x"), 100), "second");
  EXPECT_EQ(entries(), 1);
}

TEST_F(TemporaryTest, OtherNamesStay) {
  const char* const others[] = {"x.tmp", "x.1.tmp.old", "y.1.tmp", "x.a1.tmp", "xx.1.tmp", "x.1-2", "x..tmp"};
  for (const char* name : others) write_file(path(name), "");
  write_file(path("target"), "");
  fs::create_symlink(path("target"), path("x.7.tmp"));
  write_file(path("x.5-1.tmp"), "");
  fs::create_directories(path("x.6.tmp/inside"));
  remove_abandoned(path("x"));
  for (const char* name : others) EXPECT_TRUE(has(name)) << name;
  EXPECT_TRUE(has("x.7.tmp"));
  EXPECT_TRUE(has("target"));
  EXPECT_FALSE(has("x.5-1.tmp"));
  EXPECT_FALSE(has("x.6.tmp"));
  remove_abandoned(path("no/such/folder"));
}

TEST_F(TemporaryTest, AWriterSeesThatItsFileWasTakenForAbandoned) {
  const FileDescriptor file(open(path("x.1-0.tmp").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  remove_abandoned(path("x"));
  EXPECT_FALSE(has("x.1-0.tmp"));
  EXPECT_FALSE(lock_temporary(file.get()));
}

}  // namespace
}  // namespace lazuli
