// Checks that texts which go on side by side in slots are those that each would be alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "lazuli/error.h"
#include "lazuli/generate.h"
#include "support/cuda_device.h"
#include "support/family_model.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"
#include "support/tiny_llama.h"
#include "tensor/buffer_pool.h"

namespace lazuli {
namespace {

using testing::HasSubstr;

Tokenizer some_tokenizer() { return Tokenizer::load(source_folder() + "/models/pycoder-16m"); }

Adapter some_adapter(const LanguageModel& model, int64_t rank, float size) {
  LoRAConfig config;
  config.rank = rank;
  Adapter adapter = Adapter::create(model.linears(), config, 3);
  std::vector<Tensor> factors;
  for (const Tensor& t : adapter.parameters()) {
    Tensor factor = Tensor::empty(DType::f32, t.shape());
    int k = 0;
    for (float& v : factor.mutable_data<float>()) v = size * static_cast<float>(k++ % 7 - 3);
    factors.push_back(factor);
  }
  adapter.set_parameters(factors);
  return adapter;
}

/// Prompts of many lengths with rules of their own, the first ones greedy.
std::vector<BatchPrompt> some_prompts(int32_t adapters) {
  std::vector<BatchPrompt> prompts;
  for (int32_t k = 0; k < 9; ++k) {
    BatchPrompt& p = prompts.emplace_back();
    for (int32_t i = 0; i < 1 + 7 * k % 40; ++i) p.tokens.push_back((11 * k + 5 * i) % 64);
    p.options.max_tokens = 5 + 3 * k % 11;
    p.options.stop_at_eos = false;
    p.options.sampler.temperature = k < 3 ? 0 : 0.8;
    p.options.sampler.seed = static_cast<uint64_t>(k);
    p.options.sampler.repetition_penalty = k % 2 == 0 ? 1 : 1.3;
    p.adapter = k % (adapters + 1) - 1;
  }
  return prompts;
}

void expect_texts_as_alone(int64_t slots) {
  const auto model = test::tiny_llama_model();
  const std::vector<Adapter> adapters{some_adapter(*model, 2, 0.05F), some_adapter(*model, 4, -0.04F)};
  const std::vector<BatchPrompt> prompts = some_prompts(2);
  BatchGenerator batch(TextModel(model, some_tokenizer()), adapters, slots);
  const std::vector<GenerateResult> results = batch.run(prompts);
  ASSERT_EQ(results.size(), prompts.size());
  for (size_t k = 0; k < prompts.size(); ++k) {
    const int32_t own = prompts[k].adapter;
    Generator alone(model, some_tokenizer(), own < 0 ? std::nullopt : std::optional(adapters[static_cast<size_t>(own)]));
    const GenerateResult wanted = alone.run(prompts[k].tokens, prompts[k].options);
    EXPECT_EQ(results[k].tokens, wanted.tokens) << "prompt " << k << " of " << slots << " slots";
    EXPECT_EQ(results[k].text, wanted.text);
    EXPECT_EQ(results[k].finish, wanted.finish);
    EXPECT_EQ(results[k].prompt_tokens, wanted.prompt_tokens);
  }
}

TEST(BatchGenerator, TextsAreThoseThatEachWouldBeAlone) {
  for (const int64_t slots : {1, 2, 4, 16}) expect_texts_as_alone(slots);
}

TEST(CudaBatchGenerator, TextsAreThoseThatEachWouldBeAlone) {
  LAZULI_NEEDS_CUDA();
  set_default_device({DeviceKind::cuda, 0});
  for (const int64_t slots : {1, 3, 16}) expect_texts_as_alone(slots);
  set_default_device({});
}

TEST(BatchGenerator, EndsEachTextWhereItWouldEndAlone) {
  const auto model = test::tiny_llama_model();
  std::vector<BatchPrompt> prompts = some_prompts(0);
  // The model's context of 128 positions ends the first, which fills it, and the second one.
  prompts[0].tokens.assign(128, 7);
  prompts[1].tokens.assign(120, 9);
  prompts[1].options.max_tokens = 50;
  for (BatchPrompt& p : prompts) p.options.stop_at_eos = true;
  BatchGenerator batch(TextModel(model, some_tokenizer()), {}, 3);
  std::vector<size_t> ended;
  const auto results = batch.run(prompts, [&](size_t index, const GenerateResult&) {
    ended.push_back(index);
    return true;
  });
  EXPECT_EQ(ended.size(), prompts.size());
  EXPECT_EQ(results[0].finish, FinishReason::context);
  EXPECT_TRUE(results[0].tokens.empty());
  for (size_t k = 1; k < prompts.size(); ++k) {
    Generator alone(model, some_tokenizer());
    const GenerateResult wanted = alone.run(prompts[k].tokens, prompts[k].options);
    EXPECT_EQ(results[k].finish, wanted.finish) << k;
    EXPECT_EQ(results[k].tokens, wanted.tokens) << k;
  }
}

TEST(BatchGenerator, StopsWhereACallbackSaysSo) {
  BatchGenerator batch(TextModel(test::tiny_llama_model(), some_tokenizer()), {}, 4);
  const std::vector<BatchPrompt> prompts = some_prompts(0);
  const auto results = batch.run(prompts, [](size_t, const GenerateResult&) { return false; });
  size_t cancelled = 0;
  for (const GenerateResult& result : results) cancelled += result.finish == FinishReason::cancelled ? 1 : 0;
  EXPECT_EQ(cancelled, prompts.size() - 1);
  const auto none = batch.run(prompts, {}, [](size_t, std::string_view) { return false; });
  for (const GenerateResult& result : none) {
    EXPECT_EQ(result.finish, FinishReason::cancelled);
    EXPECT_EQ(result.tokens.size(), 1U);
  }
}

TEST(BatchGenerator, NamesAPromptThatCannotBe) {
  BatchGenerator batch(TextModel(test::tiny_llama_model(), some_tokenizer()), {}, 4);
  std::vector<BatchPrompt> prompts = some_prompts(0);
  const auto message = [&] { return test::message_of<ValueError>([&] { batch.run(prompts); }); };
  prompts[4].tokens.clear();
  EXPECT_THAT(message(), HasSubstr("prompt 4: at least one token is expected"));
  prompts[4].tokens.assign(129, 1);
  EXPECT_THAT(message(), HasSubstr("prompt 4: 129 tokens exceed the model's context of 128"));
  prompts[4].tokens = {1};
  prompts[2].adapter = 0;
  EXPECT_THAT(message(), HasSubstr("prompt 2: adapter 0 is not one of 0"));
  EXPECT_THROW(BatchGenerator(TextModel(test::tiny_llama_model(), some_tokenizer()), {}, 0), ValueError);
}

TEST(BatchGenerator, NanInTheLogitsEndsThatTextAlone) {
  const auto model = test::tiny_llama_model();
  std::vector<Tensor> broken = some_adapter(*model, 2, 0.05F).parameters();
  broken[0].mutable_data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  std::vector<Adapter> adapters{some_adapter(*model, 2, 0.05F)};
  adapters[0].set_parameters(broken);
  std::vector<BatchPrompt> prompts = some_prompts(0);
  prompts[1].adapter = 0;
  BatchGenerator batch(TextModel(model, some_tokenizer()), adapters, 2);
  const auto results = batch.run(prompts);
  EXPECT_EQ(results[1].finish, FinishReason::nan);
  EXPECT_TRUE(results[1].tokens.empty());
  for (const size_t k : {size_t{0}, size_t{2}, size_t{8}}) {
    Generator alone(model, some_tokenizer());
    EXPECT_EQ(results[k].tokens, alone.run(prompts[k].tokens, prompts[k].options).tokens) << k;
  }
}

}  // namespace
}  // namespace lazuli
