// Checks models of real sizes, whose products are large enough for every way that a backend has, against what transformers and PEFT
// compute. The right values are those of f64; what a run may be off by is what PyTorch is off by in the same dtype, a few times.
#include "support/whole_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "lazuli/embed.h"
#include "lazuli/generate.h"
#include "lazuli/model.h"
#include "lazuli/train.h"
#include "support/cpu_settings.h"
#include "support/cuda_device.h"
#include "support/source_folder.h"

namespace lazuli {
namespace {

#if defined(LAZULI_INSTRUMENTED) || !defined(NDEBUG)
constexpr int64_t kLongest = 65, kSteps = 3;
#else
constexpr int64_t kLongest = 1 << 20, kSteps = 10;
#endif

/// How many times as far off as PyTorch. In f32 it is the order of sums that decides, which may be one number after the other.
double times_of(DType dtype, Quantization quantization) { return dtype == DType::f32 && quantization == Quantization::none ? 6 : 3; }

struct Mode {
  std::string name;  ///< as RUNS of tests/data/make_whole_models.py
  DType dtype;
  Quantization quantization = Quantization::none;
};

const std::vector<Mode> kModes = {{"f32", DType::f32},
                                  {"bf16", DType::bf16},
                                  {"f16", DType::f16},
                                  {"int8", DType::f32, Quantization::int8},
                                  {"int4", DType::f32, Quantization::int4}};
const std::vector<Mode> kRoundedIn16Bits = {{"int8_bf16", DType::bf16, Quantization::int8}, {"int4_bf16", DType::bf16, Quantization::int4}};
const std::vector<Mode> kTwoModes = {{"bf16", DType::bf16}, {"int4", DType::f32, Quantization::int4}};

struct Case {
  std::string kind;
  Mode mode;
  DeviceKind device;
  std::string name() const { return kind + "_" + mode.name; }
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name(); }

class WholeModels : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (device().kind == DeviceKind::cuda) {
      LAZULI_NEEDS_CUDA();
    }
    set_default_device(device());
    model_.emplace(GetParam().kind);
  }
  void TearDown() override { set_default_device({}); }

  const Mode& mode() const { return GetParam().mode; }
  double times() const { return times_of(mode().dtype, mode().quantization); }
  Device device() const { return {GetParam().device, 0}; }
  std::shared_ptr<const LanguageModel> load() const { return load_model(model_->folder(), mode().dtype, mode().quantization); }

  void expect_near(int64_t rank, int64_t length, const std::vector<float>& values) const {
    const Distance ours = model_->distance(mode().quantization, rank, length, values),
                   theirs = model_->torch_distance(mode().name, rank, length);
    const auto expect_within = [&](const char* what, double own, double of_torch) {
      EXPECT_LE(own, times() * of_torch) << what << ": " << own / of_torch << " times as far off as PyTorch; " << length
                                         << " tokens, adapter of rank " << rank;
    };
    expect_within("root mean square", ours.rms, theirs.rms);
    expect_within("worst value", ours.largest, theirs.largest);
    // Of few blocks the worst one says little.
    expect_within("worst block", ours.largest_block, std::max(theirs.largest_block, 2 * theirs.rms));
  }

  void expect_logits(const LanguageModel& model, int64_t rank, const std::vector<int64_t>& lengths) const {
    std::optional<AdapterContext> adapter;
    if (rank > 0) adapter.emplace(model_->adapter(model.linears(), rank));
    for (const int64_t length : lengths) {
      if (length > kLongest) continue;
      ForwardContext context;
      context.ids = LazyTensor::from_tensor(Tensor::from_vector(model_->text(rank, length), {1, length}).to(device()));
      context.adapter = adapter ? &*adapter : nullptr;
      expect_near(rank, length, model.forward(context).eval().to_vector<float>());
    }
  }
  void expect_all_logits() const {
    const auto model = load();
    for (const test::WholeModelTexts& texts : model_->texts()) expect_logits(*model, texts.rank, texts.lengths);
  }

  void expect_greedy_tokens() const {
    const auto model = load();
    const Tokenizer tokenizer = Tokenizer::load(source_folder() + "/models/pycoder-16m");
    for (const int64_t rank : {0, 8}) {
      std::optional<Adapter> adapter;
      if (rank > 0) adapter = model_->adapter(model->linears(), rank);
      Generator generator(model, tokenizer, adapter);
      for (const test::WholeModelPrompt& prompt : model_->prompts(mode().quantization)) {
        if (prompt.rank != rank || static_cast<int64_t>(prompt.ids.size()) > kLongest) continue;
        GenerateOptions options;
        options.max_tokens = static_cast<int64_t>(prompt.tokens.size());
        options.stop_at_eos = false;
        EXPECT_EQ(generator.run(prompt.ids, options).tokens, prompt.tokens) << prompt.ids.size() << " tokens, adapter of rank " << rank;
      }
    }
  }

  using Distance = test::Distance;
  std::optional<test::WholeModel> model_;
};

class WholeLogits : public WholeModels {};
class WholeLogitsOfRoundedWeights : public WholeModels {};
class WholeLogitsOfBlocks : public WholeModels {};
class WholeGreedyTokens : public WholeModels {};
class WholeGreedyTokensOfOddSizes : public WholeModels {};
class WholeTraining : public WholeModels {};
class WholeVectors : public WholeModels {};

TEST_P(WholeLogits, AreNoFurtherOffThanThoseOfPyTorch) { expect_all_logits(); }
TEST_P(WholeLogitsOfRoundedWeights, AreNoFurtherOffThanThoseOfPyTorch) { expect_all_logits(); }

// Products of 16-bit floats that some processors do in blocks, with what is added to them.
TEST_P(WholeLogitsOfBlocks, AreNoFurtherOffThanThoseOfPyTorchOnAnyProcessor) {
  cpu::Emulated plain_loops;
  plain_loops.bf16_blocks = true;
  const WithEmulated emulated(plain_loops);
  expect_logits(*load(), 8, {64});
}

TEST_P(WholeGreedyTokens, AreThoseOfTransformers) { expect_greedy_tokens(); }
TEST_P(WholeGreedyTokensOfOddSizes, AreThoseOfTransformers) { expect_greedy_tokens(); }

TEST_P(WholeTraining, TenStepsAreNoFurtherOffThanThoseOfPeft) {
  const auto model = load();
  const JsonValue training = model_->expected().get("training");
  TrainConfig config;
  config.learning_rate = training.get("learning_rate").as_double();
  config.weight_decay = training.get("weight_decay").as_double();
  config.max_grad_norm = training.get("max_grad_norm").as_double();
  config.eps = training.get("eps").as_double();
  const std::string truth(name_of(mode().quantization));
  const auto numbers = [&](const char* key, const std::string& name) {
    std::vector<double> out;
    for (const JsonValue& v : training.get(key).get(name).as_array()) out.push_back(v.as_double());
    return out;
  };
  const std::vector<double> losses = numbers("losses", truth), norms = numbers("grad_norms", truth), off = numbers("errors", mode().name);
  Trainer trainer(model, model_->adapter(model->linears(), training.get("rank").as_int()), config, device());
  for (int64_t step = 0; step < std::min<int64_t>(kSteps, static_cast<int64_t>(losses.size())); ++step) {
    const StepResult result = trainer.step(model_->batch(step));
    const auto k = static_cast<size_t>(step);
    EXPECT_LE(std::fabs(result.loss - losses.at(k)), times() * off.at(0)) << "loss of step " << step;
    EXPECT_LE(std::fabs(result.grad_norm / norms.at(k) - 1), times() * off.at(1)) << "norm of step " << step;
  }
  if (trainer.steps_done() == static_cast<int64_t>(losses.size())) {
    const double factors_off = model_->factor_distance(mode().quantization, trainer.adapter());
    EXPECT_LE(factors_off, times() * off.at(2)) << factors_off / off.at(2) << " times as far off as PEFT";
  }
}

TEST_P(WholeVectors, AreNoFurtherOffThanThoseOfPyTorch) {
  std::filesystem::copy_file(source_folder() + "/tests/data/tiny-sentences/tokenizer.json", model_->folder() + "/tokenizer.json");
  std::ofstream(model_->folder() + "/modules.json") << R"([{"path": "", "type": "sentence_transformers.models.Transformer"},
      {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}, {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])";
  std::filesystem::create_directories(model_->folder() + "/1_Pooling");
  std::ofstream(model_->folder() + "/1_Pooling/config.json") << R"({"word_embedding_dimension": 768, "pooling_mode_mean_tokens": true})";
  const auto model = EmbeddingModel::load(model_->folder(), mode().dtype, mode().quantization);
  for (const test::WholeModelTexts& texts : model_->texts()) {
    std::optional<Adapter> adapter;
    if (texts.rank > 0) adapter = model_->adapter(model->encoder().linears(), texts.rank);
    Embedder embedder(model, adapter);
    std::vector<EmbeddingTokens> tokens;
    for (const int64_t length : texts.lengths) tokens.push_back({model_->text(texts.rank, length), 0});
    // All at once, and each in a batch of its own.
    for (const int64_t batch_size : {32, 1}) {
      EmbedOptions options;
      options.batch_size = batch_size;
      const auto vectors = embedder.run(tokens, options).embeddings.to_vector<float>();
      const size_t size = vectors.size() / tokens.size();
      for (size_t k = 0; k < tokens.size(); ++k) {
        const auto first = vectors.begin() + static_cast<std::ptrdiff_t>(k * size);
        expect_near(texts.rank, texts.lengths[k], {first, first + static_cast<std::ptrdiff_t>(size)});
      }
    }
  }
}

std::vector<Case> cases(DeviceKind device, const std::vector<std::string>& kinds, const std::vector<Mode>& modes) {
  std::vector<Case> out;
  // Takes an hour or two: scripts/check_whole_models.sh alone asks for it.
  if (device == DeviceKind::reference && std::getenv("LAZULI_WHOLE_MODELS_ON_REFERENCE") == nullptr) return out;
  for (const std::string& kind : kinds) {
    for (const Mode& mode : modes) out.push_back({kind, mode, device});
  }
  return out;
}

std::string name_of_case(const testing::TestParamInfo<Case>& info) { return info.param.name(); }

const std::vector<std::string> kLlama = {"llama"}, kQwen2 = {"qwen2"}, kDecoders = {"llama", "qwen2"}, kEncoders = {"bert"};

#define LAZULI_WHOLE_MODELS(Suite, kinds, modes)                                                                 \
  INSTANTIATE_TEST_SUITE_P(Cpu, Suite, testing::ValuesIn(cases(DeviceKind::cpu, kinds, modes)), name_of_case);   \
  INSTANTIATE_TEST_SUITE_P(Cuda, Suite, testing::ValuesIn(cases(DeviceKind::cuda, kinds, modes)), name_of_case); \
  INSTANTIATE_TEST_SUITE_P(Reference, Suite, testing::ValuesIn(cases(DeviceKind::reference, kinds, modes)), name_of_case)

LAZULI_WHOLE_MODELS(WholeLogits, kDecoders, kModes);
LAZULI_WHOLE_MODELS(WholeLogitsOfRoundedWeights, kLlama, kRoundedIn16Bits);
INSTANTIATE_TEST_SUITE_P(Cpu, WholeLogitsOfBlocks, testing::ValuesIn(cases(DeviceKind::cpu, kLlama, {{"bf16", DType::bf16}})),
                         name_of_case);
LAZULI_WHOLE_MODELS(WholeGreedyTokens, kLlama, kModes);
LAZULI_WHOLE_MODELS(WholeGreedyTokensOfOddSizes, kQwen2, kTwoModes);
LAZULI_WHOLE_MODELS(WholeTraining, kLlama, kModes);
LAZULI_WHOLE_MODELS(WholeVectors, kEncoders, kModes);

// The rounded weights are those that the right values were made with.
TEST(WholeModelWeights, AreThoseOfTheFixturesAndRoundedByTheirFormula) {
  for (const char* kind : {"llama", "qwen2", "bert"}) {
    const test::WholeModel model(kind);
    uint32_t all = 0, rounded8 = 0, rounded4 = 0;
    for (const Tensor& weight : model.weights()) {
      all += test::checksum_of(weight);
      if (weight.rank() != 2 || weight.dim(1) % 32 != 0) continue;
      for (const QuantFormatId format : {QuantFormatId::int8, QuantFormatId::int4}) {
        const QuantizedWeight q = quantize(weight, format);
        (format == QuantFormatId::int8 ? rounded8 : rounded4) += test::checksum_of(q.values()) + test::checksum_of(q.scales());
      }
    }
    EXPECT_EQ(all, model.expected().get("weights").as_uint()) << kind;
    EXPECT_EQ(rounded8, model.expected().get("rounded8").as_uint()) << kind;
    EXPECT_EQ(rounded4, model.expected().get("rounded4").as_uint()) << kind;
  }
}

}  // namespace
}  // namespace lazuli
