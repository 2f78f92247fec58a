// Checks the model that comes with the project against logits and greedy tokens of transformers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/json.h"
#include "lazuli/generate.h"
#include "lazuli/model.h"
#include "lazuli/safetensors.h"
#include "support/cuda_device.h"
#include "support/source_folder.h"

namespace lazuli {
namespace {

std::shared_ptr<const LanguageModel> pycoder() {
  static const auto model = load_model(in_source("models/pycoder-16m"));
  return model;
}

void expect_logits_match(const std::shared_ptr<const LanguageModel>& model) {
  const auto file = SafetensorsFile::open(in_source("tests/data/pycoder-16m/logits.safetensors"));
  for (int k = 0; k < 6; ++k) {
    const Tensor ids = file.tensor("ids." + std::to_string(k));
    const auto expected = file.tensor("logits." + std::to_string(k)).to_vector<float>();
    ForwardContext context;
    context.ids = LazyTensor::from_tensor(ids.reshape({1, ids.numel()}));
    const auto got = model->forward(context).eval().to_vector<float>();
    // The file has every third logit of a token, which no width of a kernel's tiles divides.
    const auto tokens = static_cast<size_t>(ids.numel());
    const size_t all = got.size() / tokens, kept = expected.size() / tokens;
    ASSERT_EQ(kept, (all + 2) / 3);
    float worst = 0;
    for (size_t i = 0; i < expected.size(); ++i) worst = std::max(worst, std::abs(got[i / kept * all + i % kept * 3] - expected[i]));
    EXPECT_LE(worst, 2e-4F) << "prompt " << k;
  }
}

void expect_greedy_tokens_identical(const std::shared_ptr<const LanguageModel>& model) {
  Generator generator(model, Tokenizer::load(in_source("models/pycoder-16m")));
  const JsonDocument cases = JsonDocument::read(in_source("tests/data/pycoder-16m/greedy.json"));
  for (const JsonValue& c : cases.root().as_array()) {
    std::vector<int32_t> expected;
    for (const JsonValue& id : c.get("greedy_ids").as_array()) expected.push_back(static_cast<int32_t>(id.as_int()));
    GenerateOptions options;
    options.max_tokens = static_cast<int64_t>(expected.size());
    const GenerateResult result = generator.run(c.get("prompt").as_string(), options);
    EXPECT_EQ(result.tokens, expected) << c.get("prompt").as_string();
    EXPECT_EQ(std::string(c.get("prompt").as_string()) + result.text, c.get("text").as_string());
    EXPECT_EQ(result.prompt_tokens, static_cast<int64_t>(c.get("prompt_ids").as_array().size()));
  }
  // Prompts of 9 to 16 tokens share a plan; those of 8 and 21 have their own, and so have single tokens.
  EXPECT_EQ(generator.traces(), 4U);
}

TEST(Pycoder, LogitsOfSixPromptsMatch) { expect_logits_match(pycoder()); }
TEST(Pycoder, GreedyTokensOfSixPromptsAreIdentical) { expect_greedy_tokens_identical(pycoder()); }

TEST(Pycoder, LogitsOfSixPromptsMatchOnCuda) {
  LAZULI_NEEDS_CUDA();
  const test::OnCuda device;
  expect_logits_match(load_model(in_source("models/pycoder-16m")));
}

TEST(Pycoder, GreedyTokensOfSixPromptsAreIdenticalOnCuda) {
  LAZULI_NEEDS_CUDA();
  const test::OnCuda device;
  expect_greedy_tokens_identical(load_model(in_source("models/pycoder-16m")));
}

TEST(Pycoder, ALongPromptInChunksGivesWhatOnePassGives) {
  std::vector<int32_t> ids(700);
  for (size_t k = 0; k < ids.size(); ++k) ids[k] = static_cast<int32_t>(300 + k * 37 % 5000);
  ForwardContext context;
  context.ids = LazyTensor::from_tensor(Tensor::from_vector(ids, {1, 700}));
  const LazyTensor last = slice(pycoder()->hidden(context), 1, 699, 700);
  const auto logits = pycoder()->logits(last).eval().to_vector<float>();
  const auto best = static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  Generator generator(pycoder(), Tokenizer::load(in_source("models/pycoder-16m")));
  GenerateOptions options;
  options.max_tokens = 1;
  options.stop_at_eos = false;
  EXPECT_EQ(generator.run(ids, options).tokens, std::vector<int32_t>{best});
}

}  // namespace
}  // namespace lazuli
