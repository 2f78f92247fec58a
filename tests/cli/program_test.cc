// Checks the program's frame: exit codes, messages, help and JSON on failure.
#include "cli/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/json.h"

namespace lazuli {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Result {
  int code;
  std::string out, err;
};

Result run(const std::vector<std::string>& arguments) {
  const TestFolder folder;
  const Program program(folder, arguments);
  const int code = program.wait();
  return {code, program.out(), program.err()};
}

std::vector<std::string> finetune(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"finetune", "--model", model_folder(), "--data", "no-data", "--adapter-path", "no-adapter"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Program, WrongCommandLinesEndWithTwo) {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"tune"},
      {"finetune"},
      finetune({"--iterations", "3"}),
      finetune({"--iters", "many"}),
      finetune({"--iters", "-1"}),
      finetune({"--iters", "1.5"}),
      finetune({"--learning-rate", "nan"}),
      finetune({"--lora-dropout", "1"}),
      finetune({"--lr-schedule", "step"}),
      finetune({"--device", "tpu"}),
      finetune({"--dtype", "int4"}),
      finetune({"--threads", "-1"}),
      finetune({"--target-modules", ","}),
      finetune({"unexpected"}),
  };
  for (const auto& arguments : wrong) {
    const Result r = run(arguments);
    EXPECT_EQ(r.code, 2) << r.err;
    EXPECT_TRUE(r.err.starts_with("lazuli: error: ")) << r.err;
    EXPECT_EQ(r.err.find('\n'), r.err.size() - 1) << r.err;
    EXPECT_EQ(r.out, "");
  }
}

TEST(Program, NumbersAreTakenUpToTheirLimitsAndRefusedBeyond) {
  struct Limit {
    std::vector<std::string> words;
    const char* option;
    std::vector<const char*> taken, refused;
    const char* expected;
  };
  const std::vector<std::string> man = {"man", "man"}, inspect = {"inspect", model_folder(), "--summary"},
                                 train = finetune({"--iters", "1"});
  const std::vector<Limit> limits = {
      {man, "--threads", {"0", "1", "1024", "+7"}, {"-1", "1025"}, "an integer from 0 to 1024 is expected, got "},
      {man, "--seed", {"0", "9007199254740993"}, {"-1"}, "an integer of at least 0 is expected, got "},
      {inspect, "--lora-rank", {"1", "384"}, {"0", "65537"}, "an integer from 1 to 65536 is expected, got "},
      {inspect, "--batch-size", {"1", "65536"}, {"0", "65537"}, "an integer from 1 to 65536 is expected, got "},
      {inspect, "--context", {"0", "1024"}, {"-1"}, "an integer of at least 0 is expected, got "},
      // There are no data, which is said with 1 once the numbers are right.
      {train, "--iters", {"0", "1000000000"}, {"-1", "1000000001"}, "an integer from 0 to 1000000000 is expected, got "},
      {train, "--lora-dropout", {"0", "0.999"}, {"-0.001", "0.9991"}, "a number from 0 to 0.999 is expected, got "},
      {train, "--val-batches", {"-1", "0"}, {"-2"}, "an integer of at least -1 is expected, got "},
      {train, "--learning-rate", {"0", "1e-3", "+.5"}, {"-1e-9"}, "a number of at least 0 is expected, got "},
  };
  for (const Limit& limit : limits) {
    const auto with = [&](const char* number) {
      std::vector<std::string> words = limit.words;
      words.insert(words.end(), {limit.option, number});
      return run(words);
    };
    for (const char* number : limit.taken) EXPECT_NE(with(number).code, 2) << limit.option << number;
    for (const char* number : limit.refused) {
      const Result r = with(number);
      EXPECT_EQ(r.code, 2) << limit.option << number;
      EXPECT_THAT(r.err, HasSubstr(limit.expected + std::string(number))) << limit.option;
    }
  }
  EXPECT_THAT(run({"man", "--threads", "two"}).err, HasSubstr("an integer is expected, got 'two'"));
  const std::string large = "99999999999999999999";
  EXPECT_THAT(run({"man", "--threads", large}).err, HasSubstr("an integer from 0 to 1024 is expected, got " + large));
  EXPECT_THAT(run({"man", "--seed", large}).err, HasSubstr("an integer of at most 9223372036854775807 is expected, got " + large));
  EXPECT_THAT(run({"man", "--seed", "-" + large}).err, HasSubstr("an integer of at least 0 is expected, got -" + large));
  EXPECT_THAT(run({"man", "--seed", large + "x"}).err, HasSubstr("an integer is expected, got '" + large + "x'"));
  EXPECT_THAT(run({"man", "--threads", "2x"}).err, HasSubstr("an integer is expected, got '2x'"));
  EXPECT_THAT(run(finetune({"--learning-rate", "inf"})).err, HasSubstr("a number is expected, got 'inf'"));
}

TEST(Program, SizesOfMemoryHaveUnits) {
  const auto taken = [](const std::string& size) { return run({"man", "man", "--max-memory", size}); };
  for (const char* size : {"1", "1B", "0.5kB", "800MB", "2GB", "1TB", "1KB", "1KiB", "1.5MiB", "1GiB", "1TiB", "9.2e18"}) {
    const bool known = std::string(size).find('e') == std::string::npos;
    EXPECT_EQ(taken(size).code, known ? 0 : 2) << size;
  }
  for (const char* size : {"0", "-1", "0.5", "0.0005kB", "1PB", "1mb", "MB", "1 MB", "1MB ", "9300000TB", "9223372036854775808", "nan"}) {
    const Result r = taken(size);
    EXPECT_EQ(r.code, 2) << size;
    EXPECT_THAT(r.err, HasSubstr("--max-memory: a size such as 800MB or 1.5GiB is expected, got '" + std::string(size) + "'"));
  }
  // Each unit, by the limit that an error names.
  for (const auto& [size, shown] : {std::pair("1000", "1.00 kB"),
                                    {"1kB", "1.00 kB"},
                                    {"1KiB", "1.02 kB"},
                                    {"0.001MB", "1.00 kB"},
                                    {"0.001MiB", "1.05 kB"},
                                    {"0.000001GB", "1.00 kB"},
                                    {"0.000001GiB", "1.07 kB"},
                                    {"0.000000001TB", "1.00 kB"},
                                    {"0.000000001TiB", "1.10 kB"}}) {
    const Result r = run({"generate", "--model", model_folder(), "--prompt", "a", "--max-memory", size});
    EXPECT_EQ(r.code, 1) << size;
    EXPECT_THAT(r.err, HasSubstr("limit " + std::string(shown))) << size;
  }
}

TEST(Program, HelpShowsTheLimitsOfNumbers) {
  const std::string all = run({"finetune", "--help"}).out;
  // Lines are broken where the terminal ends.
  std::string text;
  for (const char c : all) {
    if (c != '\n' && (c != ' ' || text.empty() || text.back() != ' ')) text += c;
    if (c == '\n' && !text.empty() && text.back() != ' ') text += ' ';
  }
  EXPECT_THAT(text, testing::AllOf(HasSubstr("one for each core (0 to 1024)"), HasSubstr("-1: all (at least -1)"),
                                   HasSubstr("input (0 to 0.999)"), HasSubstr("Print one JSON object on stdout -")));
}

TEST(Program, UnknownWordsAreNamed) {
  EXPECT_THAT(run({"tune"}).err, HasSubstr("'tune'"));
  EXPECT_THAT(run({"finetune", "--modle", "x"}).err, HasSubstr("'--modle'"));
}

TEST(Program, HelpHasOptionsDefaultsAndExamples) {
  const Result all = run({"--help"});
  EXPECT_EQ(all.code, 0);
  EXPECT_THAT(all.out, HasSubstr("finetune"));
  const Result r = run({"finetune", "--help"});
  EXPECT_EQ(r.code, 0);
  for (const char* text :
       {"Usage: lazuli finetune", "--learning-rate X=1e-05", "--target-modules", "--threads", "Examples:\n  lazuli finetune"}) {
    EXPECT_THAT(r.out, HasSubstr(text));
  }
  EXPECT_THAT(r.out, Not(HasSubstr("\x1b[")));
}

TEST(Program, TellsItsVersion) {
  const Result r = run({"--version"});
  EXPECT_EQ(r.code, 0);
  EXPECT_TRUE(r.out.starts_with("lazuli ")) << r.out;
}

/// A shell that starts the program with its output going to the file.
std::vector<std::string> with_output_to(const std::string& file) { return {"/bin/sh", "-c", "exec \"$@\" > '" + file + "'", "sh"}; }

TEST(Program, AnswersThatCannotBeWrittenEndWithOne) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  const std::vector<std::vector<std::string>> answers = {{"--version"},
                                                         {"--help"},
                                                         {"generate", "--help"},
                                                         {"doctor"},
                                                         {"doctor", "--json"},
                                                         {"completion", "bash"},
                                                         {"man", "--format", "markdown"},
                                                         {"inspect", model_folder()},
                                                         {"inspect", model_folder(), "--json"}};
  for (const auto& arguments : answers) {
    const TestFolder folder;
    const Program program(folder, arguments, with_output_to("/dev/full"));
    EXPECT_EQ(program.wait(), 1) << arguments[0];
    EXPECT_THAT(program.err(), HasSubstr("lazuli: error: ")) << arguments[0];
    EXPECT_THAT(program.err(), HasSubstr("stdout")) << arguments[0];
  }
}

TEST(Program, MissingModelEndsWithOne) {
  const Result r = run({"finetune", "--model", "/no/model", "--data", "d", "--adapter-path", "a"});
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, HasSubstr("lazuli: error: /no/model"));
  EXPECT_EQ(r.out, "");
}

TEST(Program, FailuresAreJsonToo) {
  for (const auto& [arguments, code] : std::vector<std::pair<std::vector<std::string>, int>>{
           {{"finetune", "--model", "/no/model", "--data", "d", "--adapter-path", "a", "--json"}, 1},
           {finetune({"--iters", "x", "--json"}), 2}}) {
    const Result r = run(arguments);
    EXPECT_EQ(r.code, code);
    const JsonDocument document = JsonDocument::parse(r.out, "stdout");
    EXPECT_THAT(r.err, HasSubstr(std::string(document.root().get("error").as_string())));
  }
}

TEST(Program, TruncatedModelIsNamed) {
  const TestFolder folder;
  const std::string model = folder / "model";
  std::filesystem::copy(model_folder(), model);
  std::filesystem::resize_file(model + "/model.safetensors", 1000);
  const Program program(folder,
                        {"finetune", "--model", model, "--data", model_folder() + "/README.md", "--adapter-path", folder / "adapter"});
  EXPECT_EQ(program.wait(), 1);
  EXPECT_THAT(program.err(), HasSubstr("model.safetensors"));
}

TEST(Program, DataWithoutTextIsNamed) {
  const TestFolder folder;
  std::filesystem::create_directories(folder / "data");
  const Program program(folder, {"finetune", "--model", model_folder(), "--data", folder / "data", "--adapter-path", folder / "adapter"});
  EXPECT_EQ(program.wait(), 1);
  EXPECT_THAT(program.err(), HasSubstr(folder / "data"));
}

TEST(Program, TraceThatCannotBeWrittenIsAnError) {
  const TestFolder folder;
  std::ofstream(folder / "text.txt") << "one two three four five six\n";
  const Program program(folder, {"finetune", "--model", model_folder(), "--data", folder / "text.txt", "--adapter-path", folder / "adapter",
                                 "--iters", "0", "--trace", "/no/folder/trace.json"});
  EXPECT_EQ(program.wait(), 1);
  EXPECT_THAT(program.err(), HasSubstr("/no/folder/trace.json"));
}

}  // namespace
}  // namespace lazuli
