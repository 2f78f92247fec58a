// Checks what the plan cache counts, when it lets plans go, and how it says why a plan was not there.
#include "plan/plan_cache.h"

#include <gtest/gtest.h>

#include <functional>

#include "lazuli/lazy_tensor.h"
#include "lazuli/op.h"
#include "lazuli/ops.h"

namespace lazuli {
namespace {

/// Made without a plan.
LazyTensor ones(const Shape& shape) {
  return LazyTensor::from_tensor(Tensor::from_vector(std::vector<float>(static_cast<size_t>(shape.numel()), 1), shape));
}

/// With an empty cache before and after, and the limits that it begins with.
class PlanCacheTest : public ::testing::Test {
 protected:
  PlanCacheTest() { clear_plan_cache(); }
  ~PlanCacheTest() override {
    set_plan_cache_limits(512, size_t{256} << 20);
    clear_plan_cache();
  }
  /// Of the one plan that `value` needs.
  static size_t bytes_of(const std::function<LazyTensor()>& value) {
    const LazyTensor v = value();
    clear_plan_cache();
    v.eval();
    EXPECT_EQ(plan_cache_stats().entries, 1U);
    return plan_cache_stats().bytes;
  }
};

TEST_F(PlanCacheTest, BytesCountTheOperandsOfAllGraphs) {
  const auto joined = [](size_t parts) { return bytes_of([&] { return concat(std::vector<LazyTensor>(parts, ones({2}))); }); };
  // An operand stands in the graph as it was captured, in the optimised one and in the plan.
  EXPECT_GE(joined(300) - joined(100), 200 * (2 * sizeof(Value) + sizeof(Location)));
}

TEST_F(PlanCacheTest, BytesCountTheNodesAndResultsOfAllGraphs) {
  const auto rows = [](int length) {
    return bytes_of([&] {
      LazyTensor x = ones({2, 3});
      for (int k = 0; k < length; ++k) x = softmax(x, k % 2);
      return x;
    });
  };
  const size_t node = sizeof(GraphNode) + sizeof(Value) + sizeof(TensorSpec), step = sizeof(Step) + 2 * sizeof(Location) + sizeof(Where);
  const size_t taken = rows(60) - rows(20);
  EXPECT_GE(taken, 40 * (2 * node + step));
  EXPECT_LE(taken, 80 * (2 * node + step));
}

TEST_F(PlanCacheTest, TheLeastRecentlyUsedPlanGoesFirst) {
  set_plan_cache_limits(2, size_t{256} << 20);
  const LazyTensor x = ones({3});
  const auto misses_of = [&](LazyTensor (*f)(const LazyTensor&, Where)) {
    const auto before = plan_cache_stats().misses;
    f(x, {}).eval();
    return plan_cache_stats().misses - before;
  };
  EXPECT_EQ(misses_of(exp), 1U);
  EXPECT_EQ(misses_of(sin), 1U);
  EXPECT_EQ(plan_cache_stats().evictions, 0U);
  EXPECT_EQ(misses_of(exp), 0U);
  EXPECT_EQ(misses_of(cos), 1U);
  EXPECT_EQ(plan_cache_stats().evictions, 1U);
  EXPECT_EQ(plan_cache_stats().entries, 2U);
  EXPECT_EQ(misses_of(exp), 0U);
  EXPECT_EQ(misses_of(sin), 1U);
  set_plan_cache_limits(0, size_t{256} << 20);
  EXPECT_EQ(plan_cache_stats().entries, 1U);
  EXPECT_EQ(misses_of(sin), 0U) << "the last one stays";
}

TEST_F(PlanCacheTest, BytesAreALimitToo) {
  const LazyTensor x = ones({3});
  exp(x).eval();
  const size_t one = plan_cache_stats().bytes;
  sin(x).eval();
  const size_t two = plan_cache_stats().bytes;
  EXPECT_GT(two, one);
  set_plan_cache_limits(512, two);
  EXPECT_EQ(plan_cache_stats().entries, 2U);
  set_plan_cache_limits(512, two - 1);
  EXPECT_EQ(plan_cache_stats().entries, 1U);
  EXPECT_EQ(plan_cache_stats().bytes, two - one);
  set_plan_cache_limits(512, 0);
  EXPECT_EQ(plan_cache_stats().entries, 1U);
}

ComputationGraph graph_of(const std::function<void(GraphBuilder&)>& make) {
  GraphBuilder b;
  make(b);
  return b.build();
}

TEST(FirstDifference, IsNamedInWords) {
  const auto row = [](Op op, const Shape& shape, DType dtype, int64_t axis) {
    return graph_of([&](GraphBuilder& b) {
      Attrs attrs;
      attrs.i[0] = axis;
      b.output(b.node(op, {b.input(dtype, shape)}, attrs));
    });
  };
  const ComputationGraph g = row(Op::softmax, {2, 3}, DType::f32, 1);
  EXPECT_EQ(first_difference(g, row(Op::log_softmax, {2, 3}, DType::f32, 1)), "op of node 1: log_softmax, was softmax");
  EXPECT_EQ(first_difference(g, row(Op::softmax, {2, 3}, DType::f32, 0)), "attribute 0 of node 1 (softmax): 0, was 1");
  EXPECT_EQ(first_difference(g, row(Op::softmax, {2, 3}, DType::f16, 1)), "dtype of node 0 (input): f16, was f32");
  EXPECT_EQ(first_difference(g, row(Op::softmax, {2, 3, 1}, DType::f32, 1)), "rank of node 0 (input): 3, was 2");
  EXPECT_EQ(first_difference(g, row(Op::softmax, {2, 4}, DType::f32, 1)), "dimension 1 of node 0 (input): 4, was 3");
  EXPECT_EQ(first_difference(g, g), "strides of an input");
}

TEST(FirstDifference, OfOperandsListsAndOutputs) {
  const auto sum = [](bool turned, bool asked, bool longer) {
    return graph_of([&](GraphBuilder& b) {
      const Value x = b.input(DType::f32, {2}), y = b.input(DType::f32, {2});
      b.output(turned ? b.node(Op::sub, {y, x}) : b.node(Op::sub, {x, y}));
      if (longer) b.node(Op::neg, {x});
      if (asked) b.output(x);
    });
  };
  const ComputationGraph g = sum(false, false, false);
  EXPECT_EQ(first_difference(g, sum(true, false, false)), "operands of node 2 (sub)");
  EXPECT_EQ(first_difference(g, sum(false, true, false)), "which values are asked for");
  EXPECT_EQ(first_difference(g, sum(false, false, true)), "number of nodes: 4, was 3");
  EXPECT_EQ(first_difference(sum(false, false, true), g), "number of nodes: 3, was 4");
  const auto slice = [](int64_t start) {
    return graph_of([&](GraphBuilder& b) {
      Attrs attrs;
      attrs.list = IntList({start, 1});
      const TensorSpec to{DType::f32, {2}};
      b.output(b.node(Op::slice, {b.input(DType::f32, {5})}, attrs, &to));
    });
  };
  EXPECT_EQ(first_difference(slice(0), slice(1)), "list attribute of node 1 (slice)");
}

TEST(RenameDims, ReplacesEveryDimensionAndThoseOfPrograms) {
  GraphBuilder b;
  b.output(b.node(Op::add, {b.input(DType::f32, {2, 3}), b.input(DType::f32, {3, 1, 1})}));
  ComputationGraph g = b.build();
  auto program = std::make_shared<ElementwiseProgram>();
  program->shape = {3, 2, 3};
  g.nodes[2].payload = program;
  const ComputationGraph renamed = rename_dims(g, {2, 3}, std::vector<int64_t>{3, 7});
  EXPECT_EQ(renamed.nodes[0].outputs[0].shape, Shape({3, 7})) << "each dimension once, from what it was";
  EXPECT_EQ(renamed.nodes[1].outputs[0].shape, Shape({7, 1, 1}));
  EXPECT_EQ(renamed.nodes[2].outputs[0].shape, Shape({7, 3, 7}));
  EXPECT_EQ(renamed.nodes[2].program()->shape, Shape({7, 3, 7}));
  EXPECT_EQ(program->shape, Shape({3, 2, 3}));
}

}  // namespace
}  // namespace lazuli
