#include "lazuli/op.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

// Rows of a sum keep elementwise nodes apart, so that counts of them stay visible.
ComputationGraph cse_only(const ComputationGraph& g) {
  GraphOptimizer o = verified();
  for (const char* name : {"canonicalise", "fold", "recognise", "epilogues", "chains"}) o.enable(name, false);
  ComputationGraph result = g;
  o.run(result);
  return result;
}

TEST(Cse, EqualNodesBecomeOne) {
  TestGraph t;
  Value x = t.in({2, 3});
  Value y = t.op(Op::add, {t.op(Op::exp, {x}), t.op(Op::sin, {t.op(Op::exp, {x})})});
  auto g = t.done({y});
  auto after = cse_only(g);
  EXPECT_EQ(count(after, Op::exp), 1);
  expect_equivalent(g, after);
}

TEST(Cse, OperandsThatCommuteMayBeSwapped) {
  TestGraph t;
  Value x = t.in({2}), y = t.in({2});
  auto after = cse_only(t.done({t.op(Op::add, {x, y}), t.op(Op::add, {y, x}), t.op(Op::sub, {x, y}), t.op(Op::sub, {y, x})}));
  EXPECT_EQ(count(after, Op::add), 1);
  EXPECT_EQ(count(after, Op::sub), 2);
}

TEST(Cse, AttributesTellNodesApart) {
  TestGraph t;
  Value x = t.in({3, 3});
  auto after = cse_only(t.done({t.op(Op::softmax, {x}, 0), t.op(Op::softmax, {x}, 1), t.op(Op::softmax, {x}, 1)}));
  EXPECT_EQ(count(after, Op::softmax), 2);
}

TEST(Cse, RequestedShapesTellNodesApart) {
  TestGraph t;
  Value x = t.in({6});
  auto after = cse_only(t.done({t.shaped(Op::reshape, x, {2, 3}), t.shaped(Op::reshape, x, {3, 2}), t.full(1, {2}), t.full(1, {3})}));
  EXPECT_EQ(count(after, Op::reshape), 2);
  EXPECT_EQ(count(after, Op::full), 2);
}

TEST(Cse, ScalarsMergeOnlyWithTheSameIndex) {
  TestGraph t;
  Value x = t.in({2});
  Value a = t.scalar(), b = t.scalar();
  auto after = cse_only(t.done({t.op(Op::mul, {x, a}), t.op(Op::mul, {x, b})}));
  EXPECT_EQ(count(after, Op::mul), 2);
  EXPECT_EQ(count(after, Op::scalar), 2);
}

TEST(Cse, DrawsMergeOnlyWithTheSameSeed) {
  TestGraph t;
  Value a = t.scalar(DType::i64), b = t.scalar(DType::i64);
  auto draw = [&](Value seed) { return t.shaped(Op::random_uniform, seed, {4}); };
  auto after = cse_only(t.done({draw(a), draw(a), draw(b)}));
  EXPECT_EQ(count(after, Op::random_uniform), 2);
}

TEST(Cse, BarriersAndCopiesNeverMerge) {
  TestGraph t;
  Value x = t.in({2}), y = t.in({2});
  auto after = cse_only(t.done(
      {t.op(Op::exp, {t.op(Op::barrier, {x, y})}), t.op(Op::exp, {t.op(Op::barrier, {x, y})}), t.op(Op::copy, {x}), t.op(Op::copy, {x})}));
  EXPECT_EQ(count(after, Op::barrier), 2);
  EXPECT_EQ(count(after, Op::exp), 2);
  EXPECT_EQ(count(after, Op::copy), 2);
}

TEST(Cse, ConstantsMergeByTheirData) {
  TestGraph t;
  Tensor c = Tensor::from_vector<float>({1, 2}, {2});
  Tensor d = Tensor::from_vector<float>({1, 2}, {2});
  Value a = t.constant(c), b = t.constant(c), e = t.constant(d);
  auto after = cse_only(t.done({t.op(Op::exp, {a}), t.op(Op::exp, {b}), t.op(Op::exp, {e})}));
  EXPECT_EQ(count(after, Op::constant), 2);
}

TEST(Cse, ConstantsThatAreViewsOfEachOtherStayApart) {
  const Tensor whole = Tensor::from_vector<float>({1, 2, 3, 4, 5, 6}, {6});
  const Tensor square = Tensor::from_vector<float>({1, 2, 3, 4}, {2, 2});
  const auto view = [](const Tensor& of, const Shape& shape, const Strides& strides, size_t start) {
    return Tensor(of.dtype(), shape, strides, of.buffer(), of.offset_bytes() + start * sizeof(float));
  };
  const std::vector<std::pair<Tensor, Tensor>> pairs = {
      {view(whole, {3}, {1}, 0), view(whole, {3}, {1}, 3)},  // another start
      {view(whole, {3}, {1}, 0), view(whole, {3}, {2}, 0)},  // other steps
      {square, view(square, {2, 2}, {1, 2}, 0)},             // transposed
      {whole, whole.reshape({2, 3})},
  };
  for (const auto& [first, second] : pairs) {
    TestGraph t;
    Value a = t.constant(first), b = t.constant(second), again = t.constant(first);
    auto g = t.done({t.op(Op::exp, {a}), t.op(Op::exp, {b}), t.op(Op::exp, {again})});
    auto after = cse_only(g);
    EXPECT_EQ(count(after, Op::constant), 2) << to_string(first.shape()) << " " << to_string(second.shape());
    expect_equivalent(g, after);
  }
}

}  // namespace
}  // namespace lazuli
