// Checks that the files of a folder are replaced as a set, and that one process at a time has the folder.
#include "base/output_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "lazuli/error.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<std::string> kOwn = {"data", "log", "config"};

class OutputFolderTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return temp_.path("out/" + name); }
  std::string read(const std::string& name) const { return read_file(path(name), 100); }
  /// Puts a set of two files into the folder.
  void publish(const std::string& content) const {
    OutputFolder folder(temp_.path("out"), kOwn);
    folder.stage();
    write_file(folder.file("data"), content);
    write_file(folder.file("config"), content);
    folder.publish();
    EXPECT_FALSE(folder.staged());
    EXPECT_EQ(read_file(folder.file("data"), 100), content);
  }
  /// What is there besides the folder itself.
  std::vector<std::string> beside() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(temp_.path())) names.push_back(entry.path().filename().string());
    return names;
  }
  test::TempFolder temp_;
};

TEST_F(OutputFolderTest, AllOwnFilesAreReplacedTogether) {
  publish("old");
  temp_.write("out/log", "old");
  publish("new");
  EXPECT_EQ(read("data"), "new");
  EXPECT_EQ(read("config"), "new");
  EXPECT_FALSE(fs::exists(path("log"))) << "the new set has none";
  EXPECT_THAT(beside(), ElementsAre("out"));
}

TEST_F(OutputFolderTest, OtherFilesStay) {
  publish("old");
  temp_.write("out/mine", "mine");
  temp_.write("out/.hidden/deep", "mine");
  publish("new");
  EXPECT_EQ(read("data"), "new");
  EXPECT_EQ(read("mine"), "mine");
  EXPECT_EQ(read(".hidden/deep"), "mine");
  EXPECT_THAT(OutputFolder(temp_.path("out"), kOwn).others(), ElementsAre("mine"));
  EXPECT_THAT(beside(), ElementsAre("out"));
}

TEST_F(OutputFolderTest, WhatIsNotPublishedIsGone) {
  publish("old");
  {
    OutputFolder folder(temp_.path("out"), kOwn);
    folder.stage();
    write_file(folder.file("data"), "new");
  }
  EXPECT_EQ(read("data"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(temp_.path("out")), fs::directory_iterator()), 2);
}

TEST_F(OutputFolderTest, OneProcessAtATimeHasIt) {
  publish("old");
  OutputFolder first(temp_.path("out"), kOwn);
  EXPECT_THAT(test::message_of<IoError>([&] { OutputFolder(temp_.path("out"), kOwn); }), HasSubstr("another process"));
  first.stage();
  write_file(first.file("config"), "new");
  first.publish();
  EXPECT_THAT(test::message_of<IoError>([&] { OutputFolder(temp_.path("out"), kOwn); }), HasSubstr("another process"));
}

TEST_F(OutputFolderTest, AFolderThatStayedEmptyGoesAgain) {
  { const OutputFolder folder(temp_.path("new/deep"), kOwn); }
  EXPECT_FALSE(fs::exists(temp_.path("new/deep")));
  fs::create_directories(temp_.path("was there"));
  { const OutputFolder folder(temp_.path("was there"), kOwn); }
  EXPECT_TRUE(fs::exists(temp_.path("was there")));
  temp_.write("file", "");
  EXPECT_THROW(OutputFolder(temp_.path("file"), kOwn), IoError);
  EXPECT_THROW(OutputFolder(temp_.path("file/below"), kOwn), IoError);
  EXPECT_THROW(OutputFolder("", kOwn), IoError);
}

TEST_F(OutputFolderTest, WhatAKilledProcessStagedIsRemoved) {
  publish("old");
  temp_.write("out/new.123.tmp/data", "half");
  temp_.write("out.123.tmp/data", "half");
  const OutputFolder folder(temp_.path("out"), kOwn);
  EXPECT_THAT(folder.others(), IsEmpty());
  EXPECT_THAT(beside(), ElementsAre("out"));
}

}  // namespace
}  // namespace lazuli
