// Checks what `finetune --resume` does with every option: which values a training keeps, and which ones may change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cli/finetune_fixture.h"
#include "lazuli/safetensors.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class FinetuneResume : public FinetuneFixture {
 protected:
  FinetuneResume() { write_text("other.txt", "ca"); }
  /// With values that are not the defaults.
  Result begin(const std::string& iterations = "4", const Words& more = {}) const {
    Words all = {"--iters",       "4",     "--batch-size",    "2",    "--max-seq-length", "16",
                 "--lora-rank",   "3",     "--lora-alpha",    "5",    "--target-modules", "q_proj,v_proj",
                 "--seed",        "11",    "--learning-rate", "1e-3", "--warmup-steps",   "2",
                 "--lr-schedule", "cosine"};
    all[1] = iterations;
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  }
  struct State {
    std::map<std::string, Tensor> tensors;
    std::map<std::string, std::string> metadata;
  };
  State state() const {
    const SafetensorsFile file = SafetensorsFile::open(adapter() + "/training_state.safetensors");
    State state{{}, file.metadata()};
    for (const std::string& name : file.names()) state.tensors.emplace(name, file.tensor(name));
    return state;
  }
  std::string factors() const { return read_file(adapter() + "/adapter_model.safetensors", kLimit); }
};

TEST_F(FinetuneResume, OptionsThatAreNotGivenAreThoseOfTheTraining) {
  ASSERT_EQ(begin("8").code, 0);
  const std::string whole = factors();
  fs::remove_all(adapter());
  // As an interrupted run of 8 iterations would leave it.
  ASSERT_EQ(begin("8", {"--steps-per-report", "1", "--save-every", "4", "--on-nonfinite", "skip"}).code, 0);
  EXPECT_TRUE(factors() == whole);
  fs::remove_all(adapter());
  ASSERT_EQ(begin("4", {"--lr-schedule", "constant"}).code, 0);
  const Result longer = run({"--resume", "--iters", "8"});
  ASSERT_EQ(longer.code, 0) << longer.err;
  EXPECT_THAT(longer.err, AllOf(HasSubstr("going on after iteration 4 of 8"), HasSubstr("--iters 8 (before: 4)")));
  const std::string resumed = factors();
  fs::remove_all(adapter());
  ASSERT_EQ(begin("8", {"--lr-schedule", "constant"}).code, 0);
  EXPECT_TRUE(factors() == resumed);
}

TEST_F(FinetuneResume, EveryValueThatMayNotChangeIsRefusedByName) {
  ASSERT_EQ(begin().code, 0);
  const std::string before = factors();
  for (const auto& [option, value] : std::vector<std::pair<std::string, std::string>>{{"--task", "similarity"},
                                                                                      {"--lora-rank", "16"},
                                                                                      {"--lora-alpha", "99"},
                                                                                      {"--lora-dropout", "0.5"},
                                                                                      {"--target-modules", "q_proj"},
                                                                                      {"--seed", "7"},
                                                                                      {"--batch-size", "3"},
                                                                                      {"--max-seq-length", "8"},
                                                                                      {"--quantize", "int8"},
                                                                                      {"--dtype", "bf16"},
                                                                                      {"--data", folder_ / "other.txt"},
                                                                                      {"--iters", "3"}}) {
    const Result r = run({"--resume", "--iters", "6", option, value});
    EXPECT_EQ(r.code, 1) << option;
    EXPECT_THAT(r.err, AllOf(HasSubstr("lazuli: error: " + adapter()), HasSubstr(option))) << option;
    EXPECT_TRUE(factors() == before) << option;
  }
  const Result several = run({"--resume", "--seed", "7", "--lora-rank", "4"});
  EXPECT_THAT(several.err, AllOf(HasSubstr("--seed 11 (given: 7)"), HasSubstr("--lora-rank 3 (given: 4)")));
}

TEST_F(FinetuneResume, EveryValueThatMayChangeIsSaid) {
  ASSERT_EQ(begin().code, 0);
  int iterations = 4;
  for (const auto& [option, value] : std::vector<std::pair<std::string, std::string>>{{"--learning-rate", "0.002"},
                                                                                      {"--lr-schedule", "linear"},
                                                                                      {"--warmup-steps", "1"},
                                                                                      {"--weight-decay", "0.5"},
                                                                                      {"--max-grad-norm", "2"},
                                                                                      {"--on-nonfinite", "skip"},
                                                                                      {"--steps-per-report", "3"},
                                                                                      {"--steps-per-eval", "3"},
                                                                                      {"--val-batches", "3"},
                                                                                      {"--save-every", "3"},
                                                                                      {"--device", "reference"}}) {
    const Result r = run({"--resume", "--iters", std::to_string(++iterations), option, value});
    EXPECT_EQ(r.code, 0) << option << ": " << r.err;
    EXPECT_THAT(r.err, AllOf(HasSubstr("from now on: "), HasSubstr(option + " " + value + " (before: "))) << option;
  }
  const Result flag = run({"--resume", "--deterministic"});
  EXPECT_EQ(flag.code, 0);
  EXPECT_THAT(flag.err, HasSubstr("--deterministic true (before: false)"));
  // A changed value is kept, too.
  EXPECT_THAT(run({"--resume", "--learning-rate", "0.004"}).err, HasSubstr("--learning-rate 0.004 (before: 0.002)"));
}

TEST_F(FinetuneResume, TheSameValueIsNoChangeHoweverItIsSpelt) {
  ASSERT_EQ(begin().code, 0);
  const Result r =
      run({"--resume", "--iters", "4", "--learning-rate", "0.001", "--lora-alpha", "5.0", "--target-modules", "v_proj,q_proj"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_THAT(r.err, AllOf(Not(HasSubstr("from now on")), HasSubstr("all iterations are done already")));
}

TEST_F(FinetuneResume, AModelIsKnownByWhatItHoldsAndNotByItsName) {
  ASSERT_EQ(begin().code, 0);
  fs::rename(folder_ / "llama", folder_ / "moved");
  EXPECT_EQ(run({"--resume", "--iters", "5", "--model", folder_ / "moved", "--quiet"}).code, 0);
  auto weights = test::tiny_llama_weights();
  weights.at("model.norm.weight").mutable_data<float>()[3] += 1;
  save_safetensors(folder_ / "moved/model.safetensors", weights);
  const Result r = run({"--resume", "--iters", "6", "--model", folder_ / "moved"});
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, HasSubstr("--model"));
}

TEST_F(FinetuneResume, AChangedConfigurationOfTheAdapterIsRefused) {
  ASSERT_EQ(begin().code, 0);
  const std::string path = adapter() + "/adapter_config.json";
  std::string config = read_file(path, kLimit);
  config.replace(config.find("\"lora_alpha\": 5"), 15, "\"lora_alpha\": 6");
  std::ofstream(path) << config;
  const Result r = run({"--resume", "--iters", "5"});
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, AllOf(HasSubstr("adapter_config.json"), HasSubstr("--lora-alpha 6")));
}

TEST_F(FinetuneResume, AStateWithoutOptionsGoesOnWithAWord) {
  ASSERT_EQ(begin().code, 0);
  const std::string path = adapter() + "/training_state.safetensors";
  const std::map<std::string, Tensor> tensors = state().tensors;
  save_safetensors(path, tensors, {{"lazuli_step", "4"}});
  const Result refused = run({"--resume", "--iters", "5", "--lora-rank", "16"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("--lora-rank 3 (given: 16)"));
  const Result r = run({"--resume", "--iters", "5", "--max-seq-length", "16"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("of a version that kept no options"));
}

TEST_F(FinetuneResume, NotesWithOtherValuesThanAnOptionTakesAreRefusedByName) {
  ASSERT_EQ(begin().code, 0);
  const std::string path = adapter() + "/training_state.safetensors";
  State changed = state();
  const auto& tensors = changed.tensors;
  auto& metadata = changed.metadata;
  const std::string notes = metadata.at("lazuli_training");
  const auto with = [&](const std::string& option, const std::string& value) {
    const std::string key = "\"" + option + "\":\"";
    const size_t at = notes.find(key), start = at + key.size();
    EXPECT_NE(at, std::string::npos) << option;
    metadata["lazuli_training"] = notes.substr(0, start) + value + notes.substr(notes.find('"', start));
    save_safetensors(path, tensors, metadata);
    return run({"--resume", "--iters", "4"});
  };
  for (const auto& [option, value] : std::vector<std::pair<std::string, std::string>>{{"--lora-rank", "0"},
                                                                                      {"--lora-rank", "65537"},
                                                                                      {"--lora-rank", "3x"},
                                                                                      {"--lora-rank", ""},
                                                                                      {"--lora-dropout", "0.9991"},
                                                                                      {"--lora-dropout", "-0.1"},
                                                                                      {"--val-batches", "-2"},
                                                                                      {"--task", "none"},
                                                                                      {"--deterministic", "maybe"}}) {
    const Result r = with(option, value);
    EXPECT_EQ(r.code, 1) << option << value;
    EXPECT_THAT(r.err,
                HasSubstr("training_state.safetensors: lazuli_training: a value of " + option + " is expected, got '" + value + "'"));
  }
  for (const auto& [option, value] : std::vector<std::pair<std::string, std::string>>{
           {"--batch-size", "65536"}, {"--val-batches", "-1"}, {"--steps-per-eval", "1"}, {"--warmup-steps", "0"}}) {
    EXPECT_THAT(with(option, value).err, Not(HasSubstr("is expected, got"))) << option;
  }
  metadata["lazuli_training"] = notes;
  for (const char* step : {"", "x", "4x", "-1", "1234567890"}) {
    metadata["lazuli_step"] = step;
    save_safetensors(path, tensors, metadata);
    const Result r = run({"--resume", "--iters", "1000000000"});
    EXPECT_EQ(r.code, 1) << step;
    EXPECT_THAT(r.err, HasSubstr("expected")) << step;
  }
}

TEST_F(FinetuneResume, SpareAndMissingTensorsOfTheStateAreNamed) {
  ASSERT_EQ(begin().code, 0);
  const std::string path = adapter() + "/training_state.safetensors";
  auto [tensors, metadata] = state();
  auto spare = tensors;
  spare.emplace("m.spare", Tensor::zeros(DType::f32, {2}));
  save_safetensors(path, spare, metadata);
  const Result more = run({"--resume", "--iters", "5"});
  EXPECT_EQ(more.code, 1);
  EXPECT_THAT(more.err, HasSubstr("'m.spare'"));
  const std::string lost = tensors.begin()->first;
  tensors.erase(lost);
  save_safetensors(path, tensors, metadata);
  const Result fewer = run({"--resume", "--iters", "5"});
  EXPECT_EQ(fewer.code, 1);
  EXPECT_THAT(fewer.err, HasSubstr("'" + lost + "'"));
}

TEST_F(FinetuneResume, MetricsHaveEachValidationOnce) {
  ASSERT_EQ(begin("4", {"--steps-per-report", "1", "--steps-per-eval", "2"}).code, 0);
  ASSERT_EQ(run({"--resume", "--iters", "6"}).code, 0);
  std::string metrics = read_file(adapter() + "/metrics.jsonl", kLimit);
  std::vector<std::string> seen;
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);) {
    const std::string key = line.substr(0, line.find(',')) + (line.find("val_loss") != std::string::npos ? " validation" : " training");
    EXPECT_THAT(seen, Not(testing::Contains(key)));
    seen.push_back(key);
  }
  EXPECT_GE(seen.size(), 6U);
}

}  // namespace
}  // namespace lazuli
