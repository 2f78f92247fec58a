// Checks that a program that is ended while it writes, or that may not write, leaves nothing half-written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "cli/program.h"
#include "lazuli/safetensors.h"
#include "support/tiny_sentences.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr int kSignals[] = {SIGKILL, SIGTERM, SIGINT};
/// From the moment when something is being written.
constexpr int kMicroseconds[] = {0, 500, 2000, 8000, 25000, 70000, 150000};
constexpr size_t kLimit = size_t{1} << 28;

class Killed : public testing::Test {
 protected:
  Killed() {
    test::make_tiny_sentences(folder_ / "encoder", "dense");
    std::ofstream texts(folder_ / "texts.txt"), code(folder_ / "code.py");
    for (int line = 0; line < 3000; ++line) texts << "the dog number " << line << " sat on a mat\n";
    for (int line = 0; line < 100; ++line) code << "def function_" << line << "(x):\n    return x + " << line << "\n";
  }

  std::vector<std::string> finetune(const std::string& adapter, const std::string& iterations) const {
    return {"finetune",
            "--model",
            model_folder(),
            "--data",
            folder_ / "code.py",
            "--adapter-path",
            adapter,
            "--iters",
            iterations,
            "--batch-size",
            "1",
            "--lora-rank",
            "2",
            "--max-seq-length",
            "16",
            "--threads",
            "1",
            "--val-batches",
            "0",
            "--save-every",
            "1",
            "--target-modules",
            "q_proj,v_proj",
            "--overwrite",
            "--quiet"};
  }
  std::vector<std::string> fuse(const std::string& target) const {
    return {"fuse", "--model", model_folder(), "--adapter-path", folder_ / "adapter", "--save-path", target, "--threads", "1"};
  }
  std::vector<std::string> embed(const std::string& target) const {
    return {"embed", "--model", folder_ / "encoder", "--input", folder_ / "texts.txt", "--output", target, "--threads", "1", "--quiet"};
  }

  void run(const std::vector<std::string>& arguments) const {
    const Program program(folder_, arguments);
    EXPECT_EQ(program.wait(), 0) << program.err();
  }

  /// What has a temporary name in a folder or below it.
  static std::vector<std::string> temporaries(const fs::path& folder) {
    std::vector<std::string> found;
    std::error_code error;
    for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      if (entry->path().extension() == ".tmp") found.push_back(entry->path().string());
    }
    return found;
  }

  /// Starts the program and sends the signal some time after the first temporary name appears in `folder`, or the target does.
  void run_and_end(const std::vector<std::string>& arguments, const std::string& folder, int signal, int microseconds) const {
    fs::create_directories(folder);
    const auto before = temporaries(folder);
    const Program program(folder_, arguments);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    const auto is_writing = [&] {
      const auto now = temporaries(folder);
      return std::any_of(now.begin(), now.end(),
                         [&](const auto& name) { return std::find(before.begin(), before.end(), name) == before.end(); });
    };
    while (!is_writing() && !program.ended() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
    program.send(signal);
    EXPECT_THAT(program.wait(), testing::AnyOf(0, 130, 128 + signal)) << program.err();
  }

  /// The names below a folder and what the files hold.
  static std::map<std::string, std::string> content(const std::string& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      files[entry.path().lexically_relative(folder).string()] = entry.is_regular_file() ? read_file(entry.path().string(), kLimit) : "";
    }
    return files;
  }

  TestFolder folder_;
};

TEST_F(Killed, FinetuneLeavesEachFileWholeAtEveryMoment) {
  const std::string adapter = folder_ / "adapter";
  size_t count = 0;
  for (int microseconds : kMicroseconds) {
    run_and_end(finetune(adapter, "100000"), adapter, kSignals[count++ % 3], microseconds);
    for (const char* name : {"/adapter_model.safetensors", "/training_state.safetensors"}) {
      if (!fs::exists(adapter + name)) continue;
      EXPECT_NO_THROW({
        const SafetensorsFile file = SafetensorsFile::open(adapter + name);
        EXPECT_FALSE(file.names().empty());
      }) << microseconds;
    }
    if (fs::exists(adapter + "/adapter_config.json")) {
      EXPECT_NO_THROW(JsonDocument::read(adapter + "/adapter_config.json"));
    }
  }
  run(finetune(adapter, "2"));
  EXPECT_THAT(temporaries(adapter), testing::IsEmpty());
  EXPECT_TRUE(fs::exists(adapter + "/training_state.safetensors"));
}

TEST_F(Killed, FuseLeavesTheWholeFolderOrNone) {
  run(finetune(folder_ / "adapter", "1"));
  run(fuse(folder_ / "reference"));
  const auto whole = content(folder_ / "reference");
  const std::string target = folder_ / "out/fused";
  size_t count = 0, absent = 0;
  for (int microseconds : kMicroseconds) {
    run_and_end(fuse(target), folder_ / "out", kSignals[count++ % 3], microseconds);
    if (fs::exists(target)) {
      EXPECT_TRUE(content(target) == whole) << microseconds;
      fs::remove_all(target);
    } else {
      ++absent;
    }
  }
  EXPECT_GT(absent, 0U);
  run(fuse(target));
  EXPECT_TRUE(content(target) == whole);
  EXPECT_THAT(temporaries(folder_ / "out"), testing::IsEmpty());
}

TEST_F(Killed, EmbedLeavesTheOldFileOrTheNewOne) {
  run(embed(folder_ / "reference.jsonl"));
  const std::string whole = read_file(folder_ / "reference.jsonl", kLimit);
  fs::create_directories(folder_ / "out");
  const std::string target = folder_ / "out/v.jsonl";
  size_t count = 0;
  for (int microseconds : kMicroseconds) {
    std::ofstream(target) << "old";
    run_and_end(embed(target), folder_ / "out", kSignals[count++ % 3], microseconds);
    const std::string now = read_file(target, kLimit);
    EXPECT_TRUE(now == "old" || now == whole) << microseconds << ": " << now.size();
  }
  run(embed(target));
  EXPECT_TRUE(read_file(target, kLimit) == whole);
  EXPECT_THAT(temporaries(folder_ / "out"), testing::IsEmpty());
}

/// Runs what writes below `folder`, where nobody may write, and checks its exit code and that it says so in one line.
class MayNotWrite : public Killed {
 protected:
  void expect_refused(const std::string& folder, bool (*before)() = nullptr) const {
    for (const auto& arguments : {finetune(folder + "/adapter", "1"), fuse(folder + "/fused"), embed(folder + "/v.npy")}) {
      const Program program(folder_, arguments, before);
      const int code = program.wait();
      if (before != nullptr && code == 126) GTEST_SKIP() << "the administrator may not give up a right here";
      EXPECT_EQ(code, 1) << arguments[0];
      const std::string error = program.err();
      EXPECT_THAT(error, AllOf(StartsWith("lazuli: error: "), HasSubstr(folder))) << arguments[0];
      EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1) << error;
    }
  }
};

TEST_F(MayNotWrite, BelowAFile) {
  run(finetune(folder_ / "adapter", "1"));
  expect_refused(folder_ / "code.py");
}

TEST_F(MayNotWrite, WhereTheSystemTakesNoFiles) {
  if (!fs::exists("/proc/self")) GTEST_SKIP() << "/proc is not mounted";
  run(finetune(folder_ / "adapter", "1"));
  expect_refused("/proc/self");
}

/// Permissions do not bind the administrator, who gives up the right to write everywhere and keeps that to read: the program and the
/// model may lie where nobody else gets to.
bool be_bound_in_writing() {
  constexpr unsigned kRight = 1u << CAP_DAC_OVERRIDE;
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct rights[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, rights) != 0) return false;
  // A program that the administrator starts gets all that is not dropped here.
  if (getuid() == 0 && prctl(PR_CAPBSET_READ, CAP_DAC_OVERRIDE) != 0 && prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE) != 0) return false;
  rights[0].effective &= ~kRight;
  rights[0].permitted &= ~kRight;
  rights[0].inheritable &= ~kRight;
  return syscall(SYS_capset, &header, rights) == 0;
}

TEST_F(MayNotWrite, InAFolderWithoutThePermission) {
  run(finetune(folder_ / "adapter", "1"));
  fs::create_directories(folder_ / "closed");
  ASSERT_EQ(chmod((folder_ / "closed").c_str(), 0555), 0);
  expect_refused(folder_ / "closed", be_bound_in_writing);
  EXPECT_TRUE(fs::is_empty(folder_ / "closed"));
}

}  // namespace
}  // namespace lazuli
