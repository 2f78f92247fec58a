// Composites are found in primitives before differentiation, so that their own derivative rules apply.
#include <gtest/gtest.h>

#include "conformance/harness.h"
#include "lazuli/op.h"
#include "lazuli/ops.h"
#include "lazuli/transforms.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

LazyTensor data(const Shape& shape, float first) {
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  for (size_t k = 0; k < values.size(); ++k) values[k] = std::sin(first + 1.7F * static_cast<float>(k));
  return LazyTensor::from_tensor(Tensor::from_vector(values, shape));
}

void expect_same_gradients(const ScalarFunction& primitives, const ScalarFunction& composite, const std::vector<LazyTensor>& args,
                           Op expected) {
  ValueAndGrad a = value_and_grad(primitives)(args);
  ValueAndGrad b = value_and_grad(composite)(args);
  ComputationGraph g = capture(a.grads);
  EXPECT_GT(count(g, expected), 0) << g.to_text();
  EXPECT_EQ(conformance::difference(a.value.eval(), b.value.eval(), {}), "");
  for (size_t k = 0; k < args.size(); ++k) {
    EXPECT_EQ(conformance::difference(a.grads[k].eval(), b.grads[k].eval(), {8, 8, 1}), "") << "argument " << k;
  }
}

TEST(Differentiation, OfAttentionInPrimitives) {
  std::vector<LazyTensor> args{data({2, 3, 4}, 0), data({2, 5, 4}, 1), data({2, 5, 4}, 2)};
  auto primitives = [](std::span<const LazyTensor> x) { return sum(square(softmax(x[0].matmul(transpose(x[1])) * 0.5, -1).matmul(x[2]))); };
  auto composite = [](std::span<const LazyTensor> x) {
    auto heads = [](const LazyTensor& t) { return unsqueeze(t, 1); };
    return sum(square(scaled_dot_product_attention(heads(x[0]), heads(x[1]), heads(x[2]), 0.5)));
  };
  expect_same_gradients(primitives, composite, args, Op::sdpa_backward);
}

TEST(Differentiation, OfRmsNormInPrimitives) {
  std::vector<LazyTensor> args{data({3, 8}, 0), data({8}, 1)};
  auto primitives = [](std::span<const LazyTensor> x) { return sum(square(x[0] * rsqrt(mean(square(x[0]), {-1}, true) + 1e-5) * x[1])); };
  auto composite = [](std::span<const LazyTensor> x) { return sum(square(rms_norm(x[0], x[1], 1e-5))); };
  expect_same_gradients(primitives, composite, args, Op::rms_norm_backward);
}

TEST(Differentiation, OfLayerNormInPrimitives) {
  std::vector<LazyTensor> args{data({3, 8}, 0), data({8}, 1), data({8}, 2)};
  auto primitives = [](std::span<const LazyTensor> x) {
    LazyTensor d = x[0] - mean(x[0], {-1}, true);
    return sum(square(d / sqrt(mean(square(d), {-1}, true) + 1e-5) * x[1] + x[2]));
  };
  auto composite = [](std::span<const LazyTensor> x) { return sum(square(layer_norm(x[0], x[1], x[2], 1e-5))); };
  expect_same_gradients(primitives, composite, args, Op::layer_norm_backward);
}

TEST(Differentiation, OfCrossEntropyInPrimitives) {
  LazyTensor targets = LazyTensor::from_slice<int32_t>({1, 0, 4}, {3});
  std::vector<LazyTensor> args{data({3, 5}, 0)};
  auto primitives = [&](std::span<const LazyTensor> x) { return mean(-take_along(log_softmax(x[0], -1), reshape(targets, {3, 1}), -1)); };
  auto composite = [&](std::span<const LazyTensor> x) { return cross_entropy(x[0], targets); };
  expect_same_gradients(primitives, composite, args, Op::cross_entropy_backward);
}

TEST(Differentiation, OfLoraInPrimitives) {
  std::vector<LazyTensor> args{data({3, 6}, 0), data({6, 2}, 1), data({2, 4}, 2)};
  auto primitives = [](std::span<const LazyTensor> x) { return sum(square(x[0].matmul(x[1]).matmul(x[2]) * 0.5)); };
  auto composite = [](std::span<const LazyTensor> x) { return sum(square(x[0].lora_fused(x[1], x[2], 0.5))); };
  expect_same_gradients(primitives, composite, args, Op::lora_fused);
}

}  // namespace
}  // namespace lazuli
