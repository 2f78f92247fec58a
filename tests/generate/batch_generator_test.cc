// Checks that texts which go on side by side in slots are those that each would be alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "generate/slot_session.h"
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

TEST(SlotSession, ReadsAPromptInPartsWhileOthersGoOn) {
  const auto model = test::tiny_llama_model();
  const std::vector<int32_t> prompt = some_prompts(0)[5].tokens;
  ASSERT_GT(prompt.size(), 30U);
  const auto tokens_of = [&](SlotSession& session, int64_t slot, size_t count) {
    std::vector<int32_t> out;
    while (out.size() < count) {
      if (session.unread() == 0) session.step();
      for (const auto& chosen : session.read()) {
        if (chosen.slot == slot) out.push_back(chosen.token);
      }
    }
    return out;
  };
  SlotSession alone(model, {}, 3, 128, 64);
  const int64_t only = alone.add({}, static_cast<int64_t>(prompt.size())).value();
  alone.prefill(only, prompt, true);
  const std::vector<int32_t> wanted = tokens_of(alone, only, 12);

  SlotSession session(model, {}, 3, 128, 64);
  const int64_t other = session.add({}, 2).value();
  session.prefill(other, std::vector<int32_t>{3, 4}, true);
  const int64_t slot = session.add({}, static_cast<int64_t>(prompt.size())).value();
  EXPECT_NE(slot, other);
  for (size_t first = 0; first < prompt.size(); first += 9) {
    tokens_of(session, other, 2);
    const size_t count = std::min<size_t>(9, prompt.size() - first);
    session.prefill(slot, std::span(prompt).subspan(first, count), first + count == prompt.size());
  }
  EXPECT_EQ(tokens_of(session, slot, 12), wanted);
  // A slot that was freed in between holds nothing of its last text.
  session.remove(slot);
  session.remove(other);
  while (session.unread() > 0) session.read();
  EXPECT_FALSE(session.can_step());
  const int64_t again = session.add({}, static_cast<int64_t>(prompt.size())).value();
  session.prefill(again, prompt, true);
  EXPECT_EQ(tokens_of(session, again, 12), wanted);
}

/// Of windows shorter than the prompt, and a context that texts of two thousand tokens fit.
std::shared_ptr<const LanguageModel> windowed_model(const std::string& family) {
  const test::FamilyModel model(family);
  std::string config(model.expected().get("config").as_string());
  const std::string context = "\"max_position_embeddings\": 64";
  config.replace(config.find(context), context.size(), "\"max_position_embeddings\": 4096");
  std::ofstream(model.folder() + "/config.json") << config;
  return load_model(model.folder());
}

TEST(SlotSession, LayersWithAWindowKeepNoMoreThanItShows) {
  for (const char* family : {"mistral", "gemma2"}) {
    const auto model = windowed_model(family);
    std::vector<BatchPrompt> prompts(3);
    for (size_t k = 0; k < prompts.size(); ++k) {
      prompts[k].options.stop_at_eos = false;
      prompts[k].options.max_tokens = k == 0 ? 1700 : 20;
      prompts[k].options.sampler.temperature = 1;
      prompts[k].options.sampler.seed = k;
      for (size_t i = 0; i < (k == 1 ? 1500U : 30U); ++i) prompts[k].tokens.push_back(static_cast<int32_t>((7 * i + i / 9) % 64));
    }
    BatchGenerator batch(TextModel(model, some_tokenizer()), {}, 2);
    const auto results = batch.run(prompts);
    for (size_t k = 0; k < prompts.size(); ++k) {
      Generator alone(model, some_tokenizer());
      EXPECT_EQ(results[k].tokens, alone.run(prompts[k].tokens, prompts[k].options).tokens) << family << " " << k;
    }
    SlotSession session(model, {}, 2, 4096, 1);
    const size_t all = 4096 * sizeof(float) * 2 * 2 * 16 * 2, some = all * 768 / 4096;  // of a layer: slots, heads, size, keys and values
    const size_t layers = family == std::string("mistral") ? 3 * some : 2 * some + all;
    EXPECT_NEAR(static_cast<double>(session.need().arguments), static_cast<double>(layers), static_cast<double>(all) / 8) << family;
  }
}

TEST(SlotSession, TakesTokensBackAndGoesOnFromWhatWasSaved) {
  for (const char* family : {"mistral", "gemma2", "gemma3", "smollm3"}) {
    const auto model = windowed_model(family);
    SlotSession session(model, {}, 2, 2048, 512);
    const auto token_after = [&](int64_t slot, const std::vector<int32_t>& ids) {
      session.prefill(slot, ids, true);
      return session.read().at(0).token;
    };
    std::vector<int32_t> text;
    for (int32_t i = 0; i < 900; ++i) text.push_back((5 * i + i / 7) % 64);
    const std::vector<int32_t> end{3, 9, 27};
    const int64_t slot = session.add({}, 903).value();
    session.prefill(slot, std::span(text).first(800), false);
    const auto saved = session.save(slot);
    session.prefill(slot, std::span(text).subspan(800), false);
    const int32_t wanted = token_after(slot, end);
    // The last tokens once more, after others in their place.
    session.roll_back(slot, 3);
    token_after(slot, {1, 2, 4, 8});
    session.roll_back(slot, 4);
    EXPECT_EQ(token_after(slot, end), wanted) << family;
    EXPECT_THROW(session.roll_back(slot, session.most_rolled_back(slot) + 1), ValueError);
    EXPECT_THROW(session.roll_back(slot, -1), ValueError);
    // The same text in another slot, from where it was saved.
    const int64_t other = session.add({}, 903).value();
    session.restore(other, saved);
    EXPECT_EQ(session.position(other), 800);
    session.prefill(other, std::span(text).subspan(800), false);
    EXPECT_EQ(token_after(other, end), wanted) << family;
  }
}

TEST(SlotSession, HasAsManySlotsAsItWasMadeWith) {
  SlotSession session(test::tiny_llama_model(), {}, 2, 128, 8);
  EXPECT_TRUE(session.add({}, 1).has_value());
  EXPECT_TRUE(session.add({}, 1).has_value());
  EXPECT_FALSE(session.add({}, 1).has_value());
  EXPECT_THROW(session.step(), ValueError);
  session.remove(0);
  EXPECT_EQ(session.add({}, 1), 0);
}

TEST(SlotSession, TakesTheMemoryThatWasPlanned) {
  const auto model = test::tiny_llama_model();
  const size_t before = memory_stats().live_bytes;
  BufferPool::of(Device{}).reset_peak();
  SlotSession session(model, {}, 8, 128, 64);
  for (int64_t k = 0; k < 8; ++k) {
    const int64_t slot = session.add({}, 64).value();
    session.prefill(slot, std::vector<int32_t>(64, 5), true);
    session.read();
  }
  for (int k = 0; k < 5; ++k) {
    session.step();
    session.read();
  }
  EXPECT_LE(memory_stats().peak_bytes - before, session.need().total() + 8 * 1024);
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
