// Checks generation on a small model: chunks, streaming, stop texts, limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "generate/chunks.h"
#include "generate/slot_session.h"
#include "lazuli/error.h"
#include "lazuli/generate.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"
#include "support/tiny_llama.h"

namespace lazuli {
namespace {

using test::message_of;
using test::some_ids;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ChunkLengths, AreFewDifferentOnes) {
  EXPECT_THAT(chunk_lengths(1), ElementsAre(1));
  EXPECT_THAT(chunk_lengths(2), ElementsAre(8));
  EXPECT_THAT(chunk_lengths(33), ElementsAre(64));
  EXPECT_THAT(chunk_lengths(65), ElementsAre(128));
  EXPECT_THAT(chunk_lengths(512), ElementsAre(512));
  EXPECT_THAT(chunk_lengths(1100), ElementsAre(512, 512, 128));
  EXPECT_THAT(chunk_lengths(0), ElementsAre());
  for (const auto& [count, length] :
       {std::pair(7, 8), {8, 8}, {9, 16}, {63, 64}, {64, 64}, {128, 128}, {129, 192}, {449, 512}, {511, 512}}) {
    EXPECT_THAT(chunk_lengths(count), ElementsAre(length)) << count;
    EXPECT_THAT(chunk_lengths(512 + count), ElementsAre(512, length)) << count;
  }
  EXPECT_THAT(chunk_lengths(513), ElementsAre(512, 1));
  EXPECT_THAT(chunk_lengths(1024), ElementsAre(512, 512));
}

TEST(CacheCapacity, IsTheNextMultipleOfItsStep) {
  for (const auto& [positions, capacity] : {std::pair(0, 256), {1, 256}, {256, 256}, {257, 512}, {512, 512}, {513, 768}}) {
    EXPECT_EQ(cache_capacity(positions), capacity) << positions;
  }
}

class TinyModel : public testing::Test {
 protected:
  void SetUp() override {
    folder_.write("config.json", test::kTinyLlamaConfig);
    save_safetensors(folder_.path("model.safetensors"), test::tiny_llama_weights());
    model_ = load_model(folder_.path());
  }
  /// Logits after the last of `ids`, in one pass without cache.
  std::vector<float> in_one_pass(const std::vector<int32_t>& ids) const {
    ForwardContext context;
    context.ids = LazyTensor::from_tensor(Tensor::from_vector(ids, {1, static_cast<int64_t>(ids.size())}));
    const auto all = model_->forward(context).eval().to_vector<float>();
    return {all.end() - model_->info().vocab_size, all.end()};
  }

  test::TempFolder folder_;
  std::shared_ptr<const LanguageModel> model_;
};

TEST_F(TinyModel, ChunksAndSingleTokensGiveWhatOnePassGives) {
  SlotSession session(model_, {}, 1);
  session.reserve(100, 64);
  const int64_t slot = session.add({}, 1).value();
  const auto ids = some_ids(40);
  const std::span<const int32_t> all(ids);
  session.prefill(slot, all.first(13), false);
  session.prefill(slot, all.subspan(13, 1), false);
  session.prefill(slot, all.subspan(14, 19), false);
  for (size_t k = 33; k < 39; ++k) session.prefill(slot, all.subspan(k, 1), false);
  session.prefill(slot, all.subspan(39, 1), false);
  const auto got = session.logits(slot);
  EXPECT_EQ(session.position(slot), 40);
  const auto expected = in_one_pass(ids);
  for (size_t k = 0; k < expected.size(); ++k) EXPECT_NEAR(got[k], expected[k], 2e-5) << k;
}

TEST_F(TinyModel, PositionsBeyondTheFirstTableAndCacheStepAreOrdinaryOnes) {
  SlotSession session(model_, {}, 1);
  const auto ids = some_ids(260);
  const std::span<const int32_t> all(ids);
  session.reserve(260, 254);
  const int64_t slot = session.add({}, 1).value();
  EXPECT_EQ(session.capacity(), 512);
  session.prefill(slot, all.first(254), false);
  for (size_t k = 254; k < 260; ++k) {
    session.prefill(slot, all.subspan(k, 1), false);
    const auto got = session.logits(slot), expected = in_one_pass({ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(k) + 1});
    for (size_t j = 0; j < expected.size(); ++j) ASSERT_NEAR(got[j], expected[j], 5e-5) << "position " << k;
  }
}

TEST_F(TinyModel, AnAdapterChangesTheLogitsAsItDoesInOnePass) {
  LoRAConfig config;
  config.rank = 4;
  Adapter adapter = Adapter::create(model_->linears(), config, 3);
  auto parameters = adapter.parameters();
  for (size_t k = 1; k < parameters.size(); k += 2) {
    parameters[k] = Tensor::from_vector(std::vector<float>(static_cast<size_t>(parameters[k].numel()), 0.05F), parameters[k].shape());
  }
  adapter.set_parameters(parameters);
  const auto ids = some_ids(10);
  const AdapterContext adapted(adapter);
  ForwardContext context;
  context.ids = LazyTensor::from_tensor(Tensor::from_vector(ids, {1, 10}));
  context.adapter = &adapted;
  const auto all = model_->forward(context).eval().to_vector<float>();
  SlotSession session(model_, {{adapter}, false}, 1);
  session.reserve(20, 10);
  const int64_t slot = session.add({}, 1).value();
  session.prefill(slot, ids, false);
  const auto got = session.logits(slot);
  const auto plain = in_one_pass(ids);
  float change = 0;
  for (size_t k = 0; k < plain.size(); ++k) {
    EXPECT_NEAR(got[k], all[all.size() - plain.size() + k], 2e-5) << k;
    change = std::max(change, std::abs(got[k] - plain[k]));
  }
  EXPECT_GT(change, 1e-3F);
}

class TinyGenerator : public TinyModel {
 protected:
  GenerateResult run(const GenerateOptions& options, const TextCallback& on_text = {}) const {
    Generator generator(model_, Tokenizer::load(source_folder() + "/models/pycoder-16m"));
    return generator.run(std::vector<int32_t>{20, 21, 22}, options, on_text);
  }
  static GenerateOptions tokens(int64_t count) {
    GenerateOptions options;
    options.max_tokens = count;
    options.stop_at_eos = false;
    return options;
  }
};

TEST_F(TinyGenerator, AnIdThatIsNoTokenEndsNoText) {
  std::filesystem::copy(source_folder() + "/models/pycoder-16m/tokenizer.json", folder_.path("tokenizer.json"));
  folder_.write("config.json", R"({"eos_token_id": [-1, 3, 4294967296]})");
  EXPECT_THAT(Tokenizer::load(folder_.path()).eos_ids(), ElementsAre(3));
}

TEST_F(TinyGenerator, TheModelsEndOfTextComesBeforeTheTokenizers) {
  const std::vector<int32_t> all = run(tokens(6)).tokens;
  ASSERT_EQ(all.size(), 6U);
  const auto ended = [&](const std::string& ids) {
    folder_.write("generation_config.json", "{\"eos_token_id\": " + ids + "}");
    model_ = load_model(folder_.path());
    GenerateOptions options = tokens(6);
    options.stop_at_eos = true;
    return run(options);
  };
  const auto place = static_cast<size_t>(std::find(all.begin(), all.end(), all[3]) - all.begin());
  const GenerateResult r = ended(std::to_string(all[3]));
  EXPECT_EQ(r.finish, FinishReason::eos);
  EXPECT_EQ(r.tokens.size(), place);
  EXPECT_EQ(ended("[63, " + std::to_string(all[3]) + "]").tokens.size(), place);
  // The tokenizer's own ends no text where the model says another.
  folder_.write("generation_config.json", "{}");
  const ModelInfo& info = model_->info();
  EXPECT_THAT(info.eos_token_ids, ElementsAre(63, all[3]));
}

TEST_F(TinyGenerator, StreamedPiecesMakeTheText) {
  std::string streamed;
  const GenerateResult result = run(tokens(30), [&](std::string_view piece) {
    streamed += piece;
    return true;
  });
  EXPECT_EQ(streamed, result.text);
  EXPECT_EQ(result.tokens.size(), 30U);
  EXPECT_EQ(result.finish, FinishReason::length);
  EXPECT_EQ(result.prompt_tokens, 3);
  EXPECT_GT(result.generation_tps, 0);
  EXPECT_GT(result.peak_memory_bytes, 1U << 20);
}

TEST_F(TinyGenerator, AStopTextEndsTheTextBeforeIt) {
  GenerateOptions options = tokens(30);
  options.sampler.temperature = 2;
  const std::string whole = run(options).text;
  ASSERT_GT(whole.size(), 10U);
  const std::string stop = whole.substr(whole.size() / 2, 3);
  options.stop = {stop};
  const GenerateResult result = run(options);
  EXPECT_EQ(result.text, whole.substr(0, whole.find(stop)));
  EXPECT_EQ(result.finish, FinishReason::stop);
  EXPECT_LT(result.tokens.size(), 30U);
}

TEST_F(TinyGenerator, ACallerCanEndTheGeneration) {
  const GenerateResult result = run(tokens(30), [](std::string_view) { return false; });
  EXPECT_EQ(result.finish, FinishReason::cancelled);
  EXPECT_EQ(result.tokens.size(), 1U);
}

TEST_F(TinyGenerator, SampledTextDependsOnTheSeed) {
  GenerateOptions options = tokens(20);
  options.sampler.temperature = 1;
  const auto first = run(options).tokens;
  EXPECT_EQ(run(options).tokens, first);
  options.sampler.seed = 1;
  EXPECT_NE(run(options).tokens, first);
}

TEST_F(TinyGenerator, LimitsAreChecked) {
  EXPECT_EQ(run(tokens(125)).tokens.size(), 125U);
  EXPECT_THROW(run(tokens(0)), ValueError);
  Generator generator(model_, Tokenizer::load(source_folder() + "/models/pycoder-16m"));
  EXPECT_THROW(generator.run("", {}), ValueError);
  EXPECT_THROW(generator.run(std::vector<int32_t>{64}, {}), ValueError);
  EXPECT_THAT(message_of<ValueError>([&] { generator.run(std::vector<int32_t>(129, 1), {}); }), HasSubstr("context of 128"));
}

TEST_F(TinyGenerator, TheContextEndsAText) {
  EXPECT_EQ(run(tokens(125)).finish, FinishReason::length);
  const GenerateResult result = run(tokens(126));
  EXPECT_EQ(result.finish, FinishReason::context);
  EXPECT_EQ(result.tokens, run(tokens(125)).tokens);
}

}  // namespace
}  // namespace lazuli
