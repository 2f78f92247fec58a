// Checks where elementwise programs end: which values are computed again, and the limits of a program and of siblings.
#include <functional>

#include "lazuli/op.h"
#include "passes/chain_groups.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

/// The programs of an optimised graph, and how many values they write.
struct Written {
  int programs = 0;
  size_t results = 0;
};

Written written(const ComputationGraph& g) {
  const auto after = optimized(g);
  Written w;
  for (const GraphNode& n : after.nodes) {
    if (n.op != Op::fused_elementwise) continue;
    ++w.programs;
    w.results += n.outputs.size();
  }
  expect_equivalent(g, after);
  return w;
}

TEST(ChainLimits, AValueThatSeveralChainsReadIsComputedAgainInEachOfThem) {
  for (int readers = 1; readers <= 4; ++readers) {
    TestGraph t;
    Value x = t.in({3, 3}, DType::bf16);
    Value wide = t.cast(x, DType::f32);
    Value last = t.op(Op::exp, {t.op(Op::neg, {wide})});
    std::vector<Value> outputs;
    for (int k = 0; k < readers; ++k) {
      last = t.op(Op::sin, {t.op(Op::mul, {t.op(Op::softmax, {t.op(Op::matmul, {last, last})}, 1), wide})});
    }
    const Written w = written(t.done({last}));
    EXPECT_EQ(w.programs, 1 + readers);
    EXPECT_EQ(w.results, static_cast<size_t>(w.programs)) << "the cast is not written";
  }
}

/// exp(sin(v)) makes a program that may have to write v, which a later one reads; `also`: the later one reads x, too.
Written read_later(TestGraph& t, Value v, Value x, bool also, std::vector<Value> outputs = {}) {
  Value first = t.op(Op::exp, {t.op(Op::sin, {v})});
  Value product = t.op(Op::softmax, {t.op(Op::matmul, {first, first})}, 1);
  Value later = t.op(Op::mul, {product, v});
  outputs.push_back(t.op(Op::sin, {also ? t.op(Op::maximum, {later, x}) : later}));
  return written(t.done(outputs));
}

TEST(ChainLimits, OnlyWhatIsCheapAndReadsOneOperandIsComputedAgain) {
  const auto results = [](const std::function<Value(TestGraph&, Value)>& value, bool also) {
    TestGraph t;
    const Value x = t.in({3, 3});
    return read_later(t, value(t, x), x, also).results;
  };
  for (const Op op : {Op::neg, Op::abs, Op::square, Op::relu}) {
    EXPECT_EQ(results([&](TestGraph& t, Value x) { return t.op(op, {x}); }, false), 2U) << name_of(op);
  }
  for (const Op op : {Op::add, Op::sub, Op::mul}) {
    EXPECT_EQ(results([&](TestGraph& t, Value x) { return t.op(op, {x, t.scalar()}); }, false), 2U) << name_of(op);
    EXPECT_EQ(results([&](TestGraph& t, Value x) { return t.op(op, {x, t.in({3, 3})}); }, false), 3U) << name_of(op);
    EXPECT_EQ(results([&](TestGraph& t, Value x) { return t.op(op, {x, t.in({3, 3})}); }, true), 3U) << name_of(op);
  }
  for (const Op op : {Op::tanh, Op::sigmoid, Op::sqrt}) {
    EXPECT_EQ(results([&](TestGraph& t, Value x) { return t.op(op, {x}); }, false), 3U) << name_of(op);
    EXPECT_EQ(results([&](TestGraph& t, Value x) { return t.op(op, {x}); }, true), 2U) << "what it takes is read in any case";
  }
  EXPECT_EQ(results([](TestGraph& t, Value x) { return t.op(Op::square, {t.op(Op::tanh, {x})}); }, false), 3U)
      << "its operand is not in memory";
}

TEST(ChainLimits, WhatAnotherReaderNeedsInMemoryIsNotComputedAgain) {
  TestGraph t;
  const Value x = t.in({3, 3}), v = t.op(Op::square, {x});
  EXPECT_EQ(read_later(t, v, x, true, {v}).results, 3U) << "an output of the graph";
  TestGraph u;
  const Value y = u.in({3, 3}), w = u.op(Op::square, {y});
  EXPECT_EQ(read_later(u, w, y, true, {u.op(Op::softmax, {w}, 0)}).results, 3U) << "a softmax";
}

TEST(ChainLimits, AWiderSourceIsNotReadInsteadOfItsCast) {
  TestGraph t;
  const Value x = t.in({3, 3}), narrow = t.cast(x, DType::bf16);
  Value first = t.op(Op::exp, {t.op(Op::neg, {narrow})});
  Value product = t.op(Op::softmax, {t.op(Op::matmul, {first, first})}, 1);
  const Value later = t.op(Op::sin, {t.op(Op::mul, {product, narrow})});
  const auto after = optimized(t.done({later}));
  EXPECT_EQ(count(after, Op::cast), 1);
}

/// `length` steps of one operand.
Value steps(TestGraph& t, Value x, size_t length) {
  for (size_t k = 0; k < length; ++k) x = t.op(k % 2 == 0 ? Op::sin : Op::cos, {x});
  return x;
}

TEST(ChainLimits, AProgramIsCutBeyondItsLimits) {
  const auto programs = [](size_t instructions, size_t operands, size_t results) {
    TestGraph t;
    Value y = t.in({2, 3});
    std::vector<Value> outputs;
    for (size_t k = 1; k < operands; ++k) y = t.op(Op::add, {y, t.in({2, 3})});
    y = steps(t, y, instructions + 1 - operands - (results - 1));
    for (size_t k = 1; k < results; ++k) {
      outputs.push_back(y);
      y = t.op(Op::sin, {y});
    }
    outputs.push_back(y);
    return written(t.done(outputs)).programs;
  };
  EXPECT_EQ(programs(kMaxInstructions, 1, 1), 1);
  EXPECT_EQ(programs(kMaxInstructions + 2, 1, 1), 2);
  EXPECT_EQ(programs(40, kMaxOperands, 1), 1);
  EXPECT_EQ(programs(40, kMaxOperands + 1, 1), 2);
  EXPECT_EQ(programs(40, 1, kMaxOutputs), 1);
  EXPECT_EQ(programs(40, 1, kMaxOutputs + 2), 2);
}

TEST(ChainLimits, SiblingsThatAreTooLargeTogetherStayApart) {
  const auto programs = [](size_t first, size_t second, size_t results_of_first, size_t operands) {
    TestGraph t;
    const Value x = t.in({2, 3});
    std::vector<Value> outputs;
    Value a = steps(t, x, first - results_of_first + 1);
    for (size_t k = 0; k < results_of_first; ++k) {
      outputs.push_back(a);
      if (k + 1 < results_of_first) a = t.op(Op::sin, {a});
    }
    Value b = t.op(Op::abs, {x});
    for (size_t k = 1; k < operands; ++k) b = t.op(Op::add, {b, t.in({2, 3})});
    outputs.push_back(steps(t, b, second - operands));
    return written(t.done(outputs)).programs;
  };
  EXPECT_EQ(programs(24, 24, 1, 1), 1);
  EXPECT_EQ(programs(24, 25, 1, 1), 2);
  EXPECT_EQ(programs(20, 20, kMaxOutputs - 1, 1), 1);
  EXPECT_EQ(programs(20, 20, kMaxOutputs, 1), 2);
  EXPECT_EQ(programs(20, 25, 1, kMaxOperands), 1) << "they share one operand";
}

TEST(ChainLimits, AProgramWithOneResultStaysWhereItsLastStepWas) {
  TestGraph t;
  const Value x = t.in({2, 3}), y = t.op(Op::exp, {t.op(Op::neg, {x})});
  const Value later = t.op(Op::softmax, {t.in({2, 3})}, 1);
  const auto g = t.done({y, later});
  const auto after = optimized(g);
  ASSERT_EQ(count(after, Op::fused_elementwise), 1);
  EXPECT_LT(after.outputs[0].node, after.outputs[1].node);
  expect_equivalent(g, after);
}

}  // namespace
}  // namespace lazuli
