// Checks models whose weights are rounded while they are loaded.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "lazuli/encoder.h"
#include "lazuli/evaluate.h"
#include "lazuli/model.h"
#include "lazuli/safetensors.h"
#include "support/notices.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"
#include "support/tiny_llama.h"

namespace lazuli {
namespace {

// Instrumented kernels are slow: a shorter text then, whose perplexity says less.
#ifdef LAZULI_INSTRUMENTED
constexpr size_t kTokens = 512;
constexpr double kSlack = 5;
#else
constexpr size_t kTokens = 4096;
constexpr double kSlack = 1;
#endif

double perplexity(Quantization quantization) {
  const auto model = load_model(in_source("models/pycoder-16m"), DType::f32, quantization);
  const Tensor ids = SafetensorsFile::open(in_source("tests/data/pycoder-16m/lora_batches.safetensors")).tensor("input_ids");
  auto tokens = ids.to_vector<int32_t>();
  tokens.resize(kTokens);
  EvaluateOptions options;
  options.max_seq_length = 256;
  return evaluate(*model, nullptr, tokens, options).perplexity;
}

TEST(QuantizedModel, PerplexityStaysNearThatOfF32) {
  const double exact = perplexity(Quantization::none);
  EXPECT_LT(std::abs(perplexity(Quantization::int8) / exact - 1), 0.005 * kSlack);
  EXPECT_LT(std::abs(perplexity(Quantization::int4) / exact - 1), 0.05 * kSlack);
}

class QuantizedTiny : public testing::Test {
 protected:
  void SetUp() override {
    folder_.write("config.json", test::kTinyLlamaConfig);
    save_safetensors(folder_.path("model.safetensors"), test::tiny_llama_weights());
  }
  std::vector<float> logits(Quantization quantization, const Adapter* adapter, DType dtype = DType::f32) const {
    const auto model = load_model(folder_.path(), dtype, quantization);
    EXPECT_EQ(model->info().quantization, quantization);
    std::optional<AdapterContext> low_rank;
    if (adapter != nullptr) low_rank.emplace(*adapter);
    ForwardContext context;
    context.ids = LazyTensor::from_tensor(Tensor::from_vector<int32_t>({3, 17, 42, 5, 60, 11}, {1, 6}));
    context.adapter = low_rank ? &*low_rank : nullptr;
    return model->forward(context).eval().to_vector<float>();
  }
  static double distance(const std::vector<float>& a, const std::vector<float>& b) {
    double difference = 0, size = 0;
    for (size_t k = 0; k < a.size(); ++k) {
      difference += (static_cast<double>(a[k]) - b[k]) * (static_cast<double>(a[k]) - b[k]);
      size += static_cast<double>(b[k]) * b[k];
    }
    return std::sqrt(difference / size);
  }
  test::TempFolder folder_;
};

TEST_F(QuantizedTiny, LogitsAreNearThoseOfFloats) {
  // A layer of 48 inputs keeps 8 bits.
  EXPECT_LT(distance(logits(Quantization::int8, nullptr), logits(Quantization::none, nullptr)), 0.03);
  EXPECT_LT(distance(logits(Quantization::int4, nullptr), logits(Quantization::none, nullptr)), 0.3);
  EXPECT_LT(distance(logits(Quantization::int8, nullptr, DType::bf16), logits(Quantization::none, nullptr)), 0.05);
}

TEST_F(QuantizedTiny, WhatFourBitsDoNotFitIsTold) {
  const test::Notices notices;
  load_model(folder_.path(), DType::f32, Quantization::int8);
  EXPECT_TRUE(notices.told().empty());
  load_model(folder_.path(), DType::f32, Quantization::int4);
  ASSERT_EQ(notices.told().size(), 1U);
  EXPECT_NE(notices.told()[0].find(
                "2 tensors kept 8 bits, because the rows are no multiple of 32 numbers ('model.layers.0.mlp.down_proj.weight', "
                "'model.layers.1.mlp.down_proj.weight')"),
            std::string::npos)
      << notices.told()[0];
}

TEST_F(QuantizedTiny, AWeightThatIsNotFiniteIsNamed) {
  auto weights = test::tiny_llama_weights();
  const std::string name = "model.layers.1.mlp.down_proj.weight";
  auto values = weights.at(name).to_vector<float>();
  values[values.size() / 2] = std::numeric_limits<float>::infinity();
  weights[name] = Tensor::from_vector(values, weights.at(name).shape());
  save_safetensors(folder_.path("model.safetensors"), weights);
  for (const Quantization q : {Quantization::int8, Quantization::int4}) {
    const std::string message = test::message_of<FormatError>([&] { load_model(folder_.path(), DType::f32, q); });
    EXPECT_NE(message.find("model.safetensors: tensor '" + name + "'"), std::string::npos) << message;
  }
  EXPECT_NO_THROW(load_model(folder_.path()));
}

TEST_F(QuantizedTiny, AnAdapterAddsToTheRoundedLayer) {
  const auto model = load_model(folder_.path());
  LoRAConfig config;
  config.rank = 4;
  Adapter adapter = Adapter::create(model->linears(), config, 1);
  std::vector<Tensor> factors = adapter.parameters();
  for (size_t k = 0; k < factors.size(); ++k) {
    auto values = factors[k].to_vector<float>();
    for (size_t i = 0; i < values.size(); ++i) values[i] += 0.1F * std::sin(static_cast<float>(i + 7 * k));
    factors[k] = Tensor::from_vector(values, factors[k].shape());
  }
  adapter.set_parameters(factors);
  const auto exact = logits(Quantization::none, &adapter);
  EXPECT_GT(distance(exact, logits(Quantization::none, nullptr)), 0.1);
  EXPECT_LT(distance(logits(Quantization::int8, &adapter), exact), 0.03);
}

TEST(QuantizedEncoder, StatesAreNearThoseOfFloats) {
  const auto states = [](Quantization quantization) {
    const auto encoder = load_encoder(in_source("tests/data/tiny-bert"), DType::f32, quantization);
    const LazyTensor ids = LazyTensor::from_tensor(Tensor::from_vector<int32_t>({1, 2, 3, 4, 5, 6}, {1, 6}));
    return encoder->hidden({ids, LazyTensor::ones({1, 6}, DType::boolean), nullptr}).eval().to_vector<float>();
  };
  const auto exact = states(Quantization::none), rounded = states(Quantization::int8);
  double product = 0, a = 0, b = 0;
  for (size_t k = 0; k < exact.size(); ++k) {
    product += static_cast<double>(exact[k]) * rounded[k];
    a += static_cast<double>(exact[k]) * exact[k];
    b += static_cast<double>(rounded[k]) * rounded[k];
  }
  EXPECT_GT(product / std::sqrt(a * b), 0.999);
}

}  // namespace
}  // namespace lazuli
