// Checks that texts go on as one pass over them says, whatever their layers keep, also after tokens were taken back or a text was restored.
#include "generate/slot_state.h"

#include <gtest/gtest.h>

#include <fstream>

#include "generate/slot_session.h"
#include "lazuli/error.h"
#include "lazuli/generate.h"
#include "lazuli/ops.h"
#include "support/cuda_device.h"
#include "support/family_model.h"
#include "support/mixed_model.h"
#include "support/source_folder.h"
#include "support/tiny_llama.h"

namespace lazuli {
namespace {

using test::some_ids;

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
    BatchGenerator batch(TextModel(model, Tokenizer::load(source_folder() + "/models/pycoder-16m")), {}, 2);
    const auto results = batch.run(prompts);
    for (size_t k = 0; k < prompts.size(); ++k) {
      Generator alone(model, Tokenizer::load(source_folder() + "/models/pycoder-16m"));
      EXPECT_EQ(results[k].tokens, alone.run(prompts[k].tokens, prompts[k].options).tokens) << family << " " << k;
    }
    SlotSession session(model, {}, 2);
    session.reserve(4096, 1);
    const size_t all = 4096 * sizeof(float) * 2 * 2 * 16 * 2, some = all * 768 / 4096;  // of a layer: slots, heads, size, keys and values
    const size_t layers = family == std::string("mistral") ? 3 * some : 2 * some + all;
    EXPECT_NEAR(static_cast<double>(session.need().arguments), static_cast<double>(layers), static_cast<double>(all) / 8) << family;
  }
}

TEST(SlotSession, TakesTokensBackAndGoesOnFromWhatWasSaved) {
  for (const char* family : {"mistral", "gemma2", "gemma3", "gemma4", "smollm3"}) {
    const auto model = windowed_model(family);
    SlotSession session(model, {}, 2);
    session.reserve(2048, 512);
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

/// The token that one pass over all of `ids` puts first.
int32_t in_one_pass(const LanguageModel& model, const std::vector<int32_t>& ids) {
  ForwardContext context;
  context.ids = LazyTensor::from_tensor(Tensor::from_vector(ids, {1, static_cast<int64_t>(ids.size())}, default_device()));
  return argmax(slice(model.forward(context), 1, -1, context.ids.dim(1)), -1).eval().to_vector<int32_t>().at(0);
}

/// A text in a slot, and what was chosen for it.
struct SlotText {
  int64_t slot;
  std::vector<int32_t> ids;
};

/// Steps until the text has `count` ids; others go on too.
void go_on(SlotSession& session, SlotText& text, size_t count) {
  while (text.ids.size() < count) {
    if (session.unread() == 0) session.step();
    for (const auto& chosen : session.read()) {
      if (chosen.slot == text.slot) text.ids.push_back(chosen.token);
    }
  }
}

void expect_greedy(const LanguageModel& model, const std::vector<int32_t>& ids, size_t prompt) {
  for (size_t k = prompt; k < ids.size(); ++k) {
    ASSERT_EQ(ids[k], in_one_pass(model, {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(k)})) << "token " << k;
  }
}

void expect_every_kind_of_state(int64_t slots) {
  const auto model = std::make_shared<test::MixedModel>(7);
  SlotSession session(model, {}, slots);
  session.reserve(1024, 64);
  SlotText other{slots == 1 ? -1 : session.add({}, 2).value(), {3, 4}};
  if (slots > 1) session.prefill(other.slot, other.ids, true);
  const std::vector<int32_t> ids = some_ids(44);
  const std::span<const int32_t> prompt(ids);
  SlotText text{session.add({}, 1).value(), ids};
  size_t fed = 0;
  for (const size_t part : {13U, 1U, 30U}) {
    if (slots > 1) go_on(session, other, other.ids.size() + 2);
    session.prefill(text.slot, prompt.subspan(fed, part), fed + part == 44);
    fed += part;
  }
  go_on(session, text, 52);
  expect_greedy(*model, text.ids, 44);
  if (slots > 1) expect_greedy(*model, other.ids, 2);
  const SavedState saved = session.save(text.slot);
  // All tokens but one of the 52 were fed. Back into what was decoded, and to the part of the prompt that came last.
  EXPECT_EQ(session.most_rolled_back(text.slot), 51 - 14);
  for (const size_t kept : {48U, 46U, 20U}) {
    session.roll_back(text.slot, session.position(text.slot) - static_cast<int64_t>(kept));
    EXPECT_EQ(session.position(text.slot), static_cast<int64_t>(kept));
    SlotText again{text.slot, {text.ids.begin(), text.ids.begin() + static_cast<std::ptrdiff_t>(kept)}};
    again.ids.push_back(static_cast<int32_t>(kept));
    session.prefill(text.slot, {&again.ids.back(), 1}, true);
    go_on(session, again, kept + 4);
    expect_greedy(*model, again.ids, kept + 1);
    session.remove(text.slot);
    ASSERT_EQ(session.add({}, 1), text.slot);
    session.prefill(text.slot, prompt.first(14), false);
    session.prefill(text.slot, std::span<const int32_t>(text.ids).subspan(14, 37), false);
  }
  session.remove(text.slot);
  ASSERT_EQ(session.add({}, 1), text.slot);
  session.restore(text.slot, saved);
  SlotText restored{text.slot, text.ids};
  session.prefill(text.slot, {&text.ids.back(), 1}, true);
  go_on(session, restored, 56);
  expect_greedy(*model, restored.ids, 52);
  // Beyond the room of the window there is no copy that the text could go back to.
  for (int k = 0; k < 800; ++k) {
    session.step();
    session.read();
  }
  EXPECT_EQ(session.most_rolled_back(text.slot), 0);
}

TEST(SlotSession, LayersOfEveryKindGiveWhatOnePassGives) {
  for (const int64_t slots : {1, 3}) expect_every_kind_of_state(slots);
}

TEST(CudaSlotSession, LayersOfEveryKindGiveWhatOnePassGives) {
  LAZULI_NEEDS_CUDA();
  const test::OnCuda on_cuda;
  for (const int64_t slots : {1, 3}) expect_every_kind_of_state(slots);
}

}  // namespace
}  // namespace lazuli
