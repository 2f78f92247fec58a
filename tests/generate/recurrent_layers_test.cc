// Checks that texts of a model with recurrent layers go on the same however they are read: whole, in pieces, in batches, or once more.
#include <gtest/gtest.h>

#include <cmath>

#include "generate/slot_session.h"
#include "lazuli/error.h"
#include "lazuli/generate.h"
#include "lazuli/ops.h"
#include "lazuli/train.h"
#include "support/cuda_device.h"
#include "support/family_model.h"
#include "support/source_folder.h"

namespace lazuli {
namespace {

const char* const kRecurrentFamilies[] = {"qwen3_5", "qwen3_5_moe", "qwen3_next"};

std::vector<int32_t> ids_up_to(size_t count) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>((7 * i + i / 9) % 64));
  return ids;
}

/// Logits after the last of `ids`, in one pass without a state.
std::vector<float> logits_in_one_pass(const LanguageModel& model, const std::vector<int32_t>& ids) {
  ForwardContext context;
  context.ids = LazyTensor::from_tensor(Tensor::from_vector(ids, {1, static_cast<int64_t>(ids.size())}, default_device()));
  const LazyTensor all = model.forward(context);
  return slice(all, 1, all.dim(1) - 1, all.dim(1)).eval().to_vector<float>();
}

void expect_close(const std::vector<float>& a, const std::vector<float>& b, double part) {
  ASSERT_EQ(a.size(), b.size());
  double largest = 0;
  for (const float x : b) largest = std::max(largest, std::fabs(static_cast<double>(x)));
  for (size_t k = 0; k < a.size(); ++k) ASSERT_NEAR(a[k], b[k], part * largest) << k;
}

void expect_pieces_are_the_whole() {
  for (const char* family : kRecurrentFamilies) {
    const test::FamilyModel files(family);
    const auto model = load_model(files.folder());
    const std::vector<int32_t> ids = ids_up_to(200);
    const std::vector<float> right = logits_in_one_pass(*model, ids);
    for (const std::vector<size_t>& parts : {std::vector<size_t>{200}, {64, 136}, {1, 7, 63, 65, 2, 61, 1}, {150, 50}}) {
      SlotSession session(model, {}, 2);
      session.reserve(256, 200);
      session.add({}, 1);
      const int64_t slot = session.add({}, 200).value();
      size_t fed = 0;
      for (const size_t part : parts) {
        session.prefill(slot, std::span(ids).subspan(fed, part), false);
        fed += part;
      }
      expect_close(session.logits(slot), right, 1e-5);
    }
  }
}

TEST(RecurrentLayers, PiecesOfAPromptAreTheWhole) { expect_pieces_are_the_whole(); }

TEST(CudaRecurrentLayers, PiecesOfAPromptAreTheWhole) {
  LAZULI_NEEDS_CUDA();
  const test::OnCuda on_cuda;
  expect_pieces_are_the_whole();
}

void expect_batches_are_texts_alone() {
  for (const char* family : kRecurrentFamilies) {
    const test::FamilyModel files(family);
    const auto model = load_model(files.folder());
    const auto text_model = [&] { return TextModel(model, Tokenizer::load(source_folder() + "/models/pycoder-16m")); };
    std::vector<BatchPrompt> prompts(4);
    for (size_t k = 0; k < prompts.size(); ++k) {
      prompts[k].options.stop_at_eos = false;
      prompts[k].options.max_tokens = static_cast<int64_t>(12 + 9 * k);
      prompts[k].tokens = ids_up_to(k == 0 ? 130 : 3 + 40 * k);
    }
    const auto results = BatchGenerator(text_model(), {}, 3).run(prompts);
    for (size_t k = 0; k < prompts.size(); ++k) {
      Generator alone(text_model());
      EXPECT_EQ(results[k].tokens, alone.run(prompts[k].tokens, prompts[k].options).tokens) << family << " " << k;
    }
  }
}

TEST(RecurrentLayers, BatchesGiveWhatTextsAloneGive) { expect_batches_are_texts_alone(); }

TEST(CudaRecurrentLayers, BatchesGiveWhatTextsAloneGive) {
  LAZULI_NEEDS_CUDA();
  const test::OnCuda on_cuda;
  expect_batches_are_texts_alone();
}

TEST(RecurrentLayers, TokensThatAreTakenBackLeaveNothing) {
  for (const char* family : kRecurrentFamilies) {
    const test::FamilyModel files(family);
    const auto model = load_model(files.folder());
    const std::vector<int32_t> ids = ids_up_to(120);
    SlotSession session(model, {}, 2);
    session.reserve(256, 120);
    const int64_t slot = session.add({}, 120).value();
    session.prefill(slot, std::span(ids).first(90), false);
    const SavedState saved = session.save(slot);
    session.prefill(slot, std::span(ids).subspan(90), false);
    const std::vector<float> right = session.logits(slot);
    EXPECT_EQ(session.most_rolled_back(slot), 30) << "the copy of before the last part is the first that is kept";
    session.roll_back(slot, 25);
    session.prefill(slot, std::span(ids).subspan(95), false);
    expect_close(session.logits(slot), right, 1e-5);
    EXPECT_THROW(session.roll_back(slot, session.most_rolled_back(slot) + 1), ValueError);
    const int64_t other = session.add({}, 120).value();
    session.restore(other, saved);
    session.prefill(other, std::span(ids).subspan(90), false);
    expect_close(session.logits(other), right, 1e-5);
  }
}

// PEFT trains in f32 here. A mistake of 16 bits alone, as of a memory that is not f32, would be larger than rounding.
TEST(RecurrentLayers, StepsOfLoRAIn16BitsAreNearThoseOfPeft) {
  for (const char* family : kRecurrentFamilies) {
    const test::FamilyModel files(family);
    const auto model = load_model(files.folder(), DType::bf16);
    TrainConfig config;
    config.learning_rate = files.expected().get("learning_rate").as_double();
    config.weight_decay = files.expected().get("weight_decay").as_double();
    config.max_grad_norm = files.expected().get("max_grad_norm").as_double();
    Trainer trainer(model, files.adapter(model->linears()), config, {});
    const std::vector<double> losses = files.numbers("losses"), norms = files.numbers("grad_norms");
    for (size_t step = 0; step < losses.size(); ++step) {
      const StepResult result = trainer.step(files.batch(static_cast<int64_t>(step)));
      EXPECT_NEAR(result.loss / losses[step], 1, 0.02) << family << " step " << step;
      EXPECT_NEAR(result.grad_norm / norms[step], 1, 0.1) << family << " step " << step;
    }
  }
}

// Only attention grows with the text.
TEST(RecurrentLayers, TheirStateHasOneSize) {
  const test::FamilyModel files("qwen3_5");
  const auto model = load_model(files.folder());
  const std::vector<LayerState> states = model->states();
  ASSERT_EQ(states.size(), 4U);
  EXPECT_EQ(states[2].kind, StateKind::attention);
  for (const size_t k : {0U, 1U, 3U}) {
    EXPECT_EQ(states[k].kind, StateKind::recurrent);
    ASSERT_EQ(states[k].tensors.size(), 2U);
    EXPECT_EQ(states[k].tensors[0].shape, (Shape{3, 2 * 2 * 8 + 6 * 12}));
    EXPECT_EQ(states[k].tensors[1].shape, (Shape{6, 8, 12}));
    EXPECT_EQ(states[k].tensors[1].dtype, DType::f32);
  }
}

}  // namespace
}  // namespace lazuli
