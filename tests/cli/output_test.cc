// Checks that what could not be written makes every command fail, whatever became of its standard streams.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "cli/program.h"
#include "support/source_folder.h"
#include "support/tiny_folder.h"
#include "support/tiny_sentences.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

using Words = std::vector<std::string>;

const Words kFull = {"/bin/sh", "-c", "exec \"$@\" >/dev/full", "sh"};
const Words kClosed = {"/bin/sh", "-c", "exec \"$@\" >&-", "sh"};

class Output : public testing::Test {
 protected:
  Output() {
    test::write_tiny_llama(folder_ / "llama");
    test::make_tiny_sentences(folder_ / "encoder", "dense");
    std::ofstream texts(folder_ / "texts.txt");
    for (int k = 0; k < 40; ++k) texts << "abcdab" << (k % 2 == 0 ? "ab" : "cd") << "\n";
  }
  Words on_llama(const Words& words) const {
    Words all = words;
    all.insert(all.end(), {"--model", folder_ / "llama", "--threads", "1", "--quiet"});
    return all;
  }
  Words on_encoder(const Words& words) const {
    Words all = words;
    all.insert(all.end(), {"--model", folder_ / "encoder", "--input", folder_ / "texts.txt", "--threads", "1", "--quiet"});
    return all;
  }
  Words finetune(const std::string& adapter, const Words& more = {}) const {
    Words all = {"finetune",
                 "--data",
                 folder_ / "texts.txt",
                 "--adapter-path",
                 adapter,
                 "--iters",
                 "2",
                 "--batch-size",
                 "1",
                 "--lora-rank",
                 "2",
                 "--max-seq-length",
                 "16"};
    all.insert(all.end(), more.begin(), more.end());
    return on_llama(all);
  }
  /// Each command, as it prints something.
  std::vector<Words> printing() const {
    return {
        {"--help"},
        {"--version"},
        {"finetune", "--help"},
        {"doctor"},
        {"doctor", "--json"},
        {"man"},
        {"man", "generate"},
        {"completion", "bash"},
        {"inspect", folder_ / "llama"},
        on_llama({"tokenize", "--text", "abc"}),
        on_llama({"generate", "--prompt", "ab", "--max-tokens", "5", "--ignore-eos"}),
        on_llama({"generate", "--prompt", "ab", "--max-tokens", "5", "--ignore-eos", "--json"}),
        on_llama({"eval", "--data", folder_ / "texts.txt"}),
        on_llama({"explain", "--tokens", "8"}),
        on_llama({"bench", "--prompt-tokens", "8", "--generate-tokens", "2", "--train-tokens", "0", "--repeats", "1"}),
        on_encoder({"embed", "--output", "-"}),
        on_encoder({"embed", "--output", folder_ / "v.npy", "--json"}),
        on_encoder({"similar", "--query", "ab"}),
        finetune(folder_ / "adapter", {"--json", "--overwrite"}),
        {"fuse", "--model", folder_ / "llama", "--adapter-path", folder_ / "given", "--save-path", folder_ / "fused", "--quiet"},
    };
  }
  void prepare() const {
    fs::remove_all(folder_ / "fused");
    if (fs::exists(folder_ / "given")) return;
    const Program program(folder_, finetune(folder_ / "given"));
    ASSERT_EQ(program.wait(), 0) << program.err();
  }
  TestFolder folder_;
};

void expect_one_error(const Program& program, const std::string& reason, const std::string& command) {
  EXPECT_EQ(program.wait(), 1) << command;
  const std::string said = program.err();
  EXPECT_TRUE(said.starts_with("lazuli: error: stdout: cannot write: ")) << command << ": " << said;
  EXPECT_THAT(said, HasSubstr(reason)) << command;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << command << ": " << said;
}

TEST_F(Output, AFullDiskMakesEveryCommandFail) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  for (const Words& words : printing()) {
    prepare();
    expect_one_error(Program(folder_, words, kFull), "No space left on device", words[0]);
  }
}

TEST_F(Output, AClosedStandardOutputMakesEveryCommandFail) {
  for (const Words& words : printing()) {
    prepare();
    expect_one_error(Program(folder_, words, kClosed), "Bad file descriptor", words[0]);
  }
}

TEST_F(Output, APipeThatNobodyReadsEndsTheProgramAsItEndsOthers) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  close(ends[0]);
  const Words as_usual = {"/usr/bin/env", "--default-signal=PIPE"}, ignored = {"/usr/bin/env", "--ignore-signal=PIPE"};
  for (const Words& words : printing()) {
    prepare();
    const Program program(folder_, words, as_usual, ends[1]);
    EXPECT_EQ(program.wait(), 128 + SIGPIPE) << words[0];
    EXPECT_EQ(program.err(), "") << words[0];
    prepare();
    expect_one_error(Program(folder_, words, ignored, ends[1]), "Broken pipe", words[0]);
  }
  close(ends[1]);
}

TEST_F(Output, WhatPrintsNothingNeedsNoStandardOutput) {
  for (const Words& before : {kFull, kClosed, Words{"/bin/sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"}}) {
    fs::remove_all(folder_ / "adapter");
    EXPECT_EQ(Program(folder_, finetune(folder_ / "adapter"), before).wait(), 0);
    EXPECT_EQ(Program(folder_, on_encoder({"embed", "--output", folder_ / "v.jsonl"}), before).wait(), 0);
    EXPECT_EQ(read_file(folder_ / "v.jsonl", 1 << 24).rfind("}\n") + 2, fs::file_size(folder_ / "v.jsonl"));
  }
}

// Otherwise a file that is opened next would get the number, and what is printed would go into it.
TEST_F(Output, NoFileTakesThePlaceOfAClosedStream) {
  const Words none = {"/bin/sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"};
  const Words words = on_llama({"generate", "--prompt", "ab", "--max-tokens", "5", "--ignore-eos", "--trace", folder_ / "trace.json"});
  EXPECT_EQ(Program(folder_, words, none).wait(), 1);
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "llama")) {
    EXPECT_TRUE(entry.path().extension() == ".json" || entry.path().extension() == ".safetensors") << entry.path();
  }
  EXPECT_TRUE(read_file(folder_ / "trace.json", 1 << 24).starts_with('{'));
  EXPECT_EQ(read_file(folder_ / "llama/config.json", 1 << 16), test::kTinyLlamaConfig);
}

TEST_F(Output, AClosedErrorStreamChangesNoResult) {
  const Words closed = {"/bin/sh", "-c", "exec \"$@\" 2>&-", "sh"};
  const Words words = {"generate", "--model", folder_ / "llama", "--prompt", "ab", "--max-tokens", "5", "--ignore-eos"};
  const Program with(folder_, words);
  EXPECT_EQ(with.wait(), 0);
  const std::string text = with.out();
  const Program without(folder_, words, closed);
  EXPECT_EQ(without.wait(), 0);
  EXPECT_EQ(without.out(), text);
}

/// What cannot be written is said before the work is done, and the file is named.
TEST_F(Output, AFileThatCannotBeWrittenIsNamedBeforeTheWork) {
  fs::create_directories(folder_ / "folder.npy");
  const Words missing_folder_after = {"--model", folder_ / "no-model"};
  for (const std::string& file : {folder_ / "none/f.npy", folder_ / "folder.npy", folder_ / "texts.txt/f.npy"}) {
    for (Words words : std::vector<Words>{{"generate", "--prompt", "ab", "--trace", file},
                                          {"eval", "--data", folder_ / "texts.txt", "--dump-logits", file},
                                          {"explain", "--output", file},
                                          {"embed", "--input", folder_ / "texts.txt", "--output", file}}) {
      words.insert(words.end(), missing_folder_after.begin(), missing_folder_after.end());
      const Program program(folder_, words);
      EXPECT_EQ(program.wait(), 1) << words[0];
      EXPECT_THAT(program.err(), AllOf(HasSubstr(file + ": cannot write"), testing::Not(HasSubstr("no-model")))) << words[0];
    }
  }
}

TEST_F(Output, DevicesAndLinksStayWhatTheyAre) {
  std::ofstream(folder_ / "real.json") << "old";
  ASSERT_EQ(chmod((folder_ / "real.json").c_str(), 0600), 0);
  fs::create_symlink("real.json", folder_ / "link.json");
  ASSERT_EQ(Program(folder_, on_llama({"explain", "--tokens", "8", "--format", "json", "--output", folder_ / "link.json"})).wait(), 0);
  EXPECT_TRUE(fs::is_symlink(folder_ / "link.json"));
  EXPECT_TRUE(read_file(folder_ / "real.json", 1 << 24).starts_with('{'));
  EXPECT_EQ(fs::status(folder_ / "real.json").permissions(), fs::perms::owner_read | fs::perms::owner_write);
  // A pipe stands for a device here, which a wrong program would replace.
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  const int reader = open((folder_ / "pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  EXPECT_EQ(Program(folder_, {"man", "--output", folder_ / "pages", "--trace", folder_ / "pipe"}).wait(), 0);
  EXPECT_TRUE(fs::is_fifo(folder_ / "pipe"));
  std::array<char, 16> begin{};
  EXPECT_GT(read(reader, begin.data(), begin.size()), 0);
  EXPECT_EQ(begin[0], '{');
  close(reader);
}

TEST_F(Output, EmbeddedRowsComeBatchByBatch) {
  std::ofstream many(folder_ / "many.txt");
  for (int k = 0; k < 4000; ++k) many << "the dog number " << k << " sat on the mat and how do I train\n";
  many.close();
  const Words words = {"embed",     "--model", folder_ / "encoder", "--input", folder_ / "many.txt", "--output", "-",
                       "--threads", "1",       "--batch-size",      "1"};
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const Program program(folder_, words, {}, ends[1]);
  close(ends[1]);
  std::array<char, 1> first{};
  ASSERT_EQ(read(ends[0], first.data(), 1), 1);
  // The pipe holds some hundred rows, so the program waits for its reader long before its end.
  EXPECT_FALSE(program.ended());
  program.send(SIGTERM);
  close(ends[0]);
  EXPECT_THAT(program.wait(), testing::AnyOf(128 + SIGTERM, 128 + SIGPIPE));
}

/// One mechanism writes to standard output; what goes past it would be lost without a word.
TEST(OutputSources, NothingElseWritesToStandardOutput) {
  const std::regex direct(R"(std::cout|\bstdout[,)]|\bprintf\(|\bputs\(|STDOUT_FILENO)");
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(source_folder()) / "src")) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file() || name == "output.cc" || entry.path().string().find("/cuda/kernels/") != std::string::npos) continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) EXPECT_FALSE(std::regex_search(line, direct)) << entry.path() << ": " << line;
  }
}

}  // namespace
}  // namespace lazuli
