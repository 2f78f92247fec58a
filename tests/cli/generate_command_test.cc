// Checks the commands generate and eval: what they print, as text and as JSON, and their exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "cli/program.h"
#include "lazuli/safetensors.h"
#include "support/tiny_folder.h"

namespace lazuli {
namespace {

using testing::HasSubstr;

const std::string kPrompt = "def fibonacci(n):\n";

class GenerateCommand : public testing::Test {
 protected:
  struct Result {
    int code;
    std::string out, err;
  };
  Result run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--model", model_folder(), "--threads", "1"});
    const Program program(folder_, arguments);
    const int code = program.wait();
    return {code, program.out(), program.err()};
  }
  TestFolder folder_;
};

TEST_F(GenerateCommand, PrintsTheTextAndItsSpeed) {
  const Result r = run({"generate", "--prompt", kPrompt, "--max-tokens", "8"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.out, "    return n * (n - \n");
  EXPECT_THAT(r.err, testing::AllOf(HasSubstr("Prompt: 8 tokens"), HasSubstr("Generation: 8 tokens"), HasSubstr("Peak memory")));
}

TEST_F(GenerateCommand, WeightsOfFewBitsGiveText) {
  for (const char* bits : {"int8", "int4"}) {
    const Result r = run({"generate", "--prompt", kPrompt, "--max-tokens", "8", "--quantize", bits});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_THAT(r.out, HasSubstr("return")) << bits;
  }
}

TEST_F(GenerateCommand, UnknownQuantizationIsAnErrorOfUsage) {
  const Result r = run({"generate", "--prompt", kPrompt, "--quantize", "int5"});
  EXPECT_EQ(r.code, 2);
  EXPECT_THAT(r.err, testing::AllOf(HasSubstr("--quantize"), HasSubstr("int5")));
}

TEST_F(GenerateCommand, QuietPrintsTheTextAlone) {
  EXPECT_EQ(run({"generate", "--prompt", kPrompt, "--max-tokens", "8", "--quiet"}).err, "");
}

TEST_F(GenerateCommand, JsonHasTheAgreedFields) {
  const Result r = run({"generate", "--prompt", kPrompt, "--max-tokens", "8", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const JsonDocument document = JsonDocument::parse(r.out, "output");
  const JsonValue root = document.root();
  EXPECT_EQ(root.get("text").as_string(), "    return n * (n - ");
  EXPECT_EQ(root.get("tokens").as_array().size(), 8U);
  EXPECT_EQ(root.get("prompt_tokens").as_int(), 8);
  EXPECT_EQ(root.get("generation_tokens").as_int(), 8);
  EXPECT_GT(root.get("prompt_tps").as_double(), 0);
  EXPECT_GT(root.get("generation_tps").as_double(), 0);
  EXPECT_GT(root.get("peak_memory_bytes").as_int(), 1 << 20);
}

TEST_F(GenerateCommand, StopsBeforeAText) {
  EXPECT_EQ(run({"generate", "--prompt", kPrompt, "--stop", "(n", "--stop", "zzz"}).out, "    return n * \n");
}

TEST_F(GenerateCommand, WrongValuesAreErrorsOfUsage) {
  EXPECT_EQ(run({"generate", "--prompt", kPrompt, "--top-p", "0"}).code, 2);
  EXPECT_EQ(run({"generate"}).code, 2);
}

class GenerateToTheEnd : public testing::Test {
 protected:
  GenerateToTheEnd() { test::write_tiny_llama(folder_ / "llama"); }
  /// A prompt of so many tokens, in a context of 128.
  JsonDocument run(int prompt, const std::string& more, int code = 0) const {
    const Program program(folder_, {"generate", "--model", folder_ / "llama", "--prompt", std::string(static_cast<size_t>(prompt), 'c'),
                                    "--max-tokens", more, "--ignore-eos", "--json", "--threads", "1"});
    EXPECT_EQ(program.wait(), code) << program.err();
    return JsonDocument::parse(program.out(), "stdout");
  }
  TestFolder folder_;
};

TEST_F(GenerateToTheEnd, TheContextEndsATextAndIsTheReason) {
  const auto outcome = [&](int prompt, const std::string& more) {
    const JsonDocument result = run(prompt, more);
    return std::pair(result.root().get("generation_tokens").as_int(), std::string(result.root().get("finish_reason").as_string()));
  };
  EXPECT_EQ(outcome(120, "7"), std::pair(int64_t{7}, std::string("length")));
  EXPECT_EQ(outcome(120, "8"), std::pair(int64_t{8}, std::string("length")));
  EXPECT_EQ(outcome(120, "9"), std::pair(int64_t{8}, std::string("context")));
  EXPECT_EQ(outcome(120, "1000000000"), std::pair(int64_t{8}, std::string("context")));
  EXPECT_EQ(outcome(127, "5"), std::pair(int64_t{1}, std::string("context")));
  EXPECT_EQ(outcome(128, "5"), std::pair(int64_t{0}, std::string("context")));
}

TEST_F(GenerateToTheEnd, APromptThatIsLongerIsAnError) {
  EXPECT_THAT(std::string(run(129, "1", 1).root().get("error").as_string()), HasSubstr("context of 128"));
}

TEST_F(GenerateCommand, EvalSaysWhichFilesItRead) {
  const auto said = [&](int files, const std::string& name, const std::string& text) {
    const std::string data = folder_ / (name + std::to_string(files));
    std::filesystem::create_directory(data);
    for (int k = 0; k < files; ++k) std::ofstream(data + "/" + std::to_string(k) + name) << text;
    const Result r = run({"eval", "--data", data, "--json"});
    EXPECT_EQ(r.code, 0) << r.err;
    const JsonDocument document = JsonDocument::parse(r.out, "output");
    const JsonValue read = document.root().get("data");
    EXPECT_EQ(read.get("files").as_int(), files);
    EXPECT_EQ(read.get("file_names").as_array().size(), static_cast<size_t>(files));
    return r.err.substr(0, r.err.find(" tokens"));
  };
  EXPECT_EQ(said(3, ".txt", "x = 1\n"), "data: 0.txt, 1.txt, 2.txt, 18");
  EXPECT_EQ(said(4, ".txt", "x = 1\n"), "data: 4 files, 24");
  EXPECT_THAT(said(17, ".txt", "x = 1\n"), HasSubstr("data: 17 files, "));
  EXPECT_THAT(said(1, ".jsonl", "{\"text\": \"x = 1\"}\n"), HasSubstr("data: 0.jsonl, 1 row, "));
  EXPECT_THAT(said(2, ".jsonl", "{\"text\": \"x = 1\"}\n"), HasSubstr("data: 0.jsonl, 1.jsonl, 2 rows, "));
}

TEST_F(GenerateCommand, APromptOfNothingIsAnErrorOfUsage) {
  const Program program(folder_, {"generate", "--model", model_folder(), "--prompt", "-"},
                        Before({"/bin/sh", "-c", "exec \"$@\" < /dev/null", "sh"}));
  EXPECT_EQ(program.wait(), 2);
  const Result given = run({"generate", "--prompt", ""});
  EXPECT_EQ(given.code, 2);
  for (const std::string& said : {program.err(), given.err})
    EXPECT_THAT(said, HasSubstr("--prompt: a text of at least one token is expected"));
}

TEST_F(GenerateCommand, EmptyTextsOfOptionsAreErrorsOfUsage) {
  for (const char* option : {"--stop", "--adapter-path", "--trace"}) {
    const Result r = run({"generate", "--prompt", kPrompt, "--max-tokens", "1", option, ""});
    EXPECT_EQ(r.code, 2) << option;
    EXPECT_THAT(r.err, HasSubstr(option));
    EXPECT_THAT(r.err, HasSubstr("is expected"));
  }
}

TEST_F(GenerateCommand, EvalGivesLossPerplexityAndTokens) {
  const std::string data = folder_ / "text.py";
  std::ofstream(data) << "import os\nimport sys\n\n\ndef main():\n    print(os.getcwd())\n";
  const std::string dump = folder_ / "logits.safetensors";
  const Result r = run({"eval", "--data", data, "--json", "--dump-logits", dump});
  ASSERT_EQ(r.code, 0) << r.err;
  const JsonDocument document = JsonDocument::parse(r.out, "output");
  const double loss = document.root().get("loss").as_double();
  EXPECT_NEAR(document.root().get("perplexity").as_double(), std::exp(loss), 1e-9);
  const SafetensorsFile file = SafetensorsFile::open(dump);
  EXPECT_EQ(file.info("logits.0").shape[0], document.root().get("tokens").as_int() + 1);
  EXPECT_EQ(file.tensor("ids.0").to_vector<int32_t>().back(), 0);
  EXPECT_THAT(run({"eval", "--data", data}).out, HasSubstr("perplexity"));
}

TEST_F(GenerateCommand, WhatIsNoTextOnStandardInputIsAFailure) {
  for (const char* from : {"exec \"$@\" < /tmp", "exec \"$@\" 0<&-"}) {
    const Program program(folder_, {"generate", "--model", model_folder(), "--prompt", "-"}, Before({"/bin/sh", "-c", from, "sh"}));
    EXPECT_EQ(program.wait(), 1) << from;
    EXPECT_THAT(program.err(), HasSubstr("standard input: cannot read"));
  }
}

TEST_F(GenerateCommand, AnEndOfTextTokenThatTheModelLacksIsNamed) {
  test::write_tiny_llama(folder_ / "llama");
  std::string tokenizer = test::kTinyTokenizer;
  tokenizer.replace(tokenizer.find("\"end\": 0"), 8, "\"end\": 0, \"far\": 70");
  std::ofstream(folder_ / "llama/tokenizer.json") << tokenizer;
  std::ofstream(folder_ / "llama/tokenizer_config.json") << R"({"eos_token": "far"})";
  std::ofstream(folder_ / "text.txt") << "abcd";
  const std::vector<std::vector<std::string>> commands = {{"eval"}, {"finetune", "--iters", "1", "--adapter-path", folder_ / "adapter"}};
  for (std::vector<std::string> words : commands) {
    words.insert(words.end(), {"--model", folder_ / "llama", "--data", folder_ / "text.txt"});
    const Program program(folder_, words);
    EXPECT_EQ(program.wait(), 1) << words[0];
    EXPECT_THAT(program.err(),
                HasSubstr("token 'far' of the data has id 70, which is not below the vocabulary size 64 of the model; it is the "
                          "tokenizer's end-of-text token"));
  }
}

TEST_F(GenerateCommand, AnEvaluationThatIsStoppedSaysSo) {
  std::ofstream many(folder_ / "many.py");
  for (int line = 0; line < 60000; ++line) many << "x" << line << " = " << line << "\n";
  many.close();
  const Program program(folder_, {"eval", "--data", folder_ / "many.py", "--json", "--max-seq-length", "64", "--model", model_folder()});
  while (program.err().find("data: ") == std::string::npos && !program.ended()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  program.send(SIGTERM);
  EXPECT_EQ(program.wait(), 143);
  EXPECT_THAT(program.err(), HasSubstr("stopped; the texts were not measured to the end"));
  EXPECT_THAT(JsonDocument::parse(program.out(), "output").root().get("error").as_string(), HasSubstr("stopped; "));
}

TEST_F(GenerateCommand, ABatchWhoseLogitsHaveNanFailsInJsonToo) {
  test::write_tiny_llama(folder_ / "llama");
  auto tensors = test::tiny_llama_weights();
  for (float& v : tensors.at("model.norm.weight").mutable_data<float>()) v = std::numeric_limits<float>::quiet_NaN();
  save_safetensors(folder_ / "llama/model.safetensors", tensors);
  std::ofstream(folder_ / "prompts.jsonl") << "{\"prompt\": \"ab\"}\n{\"prompt\": \"a\"}\n";
  const Program program(folder_,
                        {"generate", "--model", folder_ / "llama", "--batch", folder_ / "prompts.jsonl", "--slots", "2", "--json"});
  EXPECT_EQ(program.wait(), 1);
  EXPECT_THAT(program.err(), HasSubstr("prompts.jsonl, line 1: the logits of this text and of 1 more have NaN"));
  const auto object = JsonDocument::parse(program.out(), "output");
  EXPECT_THAT(object.root().get("error").as_string(), HasSubstr("have NaN"));
  EXPECT_EQ(object.root().get("results").as_array().size(), 2U);
}

TEST_F(GenerateCommand, BenchStopsBetweenTwoTokens) {
  const Program program(folder_, {"bench", "--model", model_folder(), "--slots", "64", "--generate-tokens", "1000"});
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  program.send(SIGINT);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(program.wait(), 130);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20)) << "a run of all tokens takes longer";
  EXPECT_THAT(program.err(), HasSubstr("stopped; nothing was measured to the end"));
}

TEST_F(GenerateCommand, ALossThatIsNotFiniteIsAFailure) {
  test::write_tiny_llama(folder_ / "llama");
  const std::string weights = folder_ / "llama/model.safetensors";
  auto tensors = test::tiny_llama_weights();
  for (float& v : tensors.at("model.norm.weight").mutable_data<float>()) v = std::numeric_limits<float>::quiet_NaN();
  save_safetensors(weights, tensors);
  std::ofstream(folder_ / "text.txt") << "abab";
  const Program program(folder_, {"eval", "--model", folder_ / "llama", "--data", folder_ / "text.txt", "--json"});
  EXPECT_EQ(program.wait(), 1);
  EXPECT_THAT(program.out() + program.err(), testing::AllOf(HasSubstr("the loss is nan"), HasSubstr("a weight of the model")));
}

}  // namespace
}  // namespace lazuli
