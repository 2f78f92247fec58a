// Checks that the gated delta rule gives the same by chunks as token after token, and its gradients.
#include "nn/delta_rule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "support/cuda_device.h"
#include "support/gradient_check.h"

namespace lazuli {
namespace {

using test::numbers;

struct RuleSizes {
  int64_t batch, key_heads, value_heads, tokens, key, value;
};

/// Keys and queries of length 1, as a layer gives them, and decays from -2 to 0.
DeltaRuleInputs rule_inputs(const RuleSizes& s, DType dtype, bool with_memory) {
  const auto unit = [](const LazyTensor& x) { return x * rsqrt(sum(square(x), {3}, true)); };
  DeltaRuleInputs in;
  in.queries = cast(unit(numbers({s.batch, s.key_heads, s.tokens, s.key}, 1)), dtype);
  in.keys = cast(unit(numbers({s.batch, s.key_heads, s.tokens, s.key}, 2)), dtype);
  in.values = cast(numbers({s.batch, s.value_heads, s.tokens, s.value}, 3), dtype);
  in.decay = cast(numbers({s.batch, s.value_heads, s.tokens}, 4, -2, 0), dtype);
  in.rate = cast(numbers({s.batch, s.value_heads, s.tokens}, 5, 0, 1), dtype);
  if (with_memory) in.memory = cast(numbers({s.batch, s.value_heads, s.key, s.value}, 6), dtype);
  return in;
}

void expect_near(const LazyTensor& a, const LazyTensor& b, double most) {
  ASSERT_EQ(a.shape(), b.shape());
  const auto x = cast(a, DType::f32).eval().to_vector<float>(), y = cast(b, DType::f32).eval().to_vector<float>();
  for (size_t k = 0; k < x.size(); ++k) ASSERT_NEAR(x[k], y[k], most) << k;
}

const RuleSizes kRuleSizes[] = {{1, 1, 1, 2, 4, 3}, {2, 2, 6, 75, 8, 12}, {1, 3, 3, 64, 5, 7}, {1, 2, 4, 200, 16, 16}, {3, 1, 2, 33, 1, 1}};

void expect_chunks_are_tokens(DType dtype, double most) {
  for (const RuleSizes& s : kRuleSizes) {
    for (const bool with_memory : {false, true}) {
      const DeltaRuleInputs in = rule_inputs(s, DType::f64, with_memory);
      const auto cast_in = [&](const LazyTensor& x) { return x.defined() ? LazyTensor::from_tensor(cast(x, dtype).eval()) : x; };
      const DeltaRuleInputs own{cast_in(in.queries), cast_in(in.keys), cast_in(in.values),
                                cast_in(in.decay),   cast_in(in.rate), cast_in(in.memory)};
      const DeltaRuleResult right = gated_delta_rule_by_token(own);
      for (const int64_t chunk : {2, 16, 64}) {
        const DeltaRuleResult made = gated_delta_rule_by_chunk(own, chunk);
        expect_near(made.answers, right.answers, most);
        expect_near(made.memory, right.memory, most);
      }
    }
  }
}

TEST(DeltaRule, ChunksGiveWhatTokensGive) {
  const test::OnDevice reference({DeviceKind::reference, 0});
  expect_chunks_are_tokens(DType::f64, 1e-6);
  expect_chunks_are_tokens(DType::f32, 1e-5);
}

/// The definition, one token and one head at a time, in doubles.
std::vector<double> by_definition(const RuleSizes& s, const DeltaRuleInputs& in) {
  const auto q = in.queries.eval().to_vector<double>(), k = in.keys.eval().to_vector<double>(), v = in.values.eval().to_vector<double>();
  const auto g = in.decay.eval().to_vector<double>(), rate = in.rate.eval().to_vector<double>();
  std::vector<double> memory = in.memory.eval().to_vector<double>(), answers(v.size());
  for (int64_t head = 0; head < s.batch * s.value_heads; ++head) {
    const int64_t of_keys = head / (s.value_heads / s.key_heads);
    double* const m = &memory[static_cast<size_t>(head * s.key * s.value)];
    for (int64_t t = 0; t < s.tokens; ++t) {
      const double* const key = &k[static_cast<size_t>((of_keys * s.tokens + t) * s.key)];
      const double* const query = &q[static_cast<size_t>((of_keys * s.tokens + t) * s.key)];
      const auto at = static_cast<size_t>(head * s.tokens + t);
      for (int64_t i = 0; i < s.key * s.value; ++i) m[i] *= std::exp(g[at]);
      for (int64_t j = 0; j < s.value; ++j) {
        const size_t place = at * static_cast<size_t>(s.value) + static_cast<size_t>(j);
        double known = 0, found = 0;
        for (int64_t i = 0; i < s.key; ++i) known += key[i] * m[i * s.value + j];
        for (int64_t i = 0; i < s.key; ++i) m[i * s.value + j] += key[i] * rate[at] * (v[place] - known);
        for (int64_t i = 0; i < s.key; ++i) found += query[i] * m[i * s.value + j];
        answers[place] = found;
      }
    }
  }
  return answers;
}

TEST(DeltaRule, GivesWhatItsDefinitionSays) {
  const test::OnDevice reference({DeviceKind::reference, 0});
  const RuleSizes s{2, 2, 4, 70, 8, 6};
  const DeltaRuleInputs in = rule_inputs(s, DType::f64, true);
  const std::vector<double> right = by_definition(s, in);
  for (const DeltaRuleResult& made : {gated_delta_rule_by_token(in), gated_delta_rule(in)}) {
    const auto answers = made.answers.eval().to_vector<double>();
    for (size_t k = 0; k < right.size(); ++k) ASSERT_NEAR(answers[k], right[k], 1e-12) << k;
  }
}

TEST(DeltaRule, TokensOfNoRateAndNoDecayChangeNothing) {
  const test::OnDevice reference({DeviceKind::reference, 0});
  const RuleSizes s{1, 1, 2, 90, 4, 4};
  DeltaRuleInputs in = rule_inputs(s, DType::f64, true);
  const LazyTensor real = cast(less(arange(0, s.tokens), LazyTensor::scalar_int(70)), DType::f64);
  in.rate = in.rate * real;
  in.decay = in.decay * real;
  const auto front = [](const LazyTensor& x) { return slice(x, 2, 0, 70); };
  const DeltaRuleInputs first{front(in.queries), front(in.keys), front(in.values), front(in.decay), front(in.rate), in.memory};
  expect_near(gated_delta_rule(in).memory, gated_delta_rule(first).memory, 1e-7);
}

// Powers of the lower part would be as large as 4e17 here.
TEST(DeltaRule, OneKeyRepeatedLosesNothing) {
  RuleSizes s{1, 1, 1, 128, 4, 4};
  DeltaRuleInputs in = rule_inputs(s, DType::f32, false);
  in.queries = in.keys = LazyTensor::full({1, 1, 128, 4}, 0.5);
  in.rate = LazyTensor::ones({1, 1, 128});
  in.decay = LazyTensor::zeros({1, 1, 128});
  // Each value takes the place of the one before.
  expect_near(gated_delta_rule(in).answers, in.values, 1e-5);
}

void expect_chunks_are_tokens_on_device() {
  for (const RuleSizes& s : kRuleSizes) {
    DeltaRuleInputs in;
    {
      const test::OnDevice host({DeviceKind::reference, 0});
      in = rule_inputs(s, DType::f32, true);
      for (LazyTensor* x : {&in.queries, &in.keys, &in.values, &in.decay, &in.rate, &in.memory}) *x = LazyTensor::from_tensor(x->eval());
    }
    const DeltaRuleResult chunks = gated_delta_rule_by_chunk(in, 64), tokens = gated_delta_rule_by_token(in);
    expect_near(chunks.answers, tokens.answers, 1e-5);
    expect_near(chunks.memory, tokens.memory, 1e-5);
  }
}

TEST(DeltaRule, ChunksGiveWhatTokensGiveOnTheCpu) { expect_chunks_are_tokens_on_device(); }

TEST(CudaDeltaRule, ChunksGiveWhatTokensGive) {
  LAZULI_NEEDS_CUDA();
  const test::OnCuda on_cuda;
  expect_chunks_are_tokens_on_device();
}

TEST(DeltaRule, GradientsAreThoseOfFiniteDifferences) {
  const test::OnDevice reference({DeviceKind::reference, 0});
  const RuleSizes s{1, 1, 2, 7, 3, 2};
  const DeltaRuleInputs in = rule_inputs(s, DType::f64, true);
  std::vector<LazyTensor> inputs;
  for (const LazyTensor& x : {in.queries, in.keys, in.values, in.decay, in.rate, in.memory}) {
    inputs.push_back(LazyTensor::from_tensor(x.eval()));
  }
  for (const int64_t chunk : {4, 8}) {
    const Function rule = [chunk](std::span<const LazyTensor> x) {
      const DeltaRuleResult made = gated_delta_rule_by_chunk({x[0], x[1], x[2], x[3], x[4], x[5]}, chunk);
      return std::vector<LazyTensor>{made.answers, made.memory};
    };
    EXPECT_LE(test::gradient_error(rule, inputs), 1e-6) << chunk;
  }
}

TEST(DeltaRule, SizesThatDoNotFitAreRefused) {
  const test::OnDevice reference({DeviceKind::reference, 0});
  DeltaRuleInputs in = rule_inputs({1, 2, 4, 8, 4, 4}, DType::f64, false);
  for (const int64_t chunk : {1, 3, 128}) EXPECT_THROW(gated_delta_rule_by_chunk(in, chunk), ShapeError) << chunk;
  in.values = numbers({1, 3, 8, 4}, 1);
  EXPECT_THROW(gated_delta_rule(in), ShapeError);
}

}  // namespace
}  // namespace lazuli
