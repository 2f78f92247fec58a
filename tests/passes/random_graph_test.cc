// Random graphs: every pass leaves a valid graph, a second run finds little left, and results stay within the bound.
#include <algorithm>
#include <random>

#include "lazuli/op.h"
#include "passes/chain_groups.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

class RandomGraph {
 public:
  /// Graphs of one seed differ in their sizes only.
  explicit RandomGraph(uint32_t seed, int64_t size = 4) : random_(seed), size_(size) {
    static constexpr DType kFloats[] = {DType::f32, DType::f32, DType::f32, DType::bf16};
    dtype_ = kFloats[pick(4)];
    for (int k = 0; k < 3; ++k) values_.push_back(t_.in({size_, size_}, dtype_));
    rows_.push_back(t_.in({size_}, dtype_));
    scalars_.push_back(t_.scalar(dtype_));
    int steps = 5 + static_cast<int>(pick(40));
    for (int k = 0; k < steps; ++k) step();
  }

  ComputationGraph done() {
    std::vector<Value> outputs{values_.back()};
    for (size_t k = pick(4); k > 0; --k) outputs.push_back(any());
    if (pick(2) == 0) outputs.push_back(rows_.back());
    return t_.done(outputs);
  }

 private:
  size_t pick(size_t n) { return random_() % n; }
  // Recent values are likelier, so that chains grow.
  Value any() { return values_[values_.size() - 1 - std::min(pick(values_.size()), pick(values_.size()))]; }
  Value row() { return rows_[pick(rows_.size())]; }
  Value scalar() { return scalars_[pick(scalars_.size())]; }
  // Keeps magnitudes near 1, and errors of exp and products with them.
  Value tame(Value v) { return t_.op(Op::tanh, {v}); }

  Value unary() {
    static constexpr Op kOps[] = {Op::neg, Op::abs, Op::square, Op::sigmoid, Op::tanh, Op::gelu, Op::silu, Op::gelu_tanh, Op::sin, Op::cos};
    return t_.op(kOps[pick(std::size(kOps))], {any()});
  }
  Value binary() {
    static constexpr Op kOps[] = {Op::add, Op::sub, Op::mul, Op::maximum, Op::minimum};
    Value other = pick(3) == 0 ? row() : pick(3) == 0 ? scalar() : any();
    Value first = any();
    return pick(2) == 0 ? t_.op(kOps[pick(std::size(kOps))], {first, other}) : t_.op(kOps[pick(std::size(kOps))], {other, first});
  }
  Value square_view(Value v) {
    switch (pick(4)) {
      case 0:
        return t_.op(Op::transpose, {v}, 0x01);
      case 1:
        return t_.shaped(Op::reshape, t_.shaped(Op::reshape, v, {1, size_, size_}, dtype_), {size_, size_}, dtype_);
      case 2:
        return t_.op(Op::barrier, {v, any()});
      default:
        return t_.op(Op::copy, {v});
    }
  }
  Value norm() {
    Value x = any();
    Value m = t_.op(Op::add, {t_.rows(Op::mean, t_.op(Op::square, {x}), 2), t_.full(1, {}, dtype_)});
    return t_.op(Op::mul, {t_.op(Op::mul, {x, t_.op(Op::rsqrt, {m})}), row()});
  }
  Value choice() {
    Value bounded = tame(any());
    return t_.op(Op::where, {t_.op(Op::less, {bounded, t_.full(2, {}, dtype_)}), bounded, any()});
  }

  void step() {
    switch (pick(14)) {
      case 0:
        return values_.push_back(t_.op(Op::softmax, {any()}, static_cast<int64_t>(pick(2))));
      case 1:
        return values_.push_back(tame(t_.op(Op::matmul, {any(), any()}, static_cast<int64_t>(pick(2)), static_cast<int64_t>(pick(2)))));
      case 2:
        return values_.push_back(tame(t_.op(Op::add, {t_.op(Op::matmul, {any(), any()}), row()})));
      case 3:
        return values_.push_back(square_view(any()));
      case 4:
        return rows_.push_back(t_.op(Op::mean, {any()}, 1 + static_cast<int64_t>(pick(2))));
      case 5:
        return scalars_.push_back(t_.op(Op::mean, {tame(any())}, 3));
      case 6:
        return values_.push_back(norm());
      case 7:
        return values_.push_back(choice());
      case 8:
        return values_.push_back(t_.op(Op::mul, {t_.op(Op::softmax, {t_.op(Op::mul, {any(), scalar()})}, 1), scalar()}));
      case 9:
      case 10:
      case 11:
        return values_.push_back(tame(binary()));
      default:
        return values_.push_back(unary());
    }
  }

  std::mt19937 random_;
  int64_t size_;
  TestGraph t_;
  DType dtype_;
  std::vector<Value> values_, rows_, scalars_;
};

class RandomGraphs : public ::testing::TestWithParam<uint32_t> {};

TEST_P(RandomGraphs, KeepTheirMeaning) {
  for (uint32_t k = 0; k < 25; ++k) {
    uint32_t seed = GetParam() * 25 + k;
    SCOPED_TRACE(seed);
    ComputationGraph g = RandomGraph(seed).done();
    OptimizerReport report, second;
    ComputationGraph after = optimized(g, &report);
    EXPECT_LE(after.size(), g.size() + 4);
    ComputationGraph again = optimized(after, &second);
    EXPECT_EQ(count(again, Op::fused_elementwise), count(after, Op::fused_elementwise));
    EXPECT_EQ(again.size(), after.size()) << after.to_text() << again.to_text();
    expect_equivalent(g, after);
    expect_equivalent(g, after, &cpu_backend());
    if (HasFailure()) break;
  }
}

// Ops, attributes, edges and programs: what is left when sizes are taken away.
std::string structure(const ComputationGraph& g) {
  std::string text;
  for (const GraphNode& n : g.nodes) {
    text += std::string(name_of(n.op)) + " " + n.label;
    for (int64_t i : n.attrs.i) text += " " + std::to_string(i);
    for (Value v : n.inputs) text += " %" + std::to_string(v.node) + "." + std::to_string(v.out);
    if (const ElementwiseProgram* p = n.program()) {
      for (const auto& step : p->code) text += " " + std::string(name_of(step.op)) + std::to_string(step.operand[0]);
    }
    text += "\n";
  }
  return text;
}

TEST_P(RandomGraphs, AreRewrittenTheSameForEverySize) {
  for (uint32_t k = 0; k < 25; ++k) {
    uint32_t seed = GetParam() * 25 + k;
    auto small = optimized(RandomGraph(seed, 4).done());
    auto large = optimized(RandomGraph(seed, 300).done());
    ASSERT_EQ(structure(small), structure(large)) << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomGraphs, ::testing::Range(0u, 20u));

}  // namespace
}  // namespace lazuli
