// Checks that texts in slots get the tokens that the host would choose.
#include "generate/slot_session.h"

#include <gtest/gtest.h>

#include "lazuli/error.h"
#include "lazuli/generate.h"
#include "support/cuda_device.h"
#include "support/tiny_llama.h"
#include "tensor/buffer_pool.h"

namespace lazuli {
namespace {

using test::some_ids;

const std::vector<int32_t> kPrompt = {20, 21, 22, 20, 5, 9, 33, 2, 61};

SamplerOptions with(double temperature, double top_p = 1, int64_t top_k = 0, double min_p = 0, double penalty = 1, int64_t context = 20) {
  SamplerOptions o;
  o.temperature = temperature;
  o.top_p = top_p;
  o.top_k = top_k;
  o.min_p = min_p;
  o.repetition_penalty = penalty;
  o.repetition_context = context;
  return o;
}

const SamplerOptions kSamplers[] = {with(0),
                                    with(0, 1, 0, 0, 1.4),
                                    with(0, 1, 0, 0, 1.4, 3),
                                    with(1),
                                    with(0.6),
                                    with(1, 1, 7),
                                    with(1, 0.8),
                                    with(1, 1, 0, 0.3),
                                    with(1.5, 0.9, 30, 0.02, 1.2),
                                    with(1, 1, 0, 0, 0.7, 1000)};

/// Tokens that the host chooses from logits.
std::vector<int32_t> by_host(SlotSession& session, const SamplerOptions& options, size_t count) {
  Sampler sampler(options);
  std::vector<int32_t> history = kPrompt;
  session.reserve(100, 64);
  const int64_t slot = session.add({}, 1).value();
  session.prefill(slot, kPrompt, false);
  for (size_t k = 0; k < count; ++k) {
    history.push_back(sampler.next(session.logits(slot), history));
    if (k + 1 < count) session.prefill(slot, {&history.back(), 1}, false);
  }
  return {history.begin() + static_cast<std::ptrdiff_t>(kPrompt.size()), history.end()};
}

/// Tokens that the runs choose, `ahead` of them fed before they are read.
std::vector<int32_t> by_runs(SlotSession& session, const SamplerOptions& options, size_t count, size_t ahead) {
  session.reserve(100, 64);
  const int64_t slot = session.add(options, static_cast<int64_t>(kPrompt.size())).value();
  session.prefill(slot, kPrompt, true);
  std::vector<int32_t> tokens{session.read().at(0).token};
  while (tokens.size() < count) {
    while (session.unread() <= ahead && tokens.size() + session.unread() < count) session.step();
    tokens.push_back(session.read().at(0).token);
  }
  return tokens;
}

void expect_tokens_of_the_host(SlotSession& session, uint64_t seeds) {
  for (size_t k = 0; k < std::size(kSamplers); ++k) {
    for (uint64_t seed = 0; seed < seeds; ++seed) {
      SamplerOptions options = kSamplers[k];
      options.seed = seed * 0x123456789ABCDULL;
      const auto wanted = by_host(session, options, 24);
      EXPECT_EQ(by_runs(session, options, 24, 0), wanted) << "rules " << k << " seed " << seed;
      EXPECT_EQ(by_runs(session, options, 24, 1), wanted) << "rules " << k << " seed " << seed << ", fed ahead";
    }
  }
}

TEST(SlotSession, ChoosesTheTokensThatTheHostWould) {
  for (const int64_t slots : {1, 3}) {
    SlotSession session(test::tiny_llama_model(), {}, slots);
    expect_tokens_of_the_host(session, slots == 1 ? 12 : 2);
  }
}

TEST(CudaSlotSession, ChoosesTheTokensThatTheHostWould) {
  LAZULI_NEEDS_CUDA();
  const test::OnCuda on_cuda;
  SlotSession session(test::tiny_llama_model(), {}, 1);
  EXPECT_TRUE(session.runs_ahead());
  expect_tokens_of_the_host(session, 4);
}

TEST(CudaSlotSession, ThousandsOfStepsAheadGiveTheSameTokens) {
  LAZULI_NEEDS_CUDA();
  const test::OnCuda on_cuda;
  SlotSession session(test::tiny_llama_model(), {}, 1);
  const auto wanted = by_runs(session, kSamplers[8], 91, 0);
  for (int k = 0; k < 40; ++k) ASSERT_EQ(by_runs(session, kSamplers[8], 91, 1), wanted) << k;
}

TEST(SlotSession, TokensFedAheadGoWithTheirText) {
  SlotSession session(test::tiny_llama_model(), {}, 1);
  const auto wanted = by_runs(session, {}, 10, 0);
  session.reserve(100, 64);
  const int64_t slot = session.add({}, 1).value();
  session.prefill(slot, kPrompt, true);
  session.read();
  session.step();
  session.step();
  EXPECT_EQ(session.unread(), 2U);
  EXPECT_EQ(session.position(slot), static_cast<int64_t>(kPrompt.size()) + 2);
  session.remove(slot);
  EXPECT_EQ(session.unread(), 0U);
  EXPECT_THROW(session.step(), ValueError);
  EXPECT_EQ(by_runs(session, {}, 10, 1), wanted);
}

TEST(SlotSession, AStepNeedsATokenAndRoom) {
  SlotSession session(test::tiny_llama_model(), {}, 1);
  EXPECT_THROW(session.step(), ValueError);
  session.reserve(1, 300);
  EXPECT_EQ(session.capacity(), 256);
  const int64_t slot = session.add({}, 1).value();
  EXPECT_THROW(session.prefill(slot, some_ids(257), true), ValueError);
  EXPECT_THROW(session.prefill(slot, {}, true), ValueError);
  EXPECT_THROW(session.logits(slot), ValueError);
  session.prefill(slot, some_ids(255), true);
  EXPECT_EQ(session.read().size(), 1U);
  session.step();
  EXPECT_EQ(session.position(slot), session.capacity());
  EXPECT_THROW(session.step(), ValueError);
  EXPECT_EQ(session.read().size(), 1U);
  // A new beginning has no token, with another capacity or the same.
  for (const int64_t positions : {1000, 1000}) {
    session.reserve(positions, 9);
    EXPECT_THROW(session.step(), ValueError);
    session.prefill(session.add({}, 9).value(), kPrompt, true);
    EXPECT_EQ(session.read().size(), 1U);
  }
}

TEST(SlotSession, NewRoomKeepsThePlans) {
  SlotSession session(test::tiny_llama_model(), {}, 1);
  session.reserve(50, 20);
  session.prefill(session.add({}, 1).value(), some_ids(20), false);
  const auto before = session.logits(0);
  const size_t traces = session.traces();
  session.reserve(60, 20);
  session.prefill(session.add({}, 1).value(), some_ids(20), false);
  EXPECT_EQ(session.logits(0), before);
  EXPECT_EQ(session.traces(), traces);
}

void expect_nan_is_told(SlotSession& session) {
  session.reserve(100, 64);
  session.prefill(session.add({}, 1).value(), kPrompt, true);
  EXPECT_EQ(session.read().at(0).token, -1);
  session.step();
  EXPECT_EQ(session.read().at(0).token, -1);
}

TEST(SlotSession, NanInTheLogitsIsNoToken) {
  SlotSession session(test::tiny_llama_model(true), {}, 1);
  expect_nan_is_told(session);
}

TEST(CudaSlotSession, NanInTheLogitsIsNoToken) {
  LAZULI_NEEDS_CUDA();
  const test::OnCuda on_cuda;
  SlotSession session(test::tiny_llama_model(true), {}, 1);
  expect_nan_is_told(session);
  // The device goes on.
  SlotSession whole(test::tiny_llama_model(), {}, 1);
  EXPECT_EQ(by_runs(whole, kSamplers[0], 10, 1).size(), 10U);
}

TEST(SlotSession, ReadsAPromptInPartsWhileOthersGoOn) {
  const auto model = test::tiny_llama_model();
  const std::vector<int32_t> prompt = some_ids(36);
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
  SlotSession alone(model, {}, 3);
  alone.reserve(128, 64);
  const int64_t only = alone.add({}, static_cast<int64_t>(prompt.size())).value();
  alone.prefill(only, prompt, true);
  const std::vector<int32_t> wanted = tokens_of(alone, only, 12);

  SlotSession session(model, {}, 3);
  session.reserve(128, 64);
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

TEST(SlotSession, HasAsManySlotsAsItWasMadeWith) {
  SlotSession session(test::tiny_llama_model(), {}, 2);
  EXPECT_THROW(session.add({}, 1), ValueError);
  session.reserve(128, 8);
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
  SlotSession session(model, {}, 8);
  session.reserve(128, 64);
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

}  // namespace
}  // namespace lazuli
