// The cases that the project's founding documents name: LoRA, softmax, norms, graph building, and transformer blocks fused equal to naive.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "lazuli/future.h"
#include "lazuli/nn.h"
#include "lazuli/ops.h"
#include "lazuli/optimizer.h"
#include "lazuli/plan_cache.h"
#include "support/cpu_settings.h"

namespace lazuli {
namespace {

Tensor random(const Shape& shape, unsigned seed, float scale = 1) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<float> u(-scale, scale);
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (float& x : v) x = u(rng);
  return Tensor::from_vector(v, shape);
}
LazyTensor lazy(const Shape& shape, unsigned seed, float scale = 1) { return LazyTensor::from_tensor(random(shape, seed, scale)); }

void expect_close(const Tensor& a, const Tensor& b, double tolerance) {
  ASSERT_EQ(a.shape(), b.shape());
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], tolerance * std::max(1.0, std::abs(y[i]))) << "element " << i;
}

/// The value of `make()` with all passes, and with none.
template <class F>
void expect_fused_equals_naive(F make, double tolerance) {
  const Tensor fused = make().eval();
  set_optimizer(GraphOptimizer());
  const Tensor naive = make().eval();
  set_optimizer(GraphOptimizer::standard());
  expect_close(fused, naive, tolerance);
}

LazyTensor lora_by_hand(const LazyTensor& x, const LazyTensor& a, const LazyTensor& b, double scale) {
  return matmul(matmul(x, a), b).mul_scalar(scale);
}

TEST(OriginLora, TheFusedOpAndThePatternEqualThreeSteps) {
  struct Case {
    Shape x;
    int64_t rank, out;
  };
  for (const Case& c : {Case{{1, 16}, 4, 16}, Case{{8, 64}, 8, 64}, Case{{4, 32}, 2, 48}, Case{{4, 32}, 4, 48}, Case{{4, 32}, 8, 48},
                        Case{{4, 32}, 16, 48}, Case{{2, 5, 32}, 8, 24}, Case{{1, 512}, 8, 512}}) {
    LazyTensor x = lazy(c.x, 1), a = lazy({c.x.back(), c.rank}, 2), b = lazy({c.rank, c.out}, 3);
    const Tensor steps = (LazyTensor::from_tensor(LazyTensor::from_tensor(matmul(x, a).eval()).matmul(b).eval()) * 2.0).eval();
    expect_close(x.lora_fused(a, b, 2.0).eval(), steps, 1e-5);
    expect_close(lora_by_hand(x, a, b, 2.0).eval(), steps, 1e-5);
  }
}

TEST(OriginLora, TheThreeStepsBecomeOneNode) {
  LazyTensor x = lazy({8, 64}, 1), a = lazy({64, 8}, 2), b = lazy({8, 64}, 3);
  LazyTensor y = lora_by_hand(x, a, b, 2.0);
  EXPECT_EQ(y.graph_size(), 7u);      // three inputs, the scalar, two products, the scaling
  EXPECT_EQ(y.optimized_size(), 5u);  // three inputs, the scalar, one fused op
}

TEST(OriginLora, AChainOfTwoLayersAsyncEqualsSync) {
  auto chain = [] {
    LazyTensor h = lora_by_hand(lazy({4, 64}, 1), lazy({64, 8}, 2), lazy({8, 64}, 3), 0.5);
    return lora_by_hand(h, lazy({64, 8}, 4), lazy({8, 64}, 5), 0.5);
  };
  const Tensor sync = chain().eval();
  const Tensor async = chain().eval_async().get();
  EXPECT_EQ(sync.to_vector<float>(), async.to_vector<float>());
  expect_fused_equals_naive(chain, 1e-5);
}

TEST(OriginLora, TheLayerIsTheSameEagerAndLazy) {
  const LoRALayer layer(random({4, 32}, 2), random({16, 4}, 3), 8);
  const Tensor x = random({5, 32}, 1);
  EXPECT_EQ(layer.forward(x).to_vector<float>(), layer.forward_lazy(LazyTensor::from_tensor(x)).eval().to_vector<float>());
}

TEST(OriginRows, SoftmaxSumsToOneAndRmsNormHasUnitScale) {
  const Tensor p = lazy({3, 10}, 1, 5).softmax(-1).eval();
  for (int r = 0; r < 3; ++r) {
    double s = 0;
    for (int k = 0; k < 10; ++k) s += static_cast<double>(p.data<float>()[static_cast<size_t>(r * 10 + k)]);
    EXPECT_NEAR(s, 1, 1e-6);
  }
  const Tensor y = lazy({2, 64}, 2, 3).rms_norm(LazyTensor::ones({64})).eval();
  double square = 0;
  for (int k = 0; k < 64; ++k)
    square += static_cast<double>(y.data<float>()[static_cast<size_t>(k)] * y.data<float>()[static_cast<size_t>(k)]);
  EXPECT_NEAR(square / 64, 1, 1e-4);
}

TEST(OriginGraph, IsBuiltOrderedInferredAndReused) {
  LazyTensor a = lazy({2, 3}, 1), b = lazy({3, 4}, 2);
  LazyTensor c = a.matmul(b);
  EXPECT_EQ(c.shape(), (Shape{2, 4}));
  EXPECT_FALSE(c.is_ready());
  LazyTensor d = c + c;
  EXPECT_EQ(d.graph_size(), 4u);
  const ComputationGraph g = d.graph();
  const auto order = g.topological_order();
  std::vector<int> position(g.size());
  for (size_t i = 0; i < order.size(); ++i) position[static_cast<size_t>(order[i])] = static_cast<int>(i);
  for (size_t n = 0; n < g.size(); ++n) {
    for (Value v : g.nodes[n].inputs) EXPECT_LT(position[static_cast<size_t>(v.node)], position[n]);
  }
  EXPECT_NO_THROW(g.verify());
  EXPECT_EQ(LazyTensor::zeros({2, 2}).eval().to_vector<float>(), std::vector<float>(4, 0.0f));
  EXPECT_EQ(LazyTensor::ones({2, 2}).eval().to_vector<float>(), std::vector<float>(4, 1.0f));
}

TEST(OriginGraph, AMismatchIsReportedWhenItIsRecorded) {
  try {
    lazy({2, 3}, 1).matmul(lazy({4, 5}, 2));
    FAIL() << "no error";
  } catch (const ShapeError& e) {
    EXPECT_NE(std::string(e.what()).find("[matmul] shapes (2, 3) and (4, 5)"), std::string::npos) << e.what();
  }
  EXPECT_THROW(lazy({2, 3}, 1) + lazy({2, 4}, 2), ShapeError);
}

/// Pre-norm transformer block in primitives: LayerNorm, attention with `heads` heads, GELU feed-forward.
struct Block {
  int64_t hidden, heads;
  LazyTensor ones, zeros, wq, wk, wv, wo, w1, b1, w2, b2;

  Block(int64_t h, int64_t n, unsigned seed)
      : hidden(h),
        heads(n),
        ones(lazy({h}, seed)),
        zeros(lazy({h}, seed + 1, 0.1f)),
        wq(lazy({h, h}, seed + 2, scale())),
        wk(lazy({h, h}, seed + 3, scale())),
        wv(lazy({h, h}, seed + 4, scale())),
        wo(lazy({h, h}, seed + 5, scale())),
        w1(lazy({h, 4 * h}, seed + 6, scale())),
        b1(lazy({4 * h}, seed + 7, 0.1f)),
        w2(lazy({4 * h, h}, seed + 8, scale())),
        b2(lazy({h}, seed + 9, 0.1f)) {}
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(hidden)); }

  LazyTensor split_heads(const LazyTensor& x) const { return x.reshape({x.dim(0), x.dim(1), heads, hidden / heads}).transpose(1, 2); }
  LazyTensor attention(const LazyTensor& x) const {
    LazyTensor q = split_heads(matmul(x, wq)), k = split_heads(matmul(x, wk)), v = split_heads(matmul(x, wv));
    LazyTensor p = (matmul(q, k.transpose(-2, -1)) * (1.0 / std::sqrt(static_cast<double>(hidden / heads)))).softmax(-1);
    return matmul(matmul(p, v).transpose(1, 2).reshape(x.shape()), wo);
  }
  LazyTensor feed_forward(const LazyTensor& x) const { return matmul(gelu(matmul(x, w1) + b1), w2) + b2; }
  LazyTensor operator()(const LazyTensor& x) const {
    LazyTensor h = x + attention(layer_norm(x, ones, zeros));
    return h + feed_forward(layer_norm(h, ones, zeros));
  }
};

TEST(OriginBlock, AttentionFusedEqualsNaive) {
  const Block block(64, 4, 10);
  expect_fused_equals_naive([&] { return block.attention(lazy({2, 16, 64}, 1)); }, 1e-5);
}

TEST(OriginBlock, FeedForwardFusedEqualsNaive) {
  const Block block(64, 4, 10);
  expect_fused_equals_naive([&] { return block.feed_forward(lazy({2, 16, 64}, 1)); }, 1e-5);
  EXPECT_LT(block.feed_forward(lazy({2, 16, 64}, 1)).optimized_size(), block.feed_forward(lazy({2, 16, 64}, 1)).graph_size());
}

TEST(OriginBlock, TransformerBlockOf768With12HeadsFusedEqualsNaive) {
  const Block block(768, 12, 10);
  expect_fused_equals_naive([&] { return block(lazy({1, 16, 768}, 1)); }, 2e-5);
}

TEST(OriginBlock, TwoAndFourLayersFusedEqualNaive) {
  for (int layers : {2, 4}) {
    std::vector<Block> blocks;
    for (int k = 0; k < layers; ++k) blocks.emplace_back(128, 4, static_cast<unsigned>(100 * k));
    expect_fused_equals_naive(
        [&] {
          LazyTensor x = lazy({2, 8, 128}, 1);
          for (const Block& b : blocks) x = b(x);
          return x;
        },
        5e-5);
  }
}

TEST(OriginBlock, AnyNumberOfThreadsGivesTheSameBits) {
  const Block block(256, 4, 10);
  std::vector<float> expected;
  for (int n : {1, 2, 3, 4}) {
    const WithThreads threads(n);
    const auto got = block(lazy({4, 64, 256}, 1)).eval_async().get().to_vector<float>();
    if (n == 1) expected = got;
    EXPECT_EQ(got, expected) << n << " threads";
  }
}

}  // namespace
}  // namespace lazuli
