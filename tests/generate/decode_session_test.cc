// Checks that tokens chosen by the run itself are those that the host would choose, also when they are fed before they are read.
#include "generate/decode_session.h"

#include <gtest/gtest.h>

#include "lazuli/error.h"
#include "support/cuda_device.h"
#include "support/tiny_llama.h"

namespace lazuli {
namespace {

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
std::vector<int32_t> by_host(DecodeSession& session, const SamplerOptions& options, size_t count) {
  Sampler sampler(options);
  std::vector<int32_t> history = kPrompt;
  session.reset(100);
  session.feed(kPrompt);
  for (size_t k = 0; k < count; ++k) {
    history.push_back(sampler.next(session.logits(), history));
    if (k + 1 < count) session.feed({&history.back(), 1});
  }
  return {history.begin() + static_cast<std::ptrdiff_t>(kPrompt.size()), history.end()};
}

/// Tokens that the runs choose, `ahead` of them fed before they are read.
std::vector<int32_t> by_runs(DecodeSession& session, const SamplerOptions& options, size_t count, size_t ahead) {
  session.reset(100, options, static_cast<int64_t>(kPrompt.size()));
  session.feed(kPrompt);
  std::vector<int32_t> tokens;
  while (tokens.size() < count) {
    while (session.unread() <= ahead && tokens.size() + session.unread() < count) session.step();
    tokens.push_back(session.next_token());
  }
  return tokens;
}

TEST(DecodeSession, ChoosesTheTokensThatTheHostWould) {
  const auto model = test::tiny_llama_model();
  DecodeSession session(model, {});
  for (size_t k = 0; k < std::size(kSamplers); ++k) {
    for (uint64_t seed = 0; seed < 12; ++seed) {
      SamplerOptions options = kSamplers[k];
      options.seed = seed * 0x123456789ABCDULL;
      const auto wanted = by_host(session, options, 24);
      EXPECT_EQ(by_runs(session, options, 24, 0), wanted) << "rules " << k << " seed " << seed;
      EXPECT_EQ(by_runs(session, options, 24, 1), wanted) << "rules " << k << " seed " << seed << ", fed ahead";
    }
  }
}

TEST(DecodeSession, TokensFedAheadCanBeDropped) {
  const auto model = test::tiny_llama_model();
  DecodeSession session(model, {});
  session.reset(100);
  session.feed(kPrompt);
  const int64_t prompt = static_cast<int64_t>(kPrompt.size());
  session.step();
  const int32_t first = session.next_token();
  session.step();
  EXPECT_EQ(session.position(), prompt + 2);
  session.drop_unread();
  EXPECT_EQ(session.position(), prompt + 1);
  EXPECT_EQ(session.unread(), 0U);
  EXPECT_THROW(session.step(), ValueError);
  EXPECT_THROW(session.next_token(), ValueError);
  // Going on from there gives what a fresh start gives.
  session.feed(std::vector<int32_t>{7, 8});
  const auto logits = session.logits();
  session.reset(100);
  session.feed(kPrompt);
  session.feed(std::vector<int32_t>{first, 7, 8});
  const auto wanted = session.logits();
  for (size_t k = 0; k < wanted.size(); ++k) EXPECT_NEAR(logits[k], wanted[k], 2e-5);
}

TEST(DecodeSession, AStepNeedsATokenAndRoom) {
  const auto model = test::tiny_llama_model();
  DecodeSession session(model, {});
  EXPECT_THROW(session.step(), ValueError);
  session.reset(1);
  session.feed(std::vector<int32_t>(static_cast<size_t>(session.capacity()) - 1, 3));
  session.step();
  EXPECT_EQ(session.position(), session.capacity());
  EXPECT_THROW(session.step(), ValueError);
  EXPECT_NO_THROW(session.next_token());
  // A new beginning has no token, with another capacity or the same.
  for (const int64_t positions : {1000, 1000}) {
    session.reset(positions);
    EXPECT_THROW(session.step(), ValueError);
    session.feed(kPrompt);
    session.next_token();
  }
}

void expect_nan_is_refused(DecodeSession& session) {
  session.reset(100);
  session.feed(kPrompt);
  session.step();
  try {
    session.next_token();
    ADD_FAILURE() << "a token was chosen from NaN";
  } catch (const ValueError& e) {
    EXPECT_STREQ(e.what(), "[generate] the logits have NaN");
  }
  EXPECT_EQ(session.unread(), 0U);
}

TEST(DecodeSession, NanInTheLogitsIsAnErrorOfTheToken) {
  DecodeSession session(test::tiny_llama_model(true), {});
  expect_nan_is_refused(session);
}

TEST(CudaDecodeSession, ChoosesTheTokensThatTheHostWould) {
  LAZULI_NEEDS_CUDA();
  const test::OnCuda on_cuda;
  DecodeSession session(test::tiny_llama_model(), {});
  EXPECT_TRUE(session.runs_ahead());
  for (size_t k = 0; k < std::size(kSamplers); ++k) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      SamplerOptions options = kSamplers[k];
      options.seed = seed;
      const auto wanted = by_host(session, options, 24);
      EXPECT_EQ(by_runs(session, options, 24, 1), wanted) << "rules " << k << " seed " << seed;
      EXPECT_EQ(by_runs(session, options, 24, 0), wanted) << "rules " << k << " seed " << seed << ", read at once";
    }
  }
}

TEST(CudaDecodeSession, NanInTheLogitsIsAnErrorOfTheToken) {
  LAZULI_NEEDS_CUDA();
  const test::OnCuda on_cuda;
  DecodeSession session(test::tiny_llama_model(true), {});
  expect_nan_is_refused(session);
  // The device goes on.
  DecodeSession whole(test::tiny_llama_model(), {});
  EXPECT_EQ(by_runs(whole, kSamplers[0], 10, 1).size(), 10U);
}

TEST(CudaDecodeSession, ThousandsOfStepsAheadGiveTheSameTokens) {
  LAZULI_NEEDS_CUDA();
  const test::OnCuda on_cuda;
  DecodeSession session(test::tiny_llama_model(), {});
  const auto wanted = by_runs(session, kSamplers[8], 91, 0);
  for (int k = 0; k < 40; ++k) ASSERT_EQ(by_runs(session, kSamplers[8], 91, 1), wanted) << k;
}

}  // namespace
}  // namespace lazuli
