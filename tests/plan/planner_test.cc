// Checks which memory a plan's results take, and in which order small steps run.
#include <gtest/gtest.h>

#include "lazuli/graph.h"
#include "lazuli/op.h"
#include "plan/plan.h"

namespace lazuli {
namespace {

/// An input that its owner gave up.
Value donated(GraphBuilder& b, int64_t index, const Shape& shape) {
  const TensorSpec spec{DType::f32, shape};
  Attrs attrs;
  attrs.i = {index, 1, 0, 0};
  return b.node(Op::input, {}, attrs, &spec);
}

TEST(Planner, AResultTakesTheMemoryOfADonatedInputThroughAllSteps) {
  for (int64_t steps = 1; steps <= 3; ++steps) {
    GraphBuilder b;
    const Value other = donated(b, 1, {8}), x = donated(b, 0, {4});
    Value y = x, z = other;
    for (int64_t k = 0; k < steps; ++k) {
      y = b.node(Op::neg, {y});
      z = b.node(Op::neg, {z});
    }
    b.output(y);
    b.output(z);
    const Plan plan = make_plan(b.build(), {}, {});
    ASSERT_EQ(plan.buffers.size(), 2U);
    EXPECT_EQ(plan.buffers[0].donor, 0) << steps;
    EXPECT_EQ(plan.buffers[1].donor, 1) << steps;
    EXPECT_EQ(plan.workspace_bytes, 0U) << steps;
  }
}

TEST(Planner, ADonatedInputGivesItsMemoryToItsLastReaderAlone) {
  GraphBuilder b;
  const Value x = donated(b, 0, {4}), first = b.node(Op::neg, {x}), second = b.node(Op::tanh, {x});
  b.output(first);
  b.output(second);
  const Plan plan = make_plan(b.build(), {}, {});
  ASSERT_EQ(plan.buffers.size(), 2U);
  int taken = 0;
  for (const OutputBuffer& buffer : plan.buffers) taken += buffer.donor == 0 ? 1 : 0;
  // Both may run side by side; then neither may write where the other reads.
  EXPECT_LE(taken, 1);
  if (plan.waves.size() == 1) {
    EXPECT_EQ(taken, 0);
  }
}

TEST(Planner, WhatIsNotGivenUpOrDoesNotFitIsNotTaken) {
  const auto donor_of = [](const std::function<Value(GraphBuilder&)>& make) {
    GraphBuilder b;
    b.output(make(b));
    const Plan plan = make_plan(b.build(), {}, {});
    EXPECT_EQ(plan.buffers.size(), 1U);
    return plan.buffers.at(0).donor;
  };
  EXPECT_EQ(donor_of([](GraphBuilder& b) { return b.node(Op::neg, {b.input(DType::f32, {4})}); }), -1);
  EXPECT_EQ(donor_of([](GraphBuilder& b) { return b.node(Op::neg, {donated(b, 0, {4})}); }), 0);
  EXPECT_EQ(donor_of([](GraphBuilder& b) {
              Attrs to_i32;
              to_i32.i[0] = static_cast<int64_t>(DType::f64);
              return b.node(Op::cast, {donated(b, 0, {4})}, to_i32);
            }),
            -1)
      << "a larger dtype";
  EXPECT_EQ(donor_of([](GraphBuilder& b) {
              return b.node(Op::add, {donated(b, 0, {4}), b.input(DType::f32, {3, 4})});
            }),
            -1)
      << "it is broadcast";
}

TEST(Planner, AnInputThatIsNotContiguousIsNotTaken) {
  GraphBuilder b;
  b.output(b.node(Op::neg, {donated(b, 0, {2, 3})}));
  const ComputationGraph g = b.build();
  EXPECT_EQ(make_plan(g, {}, {{3, 1}}).buffers.at(0).donor, 0);
  EXPECT_EQ(make_plan(g, {}, {{1, 2}}).buffers.at(0).donor, -1);
}

TEST(Planner, AViewOfADonatedInputIsTakenWhereBothAreContiguous) {
  Attrs turned;
  turned.i[0] = 0x01;
  const auto donor_of = [&](const Shape& shape, std::vector<Strides> strides) {
    GraphBuilder b;
    b.output(b.node(Op::neg, {b.node(Op::transpose, {donated(b, 0, shape)}, turned)}));
    return make_plan(b.build(), {}, strides).buffers.at(0).donor;
  };
  EXPECT_EQ(donor_of({1, 3}, {{3, 1}}), 0);
  EXPECT_EQ(donor_of({2, 3}, {{3, 1}}), -1);
  EXPECT_EQ(donor_of({2, 3}, {{1, 2}}), -1);
}

TEST(Planner, AnUpdateWritesIntoADonatedInput) {
  const auto plan_of = [](bool donates) {
    GraphBuilder b;
    const Value x = donates ? donated(b, 0, {4}) : b.input(DType::f32, {4});
    const TensorSpec offset{DType::i32, {}};
    Attrs list;
    list.list = IntList({1, 1});
    const Value update = b.input(DType::f32, {2});
    b.output(b.node(Op::slice_update, {x, update, b.node(Op::scalar, {}, {}, &offset)}, list));
    return make_plan(b.build(), {}, {});
  };
  const Plan given = plan_of(true), kept = plan_of(false);
  EXPECT_EQ(given.buffers.at(0).donor, 0);
  EXPECT_EQ(given.steps.at(0).unless_donated, 0) << "the copy is left out when the memory was taken";
  EXPECT_EQ(kept.buffers.at(0).donor, -1);
  EXPECT_EQ(kept.steps.at(0).unless_donated, -1);
}

/// Each chain begins with an input of its own and goes on with one number of it.
ComputationGraph sums_of(int chains, int64_t size) {
  GraphBuilder b;
  Attrs first;
  first.i[0] = 1;
  for (int c = 0; c < chains; ++c) b.output(b.node(Op::tanh, {b.node(Op::sum, {b.input(DType::f32, {size})}, first)}));
  return b.build();
}

TEST(Planner, InputsThatAreReadForTheLastTimeKeepNoStepsFromRunningSideBySide) {
  // The inputs are not the plan's memory: that they wait takes nothing of the plan's.
  const Plan plan = make_plan(sums_of(300, 25600), {}, {});
  EXPECT_EQ(plan.steps.size(), 600U);
  EXPECT_LE(plan.waves.size(), 20U);
}

TEST(Planner, ValuesThatAreReadForTheLastTimeDo) {
  // The same sums of values that the plan makes: more than a few of them side by side would take more than in a row.
  GraphBuilder b;
  Attrs first;
  first.i[0] = 1;
  for (int c = 0; c < 100; ++c) b.output(b.node(Op::sum, {b.node(Op::tanh, {b.input(DType::f32, {25600})})}, first));
  const Plan plan = make_plan(b.build(), {}, {});
  EXPECT_LE(plan.workspace_bytes, 5U * 102400);
}

TEST(Planner, PlansThatAreShorterThanAHandOverKeepTheirOrder) {
  const Plan plan = make_plan(sums_of(4, 16), {}, {});
  EXPECT_EQ(plan.steps.size(), 8U);
  for (size_t k = 0; k < plan.steps.size(); ++k) EXPECT_EQ(plan.steps[k].op, k % 2 == 0 ? Op::sum : Op::tanh);
  EXPECT_TRUE(plan.run_inline);
}

TEST(Planner, ConstantsAndScalarsAreCopiedIntoResults) {
  GraphBuilder b;
  const TensorSpec number{DType::f32, {}};
  const Value s = b.node(Op::scalar, {}, {}, &number), c = b.constant(Tensor::from_vector<float>({1, 2}, {2})),
              x = b.input(DType::f32, {3});
  for (const Value v : {s, c, x}) b.output(v);
  const Plan plan = make_plan(b.build(), {}, {});
  EXPECT_EQ(plan.steps.size(), 2U);
  ASSERT_EQ(plan.results.size(), 3U);
  EXPECT_EQ(plan.results[0].buffer, 0);
  EXPECT_EQ(plan.results[1].buffer, 1);
  EXPECT_EQ(plan.results[2].buffer, -1);
  EXPECT_EQ(plan.results[2].input, 0);
  EXPECT_EQ(plan.output_bytes, 12U);
}

}  // namespace
}  // namespace lazuli
