// Checks the training of an adapter on a model whose own weights are integers.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "conformance/data.h"
#include "lazuli/adapter.h"
#include "lazuli/model.h"
#include "lazuli/ops.h"
#include "lazuli/quantize.h"
#include "lazuli/safetensors.h"
#include "lazuli/train.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

const std::string kPycoder = source_folder() + "/models/pycoder-16m";

#if defined(LAZULI_INSTRUMENTED) || !defined(NDEBUG)
constexpr int64_t kSteps = 3;
#else
constexpr int64_t kSteps = 6;
#endif

/// The format that loading gives a weight of a decoder.
QuantFormatId format_of(const std::string& name, Quantization quantization) {
  if (quantization == Quantization::int8) return QuantFormatId::int8;
  for (const char* part : {"embed_tokens", "lm_head", "k_proj", "v_proj", "o_proj"}) {
    if (name.find(part) != std::string::npos) return QuantFormatId::int8;
  }
  return QuantFormatId::int4;
}

/// A copy of the model whose float weights are what the rounded ones stand for.
void write_dequantized(const test::TempFolder& folder, Quantization quantization) {
  for (const char* name : {"config.json", "tokenizer.json"}) std::filesystem::copy_file(kPycoder + "/" + name, folder.path(name));
  const SafetensorsFile file = SafetensorsFile::open(kPycoder + "/model.safetensors");
  std::map<std::string, Tensor> weights;
  for (const std::string& name : file.names()) {
    const Tensor stored = file.tensor(name);
    weights[name] = stored.rank() == 2 ? dequantized(quantize(stored, format_of(name, quantization))) : stored;
  }
  save_safetensors(folder.path("model.safetensors"), weights);
}

struct Course {
  std::vector<double> losses, norms;
  double before = 0, after = 0;  ///< of a batch that is not trained on
};

Course train(const std::shared_ptr<const LanguageModel>& model, int64_t steps, double dropout = 0) {
  const Tensor all = SafetensorsFile::open(source_folder() + "/tests/data/pycoder-16m/lora_batches.safetensors").tensor("input_ids");
  const auto tokens = all.to_vector<int32_t>();
  const auto ids = [&](int64_t step) {
    return Tensor::from_slice(std::span(tokens).subspan(static_cast<size_t>(step) * 1024, 4 * 65), {4, 65});
  };
  LoRAConfig config;
  config.rank = 4;
  config.dropout = dropout;
  TrainConfig training;
  training.learning_rate = 2e-3;
  Trainer trainer(model, Adapter::create(model->linears(), config, 1), training);
  Course course;
  course.before = trainer.evaluate(ids(kSteps));
  for (int64_t step = 0; step < steps; ++step) {
    const StepResult result = trainer.step(ids(step));
    course.losses.push_back(result.loss);
    course.norms.push_back(result.grad_norm);
  }
  course.after = trainer.evaluate(ids(kSteps));
  return course;
}

class QuantizedTraining : public testing::TestWithParam<Quantization> {};

// The two differ in the forward pass alone: a product may round each row of activations, with errors of up to 1/254 of the largest of 256
// numbers (4 bits: of 32). That is some 1 % of a layer's results and of the logits, and moves a token's loss by 0.1 either way; a mean over
// 256 tokens by a sixteenth of it, and each step goes on from there.
TEST_P(QuantizedTraining, FollowsTheOneOnTheFloatsThatTheWeightsStandFor) {
  const test::TempFolder folder;
  write_dequantized(folder, GetParam());
  const auto rounded = load_model(kPycoder, DType::f32, GetParam());
  ASSERT_EQ(rounded->info().quantization, GetParam());
  const Course course = train(rounded, kSteps), exact = train(load_model(folder.path()), kSteps);
  for (size_t k = 0; k < course.losses.size(); ++k) {
    EXPECT_NEAR(course.losses[k], exact.losses[k], 0.03) << k;
    EXPECT_NEAR(course.norms[k] / exact.norms[k], 1, 0.03) << k;
  }
  EXPECT_NEAR(course.before, exact.before, 0.03);
  EXPECT_NEAR(course.after, exact.after, 0.03);
  EXPECT_LT(course.after, course.before - 0.03);
}

TEST_P(QuantizedTraining, DropoutReachesTheAdapter) {
  const auto model = load_model(kPycoder, DType::f32, GetParam());
  const Course with = train(model, 2, 0.5), without = train(model, 2);
  EXPECT_EQ(with.before, without.before);
  EXPECT_NE(with.norms[0], without.norms[0]);
  EXPECT_LT(with.after, with.before);
}

TEST_P(QuantizedTraining, GradientOfTheInputIsThatOfTheFloatsExactly) {
  const QuantFormatId format = GetParam() == Quantization::int8 ? QuantFormatId::int8 : QuantFormatId::int4;
  const QuantizedWeight weight = quantize(conformance::random(DType::f32, {48, 64}, 1, -0.1, 0.1), format);
  const LazyTensor parts[] = {LazyTensor::from_tensor(weight.values()), LazyTensor::from_tensor(weight.scales())};
  const LazyTensor x = LazyTensor::from_tensor(conformance::random(DType::f32, {5, 64}, 2, -1, 1));
  const LazyTensor g = LazyTensor::from_tensor(conformance::random(DType::f32, {5, 48}, 3, -1, 1));
  const auto gradient = [&](const LazyTensor& y) { return vjp(std::span(&y, 1), std::span(&x, 1), std::span(&g, 1))[0].eval(); };
  const auto from_rounded = gradient(quantized_linear(x, parts, format)).to_vector<float>();
  const auto from_floats = gradient(matmul(x, LazyTensor::from_tensor(dequantized(weight)), false, true)).to_vector<float>();
  ASSERT_EQ(from_rounded.size(), from_floats.size());
  for (size_t k = 0; k < from_floats.size(); ++k) EXPECT_NEAR(from_rounded[k], from_floats[k], 48 * 0.1 * 6e-8) << k;
}

INSTANTIATE_TEST_SUITE_P(Bits, QuantizedTraining, testing::Values(Quantization::int8, Quantization::int4),
                         [](const auto& p) { return std::string(name_of(p.param)); });

}  // namespace
}  // namespace lazuli
