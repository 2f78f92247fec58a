// Tests that an open folder of a model gives its files, and reads each of them once.
#include "io/model_folder.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "lazuli/error.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using testing::HasSubstr;

TEST(ModelFolder, ReadsAFileOnceForAllWhoAsk) {
  const test::TempFolder files;
  files.write("config.json", R"({"model_type": "llama"})");
  ModelFolder folder(files.path());
  const auto first = folder.require("config.json");
  files.write("config.json", "no JSON");
  EXPECT_EQ(folder.find("config.json"), first);
  std::filesystem::remove(files.path("config.json"));
  EXPECT_EQ(folder.require("config.json"), first);
  EXPECT_EQ(first->root().get("model_type").as_string(), "llama");
  EXPECT_EQ(first->name(), files.path("config.json"));
}

TEST(ModelFolder, SaysWhichFilesAreThere) {
  const test::TempFolder files;
  ModelFolder folder(files.path());
  EXPECT_FALSE(folder.has("config.json"));
  EXPECT_EQ(folder.find("config.json"), nullptr);
  EXPECT_THROW(folder.require("config.json"), IoError);
  EXPECT_THROW(folder.checkpoint(), IoError);
  files.write("config.json", "{}");
  EXPECT_TRUE(folder.has("config.json"));
  EXPECT_NE(folder.find("config.json"), nullptr);
}

TEST(ModelFolder, RefusesAFileThatIsTooLongOrNoJsonByName) {
  const test::TempFolder files;
  ModelFolder folder(files.path());
  files.write("config.json", "[1, 2]");
  EXPECT_THAT(test::message_of<FormatError>([&] { folder.find("config.json", 5); }), HasSubstr("config.json"));
  files.write("config.json", "[1,");
  EXPECT_THAT(test::message_of<FormatError>([&] { folder.find("config.json"); }), HasSubstr("config.json: valid JSON expected"));
}

TEST(ModelFolder, OpensAFolderBelowOnce) {
  const test::TempFolder files;
  std::filesystem::create_directory(files.path("1_Pooling"));
  files.write("1_Pooling/config.json", "{}");
  ModelFolder folder(files.path());
  EXPECT_EQ(&folder.below(""), &folder);
  EXPECT_EQ(&folder.below("1_Pooling"), &folder.below("1_Pooling"));
  EXPECT_NE(folder.below("1_Pooling").find("config.json"), nullptr);
  EXPECT_EQ(folder.find("config.json"), nullptr);
}

}  // namespace
}  // namespace lazuli
