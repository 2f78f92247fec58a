// Cross entropy of a product whose result nobody else reads takes the product over, and the logits are never in memory whole.
#include <gtest/gtest.h>

#include "conformance/harness.h"
#include "lazuli/memory.h"
#include "lazuli/op.h"
#include "lazuli/ops.h"
#include "lazuli/transforms.h"
#include "passes/test_graph.h"
#include "tensor/buffer_pool.h"

namespace lazuli {
namespace {

constexpr int64_t kIgnored = -100;

struct Parts {
  TestGraph t;
  Value x = t.in({2, 3, 4}), w = t.in({7, 4}), targets = t.in({2, 3}, DType::i32), smoothing = t.full(0.1);
  Value logits() { return t.op(Op::matmul, {x, w}, 0, 1); }
};

TEST(LinearCrossEntropyPattern, TakesTheProductOver) {
  Parts p;
  const auto g = p.t.done({p.t.op(Op::cross_entropy, {p.logits(), p.targets, p.smoothing}, kIgnored)});
  const auto after = optimized(g);
  EXPECT_NE(labelled(after, "LinearCrossEntropy"), nullptr);
  EXPECT_EQ(count(after, Op::matmul), 0);
  expect_equivalent(g, after);
}

TEST(LinearCrossEntropyPattern, LooksThroughAReshape) {
  Parts p;
  const Value rows = p.t.shaped(Op::reshape, p.logits(), {6, 7}), labels = p.t.shaped(Op::reshape, p.targets, {6}, DType::i32);
  const auto g = p.t.done({p.t.op(Op::cross_entropy, {rows, labels, p.smoothing}, kIgnored)});
  const auto after = optimized(g);
  EXPECT_EQ(count(after, Op::linear_cross_entropy), 1);
  expect_equivalent(g, after);
}

TEST(LinearCrossEntropyPattern, LeavesLogitsThatAreReadElsewhere) {
  Parts p;
  OptimizerReport report;
  const Value logits = p.logits();
  const auto after = optimized(p.t.done({p.t.op(Op::cross_entropy, {logits, p.targets, p.smoothing}, kIgnored), logits}), &report);
  EXPECT_EQ(count(after, Op::linear_cross_entropy), 0);
  EXPECT_TRUE(refused(report, "LinearCrossEntropy", "output"));
}

TEST(LinearCrossEntropyPattern, RefusesOtherProducts) {
  TestGraph t;
  OptimizerReport report;
  const Value smoothing = t.full(0), targets = t.in({2, 3}, DType::i32);
  const Value batched = t.op(Op::matmul, {t.in({2, 3, 4}), t.in({2, 4, 7})}), turned = t.op(Op::matmul, {t.in({2, 4, 3}), t.in({4, 7})}, 1);
  const Value split = t.shaped(Op::reshape, t.op(Op::matmul, {t.in({3, 4}), t.in({4, 14})}), {2, 3, 7});
  std::vector<Value> losses;
  for (Value logits : {batched, turned, split}) losses.push_back(t.op(Op::cross_entropy, {logits, targets, smoothing}, kIgnored));
  const auto after = optimized(t.done(losses), &report);
  EXPECT_EQ(count(after, Op::linear_cross_entropy), 0);
  EXPECT_TRUE(refused(report, "LinearCrossEntropy", "batched"));
  EXPECT_TRUE(refused(report, "LinearCrossEntropy", "transposed"));
  EXPECT_TRUE(refused(report, "LinearCrossEntropy", "columns"));
}

Tensor waves(const Shape& shape, float first) {
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  for (size_t k = 0; k < values.size(); ++k) values[k] = std::sin(first + 1.7F * static_cast<float>(k));
  return Tensor::from_vector(values, shape);
}

/// A step on a wide vocabulary: loss and gradient of the states.
struct Step {
  static constexpr int64_t kRows = 200, kSize = 16, kClasses = 60000;
  static constexpr size_t kLogitBytes = static_cast<size_t>(kRows * kClasses) * sizeof(float);

  std::vector<LazyTensor> operator()(std::span<const LazyTensor> args) const {
    const auto loss = [&](std::span<const LazyTensor> x) { return cross_entropy(matmul(x[0], args[1], false, true), args[2]); };
    const ValueAndGrad r = value_and_grad(loss, {0})(args);
    return {r.value, r.grads[0]};
  }
  static std::vector<Tensor> arguments() {
    std::vector<int32_t> targets(kRows);
    for (size_t k = 0; k < targets.size(); ++k) targets[k] = static_cast<int32_t>(k * 299 % kClasses);
    targets[5] = -100;
    return {waves({kRows, kSize}, 0), waves({kClasses, kSize}, 1), Tensor::from_vector(targets, {kRows})};
  }
};

TEST(LinearCrossEntropy, OfAWideVocabularyTakesFarLessThanItsLogits) {
  CompiledFunction step = compile(Step());
  const std::vector<Tensor> args = Step::arguments();
  std::vector<TensorSpec> specs;
  for (const Tensor& t : args) specs.push_back({t.dtype(), t.shape()});
  EXPECT_LT(step.plan(specs).total(), Step::kLogitBytes / 2);
  const size_t before = memory_stats().live_bytes;
  BufferPool::of(Device{}).reset_peak();
  const auto results = step(args);
  EXPECT_LT(memory_stats().peak_bytes - before, Step::kLogitBytes / 2);
}

TEST(LinearCrossEntropy, OfAWideVocabularyGivesWhatItsLogitsGive) {
  const std::vector<Tensor> args = Step::arguments();
  const std::vector<LazyTensor> lazy{LazyTensor::from_tensor(args[0]), LazyTensor::from_tensor(args[1]), LazyTensor::from_tensor(args[2])};
  const auto fused = Step()(lazy);
  // A shift that changes no loss keeps the product and the loss apart.
  const auto loss = [&](std::span<const LazyTensor> x) {
    return cross_entropy(add_scalar(matmul(x[0], lazy[1], false, true), 0.5), lazy[2]);
  };
  const ValueAndGrad plain = value_and_grad(loss, {0})(std::span(lazy).first(1));
  EXPECT_EQ(count(capture(fused), Op::linear_cross_entropy), 1);
  EXPECT_NEAR(fused[0].eval().item(), plain.value.eval().item(), 1e-5);
  EXPECT_EQ(conformance::difference(fused[1].eval(), plain.grads[0].eval(), {8, 4096, 1}), "");
}

TEST(LinearCrossEntropy, TakesLogitsThatAreCapped) {
  const std::vector<LazyTensor> args{LazyTensor::from_tensor(waves({6, 5}, 0)), LazyTensor::from_tensor(waves({9, 5}, 1))};
  const LazyTensor targets = LazyTensor::from_slice<int32_t>({0, 8, 3, -100, 2, 3}, {6}), cap = LazyTensor::full({}, 0.75, DType::f32);
  const auto fused = [&](std::span<const LazyTensor> x) {
    return cross_entropy(mul(tanh(div(matmul(x[0], x[1], false, true), cap)), cap), targets);
  };
  const auto plain = [&](std::span<const LazyTensor> x) {
    return cross_entropy(add_scalar(mul(tanh(div(matmul(x[0], x[1], false, true), cap)), cap), 0.5), targets);
  };
  const ValueAndGrad a = value_and_grad(fused)(args), b = value_and_grad(plain)(args);
  const std::vector<LazyTensor> states{a.value, a.grads[0]};
  EXPECT_EQ(count(capture(states), Op::linear_cross_entropy), 1);
  EXPECT_NEAR(a.value.eval().item(), b.value.eval().item(), 1e-6);
  for (size_t k = 0; k < 2; ++k) EXPECT_EQ(conformance::difference(a.grads[k].eval(), b.grads[k].eval(), {8, 16, 1}), "") << k;
}

TEST(LinearCrossEntropy, GivesTheWeightsGradientToo) {
  const std::vector<LazyTensor> args{LazyTensor::from_tensor(waves({6, 5}, 0)), LazyTensor::from_tensor(waves({9, 5}, 1))};
  const LazyTensor targets = LazyTensor::from_slice<int32_t>({0, 8, 3, -100, 2, 3}, {6});
  const auto fused = [&](std::span<const LazyTensor> x) { return cross_entropy(matmul(x[0], x[1], false, true), targets); };
  const auto plain = [&](std::span<const LazyTensor> x) {
    return cross_entropy(add_scalar(matmul(x[0], x[1], false, true), 0.5), targets);
  };
  const ValueAndGrad a = value_and_grad(fused)(args), b = value_and_grad(plain)(args);
  for (size_t k = 0; k < 2; ++k) EXPECT_EQ(conformance::difference(a.grads[k].eval(), b.grads[k].eval(), {8, 16, 1}), "") << k;
}

}  // namespace
}  // namespace lazuli
