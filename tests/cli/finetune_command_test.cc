// Checks the command `finetune` from outside: its files, its JSON, going on after a stop, and Ctrl-C.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "cli/program.h"
#include "lazuli/safetensors.h"

namespace lazuli {
namespace {

using testing::HasSubstr;

class FinetuneCommand : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "data");
    for (int file = 0; file < 4; ++file) {
      std::ofstream out(folder_ / ("data/part" + std::to_string(file) + ".py"));
      for (int line = 0; line < 40; ++line) out << "def function_" << file << "_" << line << "(x):\n    return x + " << line << "\n";
    }
  }
  std::vector<std::string> arguments(const std::vector<std::string>& more) const {
    std::vector<std::string> all = {"finetune",
                                    "--model",
                                    model_folder(),
                                    "--data",
                                    folder_ / "data",
                                    "--adapter-path",
                                    adapter(),
                                    "--batch-size",
                                    "2",
                                    "--max-seq-length",
                                    "16",
                                    "--lora-rank",
                                    "2",
                                    "--val-batches",
                                    "2",
                                    "--target-modules",
                                    "q_proj,v_proj",
                                    "--learning-rate",
                                    "1e-3",
                                    "--threads",
                                    "1"};
    all.insert(all.end(), more.begin(), more.end());
    if (std::find(more.begin(), more.end(), "--resume") == more.end()) all.emplace_back("--overwrite");
    return all;
  }
  std::string adapter() const { return folder_ / "adapter"; }
  std::vector<JsonDocument> metrics() const {
    std::vector<JsonDocument> lines;
    std::istringstream text(read_file(adapter() + "/metrics.jsonl", 1 << 20));
    for (std::string line; std::getline(text, line);) lines.push_back(JsonDocument::parse(line, "metrics.jsonl"));
    return lines;
  }
  TestFolder folder_;
};

TEST_F(FinetuneCommand, WritesAdapterMetricsTraceAndOneJsonObject) {
  const Program program(folder_, arguments({"--iters", "4", "--steps-per-report", "2", "--steps-per-eval", "2", "--json", "--quiet",
                                            "--trace", folder_ / "trace.json"}));
  ASSERT_EQ(program.wait(), 0) << program.err();
  EXPECT_EQ(program.err(), "");
  const JsonDocument result = JsonDocument::parse(program.out(), "stdout");
  const JsonValue root = result.root();
  EXPECT_EQ(root.get("iterations").as_int(), 4);
  EXPECT_FALSE(root.get("interrupted").as_bool());
  // The last window of the data, which may be among these, has fewer.
  EXPECT_LE(root.get("trained_tokens").as_int(), 4 * 2 * 16);
  EXPECT_GT(root.get("trained_tokens").as_int(), 4 * 2 * 16 - 16);
  EXPECT_LT(root.get("val_loss_after").as_double(), root.get("val_loss_before").as_double());
  EXPECT_EQ(root.get("train_loss_after_steps").as_int(), 2);
  EXPECT_EQ(root.get("loss_curve").as_string(), adapter() + "/loss.svg");
  EXPECT_THAT(read_file(adapter() + "/loss.svg", 1 << 20), HasSubstr("<polyline"));
  for (const char* key :
       {"train_loss_before", "train_loss_after", "tokens_per_second", "seconds", "peak_memory_bytes", "trainable_parameters"}) {
    EXPECT_GT(root.get(key).as_double(), 0) << key;
  }
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors", "training_state.safetensors"}) {
    EXPECT_TRUE(std::filesystem::exists(adapter() + "/" + name)) << name;
  }
  std::vector<int64_t> reports, validations;
  for (const JsonDocument& line : metrics()) {
    const int64_t iteration = line.root().get("iteration").as_int();
    (line.root().find("val_loss") ? validations : reports).push_back(iteration);
  }
  EXPECT_EQ(reports, (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(validations, (std::vector<int64_t>{0, 2, 4}));
  EXPECT_GT(JsonDocument::read(folder_ / "trace.json").root().get("traceEvents").as_array().size(), 10u);
}

TEST_F(FinetuneCommand, WindowsAreAtMostTheContext) {
  const auto said = [&](const std::string& tokens) {
    const Program program(folder_, arguments({"--iters", "0", "--max-seq-length", tokens}));
    EXPECT_EQ(program.wait(), 0) << program.err();
    return program.err();
  };
  for (const auto& [asked, made] : {std::pair("1", "1"), {"7", "7"}, {"1024", "1024"}, {"1025", "1024"}, {"1000000000", "1024"}}) {
    EXPECT_THAT(said(asked), HasSubstr(" windows of " + std::string(made) + " tokens to train on")) << asked;
  }
}

TEST_F(FinetuneCommand, SaysWhatItReadAndLeftOutAndNeverReadsItsOwnFiles) {
  const std::string inside = folder_ / "data/adapter";
  std::ofstream(folder_ / "data/empty.py");
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = arguments({"--json", "--adapter-path", inside});
    words.erase(std::find(words.begin(), words.end(), "--adapter-path"), std::find(words.begin(), words.end(), "--batch-size"));
    words.erase(std::remove(words.begin(), words.end(), "--overwrite"), words.end());
    words.insert(words.end(), more.begin(), more.end());
    const Program program(folder_, words);
    EXPECT_EQ(program.wait(), 0) << program.err();
    return std::pair(program.err(), program.out());
  };
  const auto windows = [](const std::string& said) {
    std::istringstream lines(said);
    std::string line;
    while (std::getline(lines, line) && line.find(" windows of ") == std::string::npos) continue;
    return line;
  };
  const auto [first, json] = run({"--iters", "1"});
  EXPECT_THAT(first, HasSubstr("left out: empty files: 1 (empty.py)\n"));
  const auto [second, later] = run({"--iters", "2", "--resume"});
  EXPECT_THAT(second, HasSubstr("folders of adapters: 1 (adapter)"));
  EXPECT_EQ(windows(second), windows(first));
  const JsonDocument result = JsonDocument::parse(json, "stdout");
  const JsonValue data = result.root().get("data");
  EXPECT_EQ(data.get("files").as_int(), 4);
  EXPECT_GT(data.get("read_tokens").as_int(), 100);
  EXPECT_EQ((*data.get("left_out").as_array().begin()).get("what").as_string(), "empty files");
}

TEST_F(FinetuneCommand, GoesOnWhereItStopped) {
  const Program whole(folder_, arguments({"--iters", "4", "--quiet"}));
  ASSERT_EQ(whole.wait(), 0) << whole.err();
  const auto adapter_file = [&] { return read_file(adapter() + "/adapter_model.safetensors", 1 << 24); };
  const std::string expected = adapter_file();
  const Program first(folder_, arguments({"--iters", "2", "--quiet"}));
  ASSERT_EQ(first.wait(), 0) << first.err();
  EXPECT_NE(adapter_file(), expected);
  const Program second(folder_, arguments({"--iters", "4", "--quiet", "--resume"}));
  ASSERT_EQ(second.wait(), 0) << second.err();
  EXPECT_EQ(adapter_file(), expected);
}

TEST_F(FinetuneCommand, ThreadsDoNotChangeTheResult) {
  const auto adapter_after = [&](const char* threads) {
    const Program program(folder_, arguments({"--iters", "3", "--quiet", "--threads", threads, "--max-seq-length", "64"}));
    EXPECT_EQ(program.wait(), 0) << program.err();
    return read_file(adapter() + "/adapter_model.safetensors", 1 << 24);
  };
  const std::string one = adapter_after("1");
  EXPECT_EQ(adapter_after("2"), one);
  EXPECT_EQ(adapter_after("3"), one);
}

TEST_F(FinetuneCommand, NarrowDtypesAndDropoutTrainToo) {
  for (const char* dtype : {"bf16", "f16"}) {
    const Program program(folder_, arguments({"--iters", "4", "--json", "--quiet", "--dtype", dtype, "--lora-dropout", "0.1"}));
    ASSERT_EQ(program.wait(), 0) << program.err();
    const JsonDocument result = JsonDocument::parse(program.out(), "stdout");
    EXPECT_LT(result.root().get("val_loss_after").as_double(), result.root().get("val_loss_before").as_double()) << dtype;
  }
}

TEST_F(FinetuneCommand, RoundedWeightsTrainAPlainAdapterAndGoOn) {
  const auto adapter_file = [&] { return read_file(adapter() + "/adapter_model.safetensors", 1 << 24); };
  const auto config_file = [&] { return read_file(adapter() + "/adapter_config.json", 1 << 20); };
  const Program floats(folder_, arguments({"--iters", "0", "--quiet"}));
  ASSERT_EQ(floats.wait(), 0) << floats.err();
  const std::string config = config_file();
  for (const char* quantize : {"int8", "int4"}) {
    const Program whole(folder_, arguments({"--iters", "4", "--json", "--quantize", quantize}));
    ASSERT_EQ(whole.wait(), 0) << whole.err();
    EXPECT_THAT(whole.err(), HasSubstr(std::string("M parameters in ") + quantize));
    const JsonDocument result = JsonDocument::parse(whole.out(), "stdout");
    EXPECT_EQ(result.root().get("quantization").as_string(), quantize);
    EXPECT_LT(result.root().get("val_loss_after").as_double(), result.root().get("val_loss_before").as_double());
    EXPECT_EQ(config_file(), config);
    const std::string expected = adapter_file();
    const Program first(folder_, arguments({"--iters", "2", "--quiet", "--quantize", quantize}));
    ASSERT_EQ(first.wait(), 0) << first.err();
    const Program second(folder_, arguments({"--iters", "4", "--quiet", "--quantize", quantize, "--resume"}));
    ASSERT_EQ(second.wait(), 0) << second.err();
    EXPECT_EQ(adapter_file(), expected);
  }
}

// Before the first step an adapter changes nothing, so the loss is the model's own, not a mean over steps that learned.
TEST_F(FinetuneCommand, TheLossBeforeIsThatOfTheFirstStep) {
  const auto before = [&](const char* iterations, const char* rate) {
    const Program program(folder_, arguments({"--iters", iterations, "--learning-rate", rate, "--json"}));
    EXPECT_EQ(program.wait(), 0) << program.err();
    EXPECT_THAT(program.err(), HasSubstr(std::string("in the first step, ")));
    return JsonDocument::parse(program.out(), "stdout").root().get("train_loss_before").as_double();
  };
  EXPECT_EQ(before("1", "0"), before("12", "0.1"));
}

TEST_F(FinetuneCommand, ResumeNeedsAnEarlierRun) {
  const Program program(folder_, arguments({"--resume"}));
  EXPECT_EQ(program.wait(), 1);
  EXPECT_THAT(program.err(), HasSubstr(adapter()));
}

TEST_F(FinetuneCommand, InterruptFinishesTheStepAndSaysHowToGoOn) {
  const Program program(folder_, arguments({"--iters", "1000000", "--steps-per-report", "1", "--save-every", "1000000"}));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  const auto stepped = [&] { return program.err().find("train loss") != std::string::npos; };
  while (!stepped() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  program.send(SIGINT);
  EXPECT_EQ(program.wait(), 130) << program.err();
  const std::string said = program.err();
  EXPECT_THAT(said, HasSubstr("to go on: "));
  EXPECT_TRUE(said.ends_with("--resume\n")) << said;
  EXPECT_THAT(said, testing::Not(HasSubstr("--overwrite")));
  const SafetensorsFile state = SafetensorsFile::open(adapter() + "/training_state.safetensors");
  EXPECT_EQ(std::stoll(state.metadata().at("lazuli_step")), metrics().back().root().get("iteration").as_int());
}

TEST_F(FinetuneCommand, LossThatIsNotFiniteKeepsTheLastAdapter) {
  const Program program(folder_, arguments({"--iters", "50", "--learning-rate", "1e30", "--max-grad-norm", "0", "--json"}));
  EXPECT_EQ(program.wait(), 1);
  EXPECT_THAT(program.err(), HasSubstr("--learning-rate"));
  EXPECT_NO_THROW(JsonDocument::parse(program.out(), "stdout").root().get("error"));
  EXPECT_NO_THROW(SafetensorsFile::open(adapter() + "/adapter_model.safetensors"));
}

TEST_F(FinetuneCommand, TooLittleMemoryIsAnErrorThatNamesTheOptionsThatHelp) {
  const std::string trace = folder_ / "trace.json";
  const Program program(folder_, arguments({"--iters", "2", "--max-memory", "4MB", "--trace", trace}));
  EXPECT_EQ(program.wait(), 1);
  EXPECT_TRUE(std::filesystem::exists(trace)) << "a failed run is traced too";
  EXPECT_THAT(program.err(), testing::AllOf(HasSubstr("limit 4.00 MB"), HasSubstr("--batch-size")));
  for (const char* wrong : {"x", "-1GB", "1XB", "0", "1e3"}) {
    EXPECT_EQ(Program(folder_, arguments({"--max-memory", wrong})).wait(), 2) << wrong;
  }
}

TEST_F(FinetuneCommand, StepsWithoutAFiniteLossAreSkippedWhereAskedForButNotForever) {
  const Program program(folder_, arguments({"--iters", "50", "--learning-rate", "1e30", "--max-grad-norm", "0", "--on-nonfinite", "skip"}));
  EXPECT_EQ(program.wait(), 1);
  EXPECT_THAT(program.err(),
              testing::AllOf(HasSubstr("; skipped\n"), HasSubstr("as in 9 iterations before"), HasSubstr("--learning-rate")));
}

}  // namespace
}  // namespace lazuli
