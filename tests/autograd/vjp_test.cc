// Checks vjp, grad, checkpoint and replay beyond single ops.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "autograd/definitions.h"
#include "autograd/replay.h"
#include "lazuli/error.h"
#include "lazuli/op.h"
#include "support/gradient_check.h"

namespace lazuli {
namespace {

using test::numbers;
using ::testing::Each;
using ::testing::ElementsAre;
using X = std::span<const LazyTensor>;
using Y = std::vector<LazyTensor>;

class Vjp : public ::testing::Test {
 private:
  test::OnDevice device_{Device{DeviceKind::reference, 0}};
};

std::vector<double> values(const LazyTensor& x) { return x.eval().to_vector<double>(); }
LazyTensor row(std::initializer_list<double> v) { return LazyTensor::from_slice<double>(v, {static_cast<int64_t>(v.size())}); }
LazyTensor gradient(const LazyTensor& y, const LazyTensor& x) {
  const LazyTensor one = LazyTensor::ones(y.shape(), y.dtype());
  return vjp({&y, 1}, {&x, 1}, {&one, 1})[0];
}

TEST_F(Vjp, UsesOfOneValueAddUp) {
  const LazyTensor x = row({1, 2});
  EXPECT_THAT(values(gradient(x * x + x * 3.0, x)), ElementsAre(5, 7));
}

TEST_F(Vjp, AGradientThroughPagesIsRefusedByName) {
  const LazyTensor q = numbers({1, 2, 1, 4}, 1), pool = numbers({2, 1, 64, 4}, 2), blocks = LazyTensor::from_slice<int32_t>({1}, {1, 1});
  const LazyTensor token = numbers({1, 1, 1, 4}, 3);
  const auto refuses = [](const std::function<void()>& f, const char* text) {
    try {
      f();
      ADD_FAILURE() << "there is a gradient where none is expected";
    } catch (const GraphError& e) {
      EXPECT_STREQ(e.what(), text);
    }
  };
  const LazyTensor seen = scaled_dot_product_attention(q, pool, pool, 0.5, {.blocks = blocks});
  for (const LazyTensor& x : {q, pool}) refuses([&] { gradient(seen, x); }, "[sdpa] there is no gradient through keys in pages");
  const LazyTensor stored = page_update(pool, token, blocks, LazyTensor::scalar_int(3));
  for (const LazyTensor& x : {pool, token}) refuses([&] { gradient(stored, x); }, "[page_update] there is no gradient through it");
  EXPECT_THAT(values(gradient(sum(token) * stop_gradient(sum(stored)), numbers({2}, 4))), ElementsAre(0, 0));
}

TEST_F(Vjp, AnInputThatIsNotReachedHasZeros) {
  const LazyTensor x = row({1, 2}), other = row({1, 2, 3});
  EXPECT_THAT(values(gradient(square(x), other)), ElementsAre(0, 0, 0));
  EXPECT_THAT(values(gradient(stop_gradient(x) * x, x)), ElementsAre(1, 2));
  EXPECT_THAT(values(gradient(cast(argmax(x), DType::f64) * sum(x), x)), ElementsAre(1, 1));
}

TEST_F(Vjp, AnInputMayBeAnIntermediateOfAnother) {
  const LazyTensor x = row({1, 2}), h = square(x), y = h * x;
  const LazyTensor inputs[] = {x, h}, one = LazyTensor::ones({2}, DType::f64);
  const auto grads = vjp({&y, 1}, inputs, {&one, 1});
  EXPECT_THAT(values(grads[0]), ElementsAre(3, 12));
  EXPECT_THAT(values(grads[1]), ElementsAre(1, 2));
}

TEST_F(Vjp, TiesShareTheGradient) {
  const LazyTensor x = row({2, 1, 2});
  EXPECT_THAT(values(gradient(max(x), x)), ElementsAre(0.5, 0, 0.5));
  EXPECT_THAT(values(gradient(maximum(x, row({2, 2, 2})), x)), ElementsAre(0.5, 0, 0.5));
}

TEST_F(Vjp, SlopesAtEdgesAreFinite) {
  const LazyTensor zero = row({0, 0});
  EXPECT_THAT(values(gradient(pow(zero, row({2, 1})), zero)), ElementsAre(0, 1));
  const LazyTensor exponent = row({2, 3});
  EXPECT_THAT(values(gradient(pow(zero, exponent), exponent)), ElementsAre(0, 0));
  const LazyTensor hidden = LazyTensor::full({2}, -std::numeric_limits<double>::infinity(), DType::f64);
  EXPECT_THAT(values(gradient(logsumexp(hidden), hidden)), ElementsAre(0, 0));
}

TEST_F(Vjp, OrdersBeyondTheSecond) {
  const LazyTensor x = row({0.5});
  LazyTensor y = sin(x);
  for (int k = 0; k < 4; ++k) y = gradient(y, x);
  EXPECT_NEAR(values(y)[0], std::sin(0.5), 1e-15);
}

TEST_F(Vjp, AMillionOpsNeedNoStack) {
  const LazyTensor x = LazyTensor::scalar(1, DType::f64);
  LazyTensor y = x;
  for (int k = 0; k < 1'000'000; ++k) y = neg(y);
  const LazyTensor g = gradient(y, x);
  EXPECT_GE(g.graph_size(), 1'000'000u);
}

TEST_F(Vjp, CotangentsMustFit) {
  const LazyTensor x = row({1, 2}), y = square(x), narrow = row({1});
  EXPECT_THROW(vjp({&y, 1}, {&x, 1}, {}), ValueError);
  EXPECT_THROW(vjp({&y, 1}, {&x, 1}, {&narrow, 1}), ShapeError);
}

TEST_F(Vjp, GradIsOfTheArgumentAndNotOfOtherUses) {
  const LazyTensor x = row({1, 2});
  const auto g = grad([x](X a) { return sum(a[0] * x); });
  EXPECT_THAT(values(g({&x, 1})[0]), ElementsAre(1, 2));
  const LazyTensor both[] = {x, x};
  const auto second = grad([](X a) { return sum(square(a[0]) * a[1]); }, {1});
  EXPECT_THAT(values(second(both)[0]), ElementsAre(1, 4));
}

TEST_F(Vjp, ValueAndGradChecksItsArguments) {
  const LazyTensor x = row({1, 2}), n = arange(0, 2);
  const auto f = [](X a) { return sum(a[0]); };
  EXPECT_THROW(value_and_grad(f, {1})({&x, 1}), ValueError);
  EXPECT_THROW(value_and_grad(f, {0, -1})({&x, 1}), ValueError);
  EXPECT_THROW(value_and_grad(f, {0})({&n, 1}), DTypeError);
  EXPECT_THROW(value_and_grad([](X a) { return a[0]; })({&x, 1}), ShapeError);
  EXPECT_EQ(value_and_grad(f)({&x, 1}).value.eval().item(), 3);
}

TEST_F(Vjp, GradOfGrad) {
  const LazyTensor x = row({1, 2});
  const auto inner = grad([](X a) { return sum(a[0] * square(a[0])); });
  const auto outer = grad([inner](X a) { return sum(inner(a)[0]); });
  EXPECT_THAT(values(outer({&x, 1})[0]), ElementsAre(6, 12));
}

TEST_F(Vjp, CheckpointGivesTheSameAndComputesAgain) {
  const LazyTensor x = numbers({2, 3}, 1), w = numbers({3, 3}, 2);
  int runs = 0;
  const auto block = [w, &runs](X a) {
    ++runs;
    return Y{tanh(matmul(a[0], w)) + a[0]};
  };
  const auto kept = checkpoint(block);
  const auto net = [](const Function& f, const LazyTensor& in) {
    const LazyTensor h = f({&in, 1})[0];
    return sum(square(f({&h, 1})[0]));
  };
  const LazyTensor plain = net(block, x);
  EXPECT_EQ(runs, 2);
  const LazyTensor again = net(kept, x);
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(again.eval().item(), plain.eval().item());
  for (const LazyTensor& to : {x, w}) EXPECT_EQ(values(gradient(net(kept, x), to)), values(gradient(net(block, x), to)));
  EXPECT_EQ(runs, 4 + 2 * (2 + 2 + 2));
}

TEST_F(Vjp, CheckpointedFunctionsNest) {
  const LazyTensor x = row({0.3, 0.7});
  const auto inner = checkpoint([](X a) { return Y{sin(a[0])}; });
  const auto outer = checkpoint([inner](X a) { return Y{square(inner(a)[0])}; });
  const auto found = values(gradient(outer({&x, 1})[0], x));
  for (size_t k = 0; k < 2; ++k) EXPECT_NEAR(found[k], std::sin(2 * values(x)[k]), 1e-15);
}

TEST_F(Vjp, DefinitionsGiveWhatTheOpsGive) {
  const LazyTensor x = numbers({2, 4}, 1), w = numbers({4}, 2), b = numbers({4}, 3), eps = LazyTensor::full({}, 1e-2, DType::f64);
  const LazyTensor labels = LazyTensor::from_slice<int32_t>({1, -100}, {2}), tables = numbers({5, 2}, 4);
  Attrs ignore;
  ignore.i[0] = -100;
  struct Case {
    Op op;
    Attrs attrs;
    Y inputs;
  };
  const Case cases[] = {
      {Op::rms_norm, {}, {x, w, eps}},
      {Op::rms_norm_backward, {}, {x, w, square(x), eps}},
      {Op::layer_norm, {}, {x, w, b, eps}},
      {Op::layer_norm_backward, {}, {x, w, square(x), eps}},
      {Op::cross_entropy, ignore, {x, labels, eps}},
      {Op::rope, {}, {x, tables, square(tables), LazyTensor::scalar_int(2)}},
      {Op::rope, {}, {reshape(x, {2, 1, 4}), tables, square(tables), LazyTensor::from_slice<int32_t>({4, 1}, {2})}},
      {Op::rope, {}, {numbers({2, 3, 2, 5}, 5), tables, square(tables), LazyTensor::from_slice<int32_t>({0, 3}, {2})}},
      {Op::sdpa, {}, {reshape(x, {1, 2, 1, 4}), numbers({1, 1, 3, 4}, 5), numbers({1, 1, 3, 2}, 6), eps, LazyTensor::scalar_int(2)}},
  };
  for (const Case& c : cases) {
    const auto kernel = record_all(c.op, c.inputs, c.attrs), defined = autograd::define(c.op, {c.attrs, c.inputs});
    ASSERT_EQ(kernel.size(), defined.size());
    for (size_t k = 0; k < kernel.size(); ++k) {
      const auto expected = values(kernel[k]), found = values(defined[k]);
      for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-12) << name_of(c.op);
    }
  }
}

TEST_F(Vjp, ReplayRecordsTheSameGraphOnOtherLeaves) {
  const LazyTensor x = row({3, 1, 2}), s = LazyTensor::scalar(2, DType::f64);
  const auto sorted = sort(x);
  const Y outputs{sorted.values * s, sum(x), cast(sorted.indices, DType::f64)};
  const autograd::Snapshot found = autograd::snapshot(outputs, {});
  found.graph.verify();
  ASSERT_EQ(found.inputs.size(), 1u);
  ASSERT_EQ(found.scalars.size(), 1u);
  const LazyTensor other = row({6, 5, 4});
  const auto again = autograd::replay(found.graph, {&other, 1}, found.scalars);
  EXPECT_THAT(values(again[0]), ElementsAre(8, 10, 12));
  EXPECT_THAT(values(again[1]), ElementsAre(15));
  EXPECT_THAT(values(again[2]), ElementsAre(2, 1, 0));
}

}  // namespace
}  // namespace lazuli
