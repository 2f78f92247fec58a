// Checks what `finetune` does with a folder that holds something already: whose work stays, and until when.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "cli/finetune_fixture.h"
#include "lazuli/safetensors.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class FinetuneFolder : public FinetuneFixture {
 protected:
  FinetuneFolder() : FinetuneFixture({"--batch-size", "1", "--max-seq-length", "16"}) {}
  std::map<std::string, std::string> content() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(adapter())) {
      files[entry.path().lexically_relative(adapter()).string()] = entry.is_regular_file() ? read_file(entry.path().string(), kLimit) : "";
    }
    return files;
  }
  void wait_for(const Program& program, const std::string& text) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (program.err().find(text) == std::string::npos && std::chrono::steady_clock::now() < deadline) {
      ASSERT_FALSE(program.ended()) << program.err();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
};

TEST_F(FinetuneFolder, AnAdapterIsNotReplacedWithoutAWord) {
  ASSERT_EQ(run({"--iters", "3", "--quiet"}).code, 0);
  const auto before = content();
  const Result again = run({"--iters", "3"});
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, AllOf(HasSubstr(adapter()), HasSubstr("--resume"), HasSubstr("--overwrite")));
  EXPECT_TRUE(content() == before);
  // One of another program has no state to go on from.
  fs::remove(adapter() + "/training_state.safetensors");
  EXPECT_THAT(run({"--iters", "3"}).err, AllOf(Not(HasSubstr("--resume")), HasSubstr("--overwrite")));
  EXPECT_THAT(run({"--iters", "3", "--resume"}).err, HasSubstr("no training_state.safetensors"));
  EXPECT_EQ(run({"--resume", "--overwrite"}).code, 2);
}

TEST_F(FinetuneFolder, OverwritingReplacesEveryFile) {
  ASSERT_EQ(run({"--iters", "30", "--steps-per-report", "1", "--quiet"}).code, 0);
  const auto before = content();
  ASSERT_EQ(run({"--iters", "2", "--lora-rank", "3", "--overwrite", "--quiet"}).code, 0);
  const auto after = content();
  EXPECT_EQ(after.size(), before.size());
  for (const auto& [name, bytes] : after) EXPECT_FALSE(bytes == before.at(name)) << name;
  EXPECT_THAT(after.at("metrics.jsonl"), Not(HasSubstr("\"iteration\":30")));
  for (const auto& entry : fs::directory_iterator(folder_ / "")) EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
}

TEST_F(FinetuneFolder, AFailureBeforeTheFirstSaveChangesNothing) {
  ASSERT_EQ(run({"--iters", "3", "--quiet"}).code, 0);
  const auto before = content();
  const Result failed = run({"--iters", "50", "--learning-rate", "1e30", "--max-grad-norm", "0", "--overwrite"});
  EXPECT_EQ(failed.code, 1);
  EXPECT_THAT(failed.err, HasSubstr("what it held before"));
  EXPECT_TRUE(content() == before);
  EXPECT_EQ(run({"--model", folder_ / "none", "--overwrite"}).code, 1);
  EXPECT_EQ(run({"--max-memory", "1kB", "--overwrite"}).code, 1);
  EXPECT_TRUE(content() == before);
}

TEST_F(FinetuneFolder, TheOldAdapterIsWholeUntilTheNewOneIs) {
  ASSERT_EQ(run({"--iters", "3", "--quiet"}).code, 0);
  const auto before = content();
  // Another seed: stopped after three steps it must not equal the old one.
  const Words endless = {"--iters", "1000000", "--steps-per-report", "1", "--save-every", "1000000", "--seed", "7", "--overwrite"};
  {
    const Program program(folder_, words(endless));
    wait_for(program, "train loss");
    auto now = content();
    for (const auto& [name, bytes] : before) EXPECT_TRUE(now.at(name) == bytes) << name;
    program.send(SIGKILL);
    program.wait();
  }
  ASSERT_EQ(run({"--iters", "3", "--resume", "--quiet"}).code, 0);
  auto resumed = content();
  EXPECT_EQ(resumed.size(), before.size());
  EXPECT_TRUE(resumed.at("adapter_model.safetensors") == before.at("adapter_model.safetensors"));
  // A signal after the first step saves, and then the new one takes the place.
  const Program program(folder_, words(endless));
  wait_for(program, "train loss");
  program.send(SIGTERM);
  EXPECT_EQ(program.wait(), 128 + SIGTERM) << program.err();
  EXPECT_THAT(program.err(), AllOf(HasSubstr("--resume\n"), Not(HasSubstr("--overwrite"))));
  EXPECT_FALSE(content().at("adapter_model.safetensors") == before.at("adapter_model.safetensors"));
}

TEST_F(FinetuneFolder, FilesOfOthersStay) {
  fs::create_directories(adapter());
  std::ofstream(adapter() + "/notes.txt") << "mine";
  const Result refused = run({"--iters", "1"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("'notes.txt'"));
  EXPECT_EQ(run({"--iters", "1", "--overwrite"}).code, 1);
  fs::remove(adapter() + "/notes.txt");
  ASSERT_EQ(run({"--iters", "3", "--quiet"}).code, 0);
  std::ofstream(adapter() + "/README.md") << "about it";
  std::ofstream(adapter() + "/.hidden") << "too";
  ASSERT_EQ(run({"--iters", "1", "--overwrite", "--lora-rank", "2", "--quiet"}).code, 0);
  EXPECT_EQ(read_file(adapter() + "/README.md", 100), "about it");
  EXPECT_EQ(read_file(adapter() + "/.hidden", 100), "too");
  EXPECT_EQ(content().size(), 7U);
  EXPECT_EQ(run({"--resume", "--quiet"}).code, 0);
}

TEST_F(FinetuneFolder, NamesOfModulesMayHaveSpacesAround) {
  EXPECT_EQ(run({"--iters", "1", "--target-modules", " q_proj, v_proj ,", "--quiet"}).code, 0);
  EXPECT_EQ(run({"--iters", "1", "--target-modules", " , ", "--overwrite"}).code, 2);
}

TEST_F(FinetuneFolder, ItsOwnModelIsNoFolderForAnAdapter) {
  const Result r = run({"--adapter-path", folder_ / "llama", "--overwrite"});
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, HasSubstr("'config.json'"));
}

TEST_F(FinetuneFolder, TwoRunsCannotShareAFolder) {
  const Program first(folder_, words({"--iters", "1000000", "--steps-per-report", "1"}));
  wait_for(first, "train loss");
  for (const char* how : {"--resume", "--overwrite"}) {
    fs::create_directories(folder_ / "second");
    const std::string log = folder_ / "second/log";
    const Program second(folder_, words({how}), {"/bin/sh", "-c", "exec \"$@\" 2>'" + log + "'", "sh"});
    EXPECT_EQ(second.wait(), 1) << how;
    EXPECT_THAT(read_file(log, kLimit), HasSubstr("another process")) << how;
  }
  first.send(SIGINT);
  EXPECT_EQ(first.wait(), 130);
  EXPECT_EQ(run({"--iters", "1", "--overwrite", "--quiet"}).code, 0);
}

TEST_F(FinetuneFolder, AClosedTerminalSavesAsCtrlCDoes) {
  const Program program(folder_, words({"--iters", "1000000", "--steps-per-report", "1", "--save-every", "1000000"}));
  wait_for(program, "train loss");
  program.send(SIGHUP);
  program.send(SIGHUP);
  EXPECT_EQ(program.wait(), 128 + SIGHUP) << program.err();
  const SafetensorsFile state = SafetensorsFile::open(adapter() + "/training_state.safetensors");
  EXPECT_GT(std::stoll(state.metadata().at("lazuli_step")), 0);
}

TEST_F(FinetuneFolder, FactorsThatAnotherProgramWroteAreNotTakenForTheTrainings) {
  ASSERT_EQ(run({"--iters", "2", "--quiet"}).code, 0);
  EXPECT_THAT(run({"--iters", "3", "--resume"}).err, Not(HasSubstr("is not what the training ended with")));
  const std::string path = adapter() + "/adapter_model.safetensors";
  std::map<std::string, Tensor> factors;
  {
    const SafetensorsFile file = SafetensorsFile::open(path);
    for (const std::string& name : file.names()) factors[name] = Tensor::zeros(DType::f32, file.info(name).shape);
  }
  save_safetensors(path, factors);
  EXPECT_THAT(run({"--iters", "4", "--resume"}).err, AllOf(HasSubstr(path), HasSubstr("is not what the training ended with")));
}

TEST_F(FinetuneFolder, ARunThatNeverBeganLeavesNoFolder) {
  EXPECT_EQ(run({"--model", folder_ / "none"}).code, 1);
  EXPECT_FALSE(fs::exists(adapter()));
}

TEST_F(FinetuneFolder, AFolderBehindALinkAndTheWorkingFolderAreReplacedInPlace) {
  fs::create_directories(folder_ / "real");
  fs::create_directory_symlink(folder_ / "real", adapter());
  ASSERT_EQ(run({"--iters", "2", "--quiet"}).code, 0);
  ASSERT_EQ(run({"--iters", "1", "--overwrite", "--quiet"}).code, 0);
  EXPECT_TRUE(fs::is_symlink(adapter()));
  const Words there = {"/bin/sh", "-c", "cd '" + (folder_ / "real") + "' && exec \"$@\"", "sh"};
  const Program program(folder_, words({"--adapter-path", ".", "--iters", "2", "--overwrite", "--quiet"}), there);
  EXPECT_EQ(program.wait(), 0) << program.err();
  EXPECT_EQ(run({"--iters", "2", "--resume", "--quiet"}).code, 0);
}

}  // namespace
}  // namespace lazuli
