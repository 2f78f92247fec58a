// Checks what is generated from the table of commands (documentation, manual, completion), and that every example of a help works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/program.h"
#include "support/source_folder.h"
#include "support/tiny_reranker.h"
#include "support/tiny_sentences.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct Result {
  int code;
  std::string out, err;
};

Result run_in(const TestFolder& folder, const std::vector<std::string>& arguments) {
  const Program program(folder, arguments);
  const int code = program.wait();
  return {code, program.out(), program.err()};
}

/// In the folder of the test's name, so not while the test has one of its own.
Result run(const std::vector<std::string>& arguments) { return run_in(TestFolder(), arguments); }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// The names in the help of the program, below `Commands:`.
std::vector<std::string> command_names(const TestFolder& folder = TestFolder()) {
  std::vector<std::string> names;
  bool below = false;
  for (const std::string& line : lines_of(run_in(folder, {"--help"}).out)) {
    if (line.starts_with("Commands:")) {
      below = true;
    } else if (below && line.starts_with("  ") && line.size() > 2 && line[2] != ' ') {
      names.push_back(line.substr(2, line.find(' ', 2) - 2));
    }
  }
  return names;
}

std::vector<std::string> examples_of(const std::string& command, const TestFolder& folder = TestFolder()) {
  std::vector<std::string> examples;
  bool below = false;
  for (const std::string& line : lines_of(run_in(folder, {command, "--help"}).out)) {
    if (line == "Examples:") {
      below = true;
    } else if (below && line.starts_with("  ")) {
      examples.push_back(line.substr(2));
    }
  }
  return examples;
}

TEST(Manual, CommandReferenceIsUpToDate) {
  const Result r = run({"man", "--format", "markdown"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(r.out == read_file(source_folder() + "/docs/commands.md", 1 << 20))
      << "to bring it up to date: build/release/bin/lazuli man --format markdown > docs/commands.md";
}

TEST(Manual, OneCommandInMarkdownIsItsPartOfTheReference) {
  const Result whole = run({"man", "--format", "markdown"}), one = run({"man", "tokenize", "--format", "markdown"});
  EXPECT_EQ(one.code, 0) << one.err;
  EXPECT_TRUE(one.out.starts_with("## lazuli tokenize\n")) << one.out;
  EXPECT_EQ(one.out.find("## ", 3), std::string::npos) << one.out;
  EXPECT_NE(whole.out.find("\n" + one.out), std::string::npos);
  EXPECT_NE(run({"man", "no-such", "--format", "markdown"}).err.find("'no-such' is not a command"), std::string::npos);
}

TEST(Manual, CommonOptionsBeforeTheCommandAreSaidToStandBehindIt) {
  const Result early = run({"--json", "doctor"});
  EXPECT_EQ(early.code, 2);
  EXPECT_NE(early.err.find("'--json' must stand behind the command"), std::string::npos) << early.err;
  EXPECT_NE(run({"--threads=2", "doctor"}).err.find("'--threads=2' must stand behind the command"), std::string::npos);
  EXPECT_NE(run({"--jsn", "doctor"}).err.find("'--jsn' is not known"), std::string::npos);
}

TEST(Manual, EveryCommandHasAPageAndExamples) {
  const std::vector<std::string> names = command_names();
  ASSERT_THAT(names, testing::IsSupersetOf({"finetune", "generate", "eval", "inspect", "man"}));
  for (const std::string& name : names) {
    EXPECT_FALSE(examples_of(name).empty()) << name;
    const Result r = run({"man", name});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_THAT(r.out, testing::AllOf(HasSubstr(".SH NAME\nlazuli\\-" + name), HasSubstr(".SH EXAMPLES"), HasSubstr("\\-\\-threads")));
  }
  EXPECT_EQ(run({"man", "tune"}).code, 2);
}

TEST(Manual, PagesAreWellFormed) {
  if (!has_program("groff")) GTEST_SKIP() << "no groff";
  const TestFolder folder;
  ASSERT_EQ(run_in(folder, {"man", "--output", folder / "man1"}).code, 0);
  for (const auto& entry : fs::directory_iterator(folder / "man1")) {
    const std::string warnings = folder / "warnings";
    ASSERT_EQ(std::system(("groff -man -ww -z '" + entry.path().string() + "' 2> '" + warnings + "'").c_str()), 0);
    EXPECT_EQ(read_file(warnings, 1 << 20), "") << entry.path();
  }
}

TEST(Completion, BashCompletesCommandsOptionsAndChoices) {
  if (!has_program("bash")) GTEST_SKIP() << "no bash";
  const TestFolder folder;
  ASSERT_EQ(run_in(folder, {"completion", "bash", "--output", folder / "lazuli.bash"}).code, 0);
  std::ofstream(folder / "try.sh") << ". '" << folder / "lazuli.bash"
                                   << "'\n"
                                   << "compopt() { :; }\n"
                                   << "try() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _lazuli; echo \"${COMPREPLY[*]}\"; }\n"
                                   << "try lazuli fine\ntry lazuli eval --max-s\ntry lazuli eval --device ''\ntry lazuli completion f\n";
  ASSERT_EQ(std::system(("bash '" + folder / "try.sh" + "' > '" + folder / "out" + "'").c_str()), 0);
  EXPECT_EQ(read_file(folder / "out", 1 << 20), "finetune\n--max-seq-length\ncpu cuda reference\nfish\n");
}

TEST(Completion, EveryShellHasEveryCommand) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Result r = run({"completion", shell});
    EXPECT_EQ(r.code, 0);
    for (const std::string& name : command_names()) EXPECT_THAT(r.out, HasSubstr(name)) << shell;
  }
  EXPECT_EQ(run({"completion", "tcsh"}).code, 2);
  for (const char* shell : {"zsh", "fish"}) {
    if (!has_program(shell)) continue;
    const TestFolder folder;
    run_in(folder, {"completion", shell, "--output", folder / "script"});
    EXPECT_EQ(std::system((std::string(shell) + " -n '" + folder / "script" + "'").c_str()), 0);
  }
}

/// A folder where the examples find what they name.
class Examples : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ / "bin");
    fs::create_symlink(program_path(), folder_ / "bin/lazuli");
    fs::create_directories(folder_ / "models");
    fs::create_directory_symlink(model_folder(), folder_ / "models/pycoder-16m");
    fs::create_directory_symlink(model_folder(), folder_ / "MODEL");
    fs::create_directories(folder_ / "src");
    fs::create_directories(folder_ / "rows");
    for (const char* name : {"src/one.py", "src/two.py", "src/three.py", "start.py", "notes.txt"}) {
      std::ofstream out(folder_ / name);
      for (int k = 0; k < 8; ++k) out << "def function_" << k << "(x):\n    return x + " << k << "\n";
    }
    for (const char* name : {"valid.jsonl", "rows/train.jsonl", "rows/valid.jsonl"}) {
      std::ofstream out(folder_ / name);
      for (int k = 0; k < 8; ++k)
        out << R"({"text": "for k in range()" << k << R"():\n    print(k)\n"})"
            << "\n";
    }
    test::make_tiny_sentences(folder_ / "all-MiniLM-L6-v2", "all-modes");
    const test::TinyReranker reranker("bert");
    fs::copy(reranker.folder(), folder_ / "ms-marco-MiniLM-L6-v2", fs::copy_options::recursive);
    std::ofstream(folder_ / "labelled.jsonl") << "{\"query\": \"train\", \"passage\": \"a train\", \"label\": 1}\n"
                                              << "{\"query\": \"train\", \"passage\": \"a cat\", \"label\": 0}\n";
    std::ofstream(folder_ / "sentences.txt") << "a cat\nhow do I train?\n";
    std::ofstream(folder_ / "texts.jsonl") << "{\"text\": \"a cat\"}\n";
    std::ofstream(folder_ / "prompts.jsonl") << "{\"prompt\": \"def add(\"}\n{\"prompt\": \"import \", \"max_tokens\": 2, \"temp\": 0.5}\n";
    std::ofstream(folder_ / "pairs.jsonl")
        << "{\"anchor\": \"a cat\", \"positive\": \"the cat\"}\n{\"anchor\": \"train\", \"positive\": \"a train\"}\n";
    ASSERT_EQ(shell("lazuli finetune --model MODEL --data src --adapter-path adapters --iters 0 --quiet"), 0);
    ASSERT_EQ(shell("lazuli finetune --model MODEL --data rows --adapter-path my-adapter --iters 0 --quiet"), 0);
    const std::string similarity = "lazuli finetune --task similarity --model all-MiniLM-L6-v2 --data pairs.jsonl";
    ASSERT_EQ(shell(similarity + " --adapter-path pair-adapter --iters 0 --quiet"), 0);
  }
  int shell(const std::string& line) const {
    // Each example of a new training begins in a folder of its own; the document before has made one of that name.
    std::smatch adapter;
    if (line.find("lazuli finetune") == 0 && line.find(" --resume") == std::string::npos &&
        std::regex_search(line, adapter, std::regex("--adapter-path ([^ ]+)"))) {
      if (line.find(" --overwrite") == std::string::npos) fs::remove_all(folder_ / adapter[1].str());
    }
    const std::string all = "cd '" + folder_ / "." + "' && PATH=\"$PWD/bin:$PATH\" && { " + line + "; } > shell.out 2> shell.err";
    const int status = std::system(all.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  }
  /// The options make the work short; they go before what the shell reads itself, and an option's last value counts.
  static std::string shortened(const std::string& line, const std::string& options) {
    const size_t end = std::min({line.find(" < "), line.find(" > "), line.find(" | "), line.size()});
    return line.substr(0, end) + options + line.substr(end);
  }
  /// What makes an example of a command short.
  static std::string short_options(const std::string& command) {
    if (command == "finetune") return " --iters 1 --max-seq-length 16 --val-batches 1";
    if (command == "generate") return " --max-tokens 3";
    if (command == "bench") return " --prompt-tokens 16 --generate-tokens 4 --train-tokens 16 --repeats 1";
    return "";
  }
  TestFolder folder_;
};

TEST_F(Examples, OfTheDocumentsWork) {
  for (const char* name : {"my-sources", "other-sources", "include"}) fs::create_directory_symlink(folder_ / "src", folder_ / name);
  const std::string root = source_folder();
  int lines = 0;
  for (const std::string& document : {root + "/README.md", root + "/docs/quickstart.md", root + "/docs/performance.md"}) {
    bool shell_block = false;
    for (const std::string& line : lines_of(read_file(document, 1 << 20))) {
      if (line.starts_with("```")) shell_block = line == "```sh";
      if (!shell_block || !line.starts_with("lazuli ")) continue;
      const std::string command = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_EQ(shell(shortened(line, short_options(command))), 0) << line << "\n" << read_file(folder_ / "shell.err", 1 << 20);
      ++lines;
    }
  }
  EXPECT_GE(lines, 6);
}

TEST_F(Examples, OfEveryHelpWork) {
  for (const std::string& name : command_names(folder_)) {
    const std::string options = short_options(name);
    for (const std::string& line : examples_of(name, folder_)) {
      const int code = shell(shortened(line, options));
      const std::string why = line + "\n" + read_file(folder_ / "shell.err", 1 << 20);
      // An example with a model that is not here must at least be a command line.
      const bool complete = line.find("--model") == std::string::npos || line.find("models/pycoder-16m") != std::string::npos ||
                            line.find("--model MODEL") != std::string::npos || line.find("all-MiniLM-L6-v2") != std::string::npos;
      EXPECT_TRUE(complete ? code == 0 : code != 2 && code < 126) << code << ": " << why;
    }
  }
}

TEST(Doctor, JsonSaysWhatIsThere) {
  const Result r = run({"doctor", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const JsonDocument document = JsonDocument::parse(r.out, "stdout");
  const JsonValue root = document.root();
  EXPECT_GT(root.get("threads").as_int(), 0);
  EXPECT_GT(root.get("memory").get("total").as_int(), 0);
  EXPECT_FALSE(root.get("target").as_string().empty());
  for (const char* library : {"oneDNN", "highway", "simdjson", "fmt", "utf8proc", "pcre2"}) {
    EXPECT_FALSE(root.get("libraries").get(library).as_string().empty()) << library;
  }
  EXPECT_EQ(root.get("devices").as_array().size(), 3U);
  EXPECT_TRUE(run({"--version"}).out.starts_with("lazuli " + std::string(root.get("version").as_string()) + "\n"));
  EXPECT_THAT(run({"doctor"}).out, HasSubstr("device        cpu: ready"));
}

TEST(Inspect, ShowsTensorsConfigurationAndMemory) {
  const Result r = run({"inspect", model_folder(), "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const JsonDocument document = JsonDocument::parse(r.out, "stdout");
  const JsonValue root = document.root();
  EXPECT_EQ(root.get("tensors").as_array().size(), 98U);
  EXPECT_EQ(root.get("parameters").as_int(), 15740288);
  EXPECT_EQ(root.get("config").get("model_type").as_string(), "qwen2");
  const JsonValue generate = root.get("memory").get("generate"), finetune = root.get("memory").get("finetune");
  EXPECT_GE(generate.get("weights").as_int(), 4 * 15740288);
  // Keys and values of 8 layers, 2 heads, 1024 positions, 64 numbers.
  EXPECT_GE(generate.get("arguments").as_int(), 4 * 2 * 8 * 2 * 1024 * 64);
  EXPECT_GT(finetune.get("total").as_int(), generate.get("total").as_int());
  const Result less = run({"inspect", model_folder(), "--json", "--batch-size", "1"});
  const JsonDocument smaller = JsonDocument::parse(less.out, "stdout");
  EXPECT_LT(smaller.root().get("memory").get("finetune").get("total").as_int(), finetune.get("total").as_int() / 2);
}

TEST(Inspect, NamesAContextThatIsTooLong) {
  const Result r = run({"inspect", model_folder(), "--summary", "--context", "100000"});
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, testing::AllOf(HasSubstr("at most 1024"), HasSubstr("got 100000")));
}

TEST(Inspect, ShowsNumbersOfPythonsJsonAsText) {
  const TestFolder folder;
  fs::copy(model_folder(), folder / "model");
  std::ofstream(folder / "model/config.json") << R"({"a": NaN, "b": 1000000000000000019884624838656, "c": 2})";
  const Result r = run_in(folder, {"inspect", folder / "model", "--json", "--summary"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr(R"("config":{"a":"NaN","b":"1000000000000000019884624838656","c":2})"));
}

TEST(Inspect, PredictsRoundedWeights) {
  const auto weights = [](const char* quantize, const char* use) {
    const Result r = run({"inspect", model_folder(), "--json", "--summary", "--quantize", quantize});
    EXPECT_EQ(r.code, 0) << r.err;
    const JsonDocument document = JsonDocument::parse(r.out, "stdout");
    const JsonValue memory = document.root().get("memory");
    EXPECT_EQ(memory.get("quantization").as_string(), quantize);
    return memory.get(use).get("weights").as_int();
  };
  const int64_t none = weights("none", "generate"), int8 = weights("int8", "generate"), int4 = weights("int4", "generate");
  EXPECT_GT(int8, none / 4);
  EXPECT_LT(int8, none * 3 / 10);
  EXPECT_LT(int4, int8 * 9 / 10);
  EXPECT_LT(weights("int8", "finetune"), weights("none", "finetune") / 2);
  EXPECT_THAT(run({"inspect", model_folder(), "--summary", "--quantize", "int8"}).out,
              HasSubstr("memory in f32, weights in int8, predicted"));
}

TEST(Inspect, KnowsWhatEncodersNeed) {
  const TestFolder folder;
  test::make_tiny_sentences(folder / "model", "dense");
  const Result r = run_in(folder, {"inspect", folder / "model", "--json", "--batch-size", "8"});
  ASSERT_EQ(r.code, 0) << r.err;
  const JsonDocument document = JsonDocument::parse(r.out, "stdout");
  const JsonValue memory = document.root().get("memory");
  EXPECT_FALSE(memory.find("generate"));
  EXPECT_EQ(memory.get("embed_tokens").as_int(), 20);
  EXPECT_EQ(memory.get("embed_batch_size").as_int(), 32);
  EXPECT_GT(memory.get("finetune").get("total").as_int(), memory.get("embed").get("weights").as_int());
  const Result text = run_in(folder, {"inspect", folder / "model", "--summary"});
  EXPECT_THAT(text.out,
              testing::AllOf(HasSubstr("embed, 32 texts of 20 tokens: "), HasSubstr("finetune --task similarity, pairs, 4 x 20")));
  fs::remove(folder / "model/tokenizer.json");
  EXPECT_THAT(run_in(folder, {"inspect", folder / "model"}).out, HasSubstr("not estimated, an encoder without a tokenizer"));
}

TEST(ExplainCommand, TakesAsManyTokensAsTheContextHas) {
  const auto explained = [](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"explain", "--model", model_folder(), "--mode", "prefill"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  EXPECT_THAT(explained({}).out, HasSubstr("512 tokens"));
  EXPECT_THAT(explained({"--tokens", "0"}).out, HasSubstr("512 tokens"));
  EXPECT_EQ(explained({"--tokens", "1"}).code, 0);
  EXPECT_THAT(explained({"--tokens", "1024"}).out, HasSubstr("1024 tokens"));
  const Result beyond = explained({"--tokens", "1025"});
  EXPECT_EQ(beyond.code, 1);
  EXPECT_THAT(beyond.err, HasSubstr("1 to 1024 tokens are expected (the model's context), got 1025"));
}

TEST(ExplainCommand, TakesEncoders) {
  const TestFolder folder;
  test::make_tiny_sentences(folder / "model", "dense");
  EXPECT_THAT(run_in(folder, {"explain", "--model", folder / "model", "--batch-size", "2"}).out, HasSubstr("embed of 2 x 20 tokens"));
  EXPECT_THAT(run_in(folder, {"explain", "--model", folder / "model", "--mode", "train"}).out, HasSubstr("train of 4 x 20 tokens"));
  const Result r = run_in(folder, {"explain", "--model", folder / "model", "--mode", "decode"});
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, HasSubstr("embed or train is expected"));
}

TEST(Inspect, TakesAFileAndNamesWhatIsWrong) {
  const Result r = run({"inspect", model_folder() + "/model.safetensors"});
  EXPECT_EQ(r.code, 0);
  EXPECT_THAT(r.out, HasSubstr("model.layers.0.self_attn.q_proj.weight"));
  const Result text = run({"inspect", model_folder() + "/config.json", "--json"});
  EXPECT_EQ(text.code, 1);
  EXPECT_THAT(text.out, HasSubstr("{\"error\":"));
  EXPECT_EQ(run({"inspect"}).code, 2);
}

}  // namespace
}  // namespace lazuli
