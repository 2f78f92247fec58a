// Defines short ways to make graphs for tests of passes, to count what is in them, and to compare what two of them compute.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "lazuli/graph.h"
#include "lazuli/op.h"
#include "lazuli/optimize.h"
#include "support/interpreter.h"

namespace lazuli {

class TestGraph {
 public:
  Value in(const Shape& shape, DType dtype = DType::f32) { return b_.input(dtype, shape); }
  /// A run-time scalar.
  Value scalar(DType dtype = DType::f32) {
    TensorSpec spec{dtype, {}};
    Attrs attrs;
    attrs.i[0] = scalars_++;
    return b_.node(Op::scalar, {}, attrs, &spec);
  }
  Value full(double value, const Shape& shape = {}, DType dtype = DType::f32) {
    TensorSpec spec{dtype, shape};
    Attrs attrs;
    attrs.i[0] = std::bit_cast<int64_t>(value);
    return b_.node(Op::full, {}, attrs, &spec);
  }
  Value op(Op op, std::vector<Value> inputs, int64_t i0 = 0, int64_t i1 = 0, int64_t i2 = 0) {
    Attrs attrs;
    attrs.i = {i0, i1, i2, 0};
    return b_.node(op, std::move(inputs), attrs);
  }
  Value shaped(Op op, Value x, const Shape& shape, DType dtype = DType::f32) {
    TensorSpec spec{dtype, shape};
    return b_.node(op, {x}, {}, &spec);
  }
  Value cast(Value x, DType to) { return op(Op::cast, {x}, static_cast<int64_t>(to)); }
  Value constant(const Tensor& t) { return b_.constant(t); }
  /// Reduces the last axis of a value of rank `rank`, keeping it.
  Value rows(Op o, Value x, int rank) { return op(o, {x}, int64_t{1} << (rank - 1), 1); }
  ComputationGraph done(std::vector<Value> outputs) {
    for (Value v : outputs) b_.output(v);
    return b_.build();
  }

 private:
  GraphBuilder b_;
  int64_t scalars_ = 0;
};

inline int count(const ComputationGraph& g, Op op) {
  int n = 0;
  for (const GraphNode& node : g.nodes) n += node.op == op ? 1 : 0;
  return n;
}

inline const GraphNode* labelled(const ComputationGraph& g, std::string_view label) {
  for (const GraphNode& node : g.nodes) {
    if (node.label == label) return &node;
  }
  return nullptr;
}

inline GraphOptimizer verified() {
  GraphOptimizer o = GraphOptimizer::standard();
  o.set_verify(true);
  o.set_fold(fold_on({DeviceKind::reference, 0}));
  return o;
}

inline ComputationGraph optimized(const ComputationGraph& g, OptimizerReport* report = nullptr) {
  ComputationGraph result = g;
  verified().run(result, report);
  return result;
}

inline bool refused(const OptimizerReport& report, std::string_view pattern, std::string_view reason) {
  for (const PassReport& pass : report.passes) {
    for (const Refusal& r : pass.refused) {
      if (r.pattern == pattern && r.reason.find(reason) != std::string_view::npos) return true;
    }
  }
  return false;
}

/// Random data for the inputs of a graph: floats in [-2, 2], small non-negative integers, any bools.
inline std::vector<Tensor> random_inputs(const ComputationGraph& g, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> real(-2, 2);
  std::vector<Tensor> inputs(static_cast<size_t>(g.input_count));
  for (const GraphNode& n : g.nodes) {
    if (n.op != Op::input) continue;
    const TensorSpec& spec = n.outputs[0];
    std::vector<double> values(static_cast<size_t>(spec.shape.numel()));
    for (double& v : values) v = is_float(spec.dtype) ? real(random) : static_cast<double>(random() % 2);
    inputs[static_cast<size_t>(n.attrs.i[0])] = Tensor::from_vector(values, spec.shape).to(spec.dtype);
  }
  return inputs;
}

inline std::vector<double> random_scalars(const ComputationGraph& g) {
  std::vector<double> scalars;
  for (int k = 0; k < g.scalar_count; ++k) scalars.push_back(0.5 + 0.25 * k);
  return scalars;
}

inline double largest(const std::vector<double>& v) {
  double m = 0;
  for (double x : v) m = std::isfinite(x) ? std::max(m, std::fabs(x)) : m;
  return m;
}

inline double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double d = 0;
  for (size_t k = 0; k < a.size(); ++k) {
    if (std::isnan(a[k]) && std::isnan(b[k])) continue;
    d = std::max(d, a[k] == b[k] ? 0.0 : std::fabs(a[k] - b[k]));
    if (std::isnan(a[k] - b[k]) && a[k] != b[k]) return INFINITY;
  }
  return d;
}

/// Both graphs compute the same function: exactly in double, and in their own dtypes with an error of at most twice the first one's plus
/// 4 units in the last place of the largest number.
inline void expect_equivalent(const ComputationGraph& before, const ComputationGraph& after, const Backend* backend = nullptr) {
  constexpr double exact = 1e-6;  // some results are f32 even beside f64
  ASSERT_EQ(before.outputs.size(), after.outputs.size());
  auto inputs = random_inputs(before);
  auto scalars = random_scalars(before);
  InterpreterOptions in_double;
  in_double.in_double = true;
  auto wanted = interpret(before, inputs, scalars, in_double);
  auto same = interpret(after, inputs, scalars, in_double);
  auto plain = interpret(before, inputs, scalars, {backend, false});
  auto fused = interpret(after, inputs, scalars, {backend, false});
  for (size_t k = 0; k < wanted.size(); ++k) {
    ASSERT_EQ(plain[k].dtype(), fused[k].dtype());
    ASSERT_EQ(plain[k].shape(), fused[k].shape());
    auto w = wanted[k].to_vector<double>();
    double unit = 0x1p-23;
    if (plain[k].dtype() == DType::bf16) unit = 0x1p-7;
    if (plain[k].dtype() == DType::f16) unit = 0x1p-10;
    EXPECT_LE(distance(same[k].to_vector<double>(), w), exact * largest(w)) << "output " << k << " in double\n" << after.to_text();
    double allowed = 2 * distance(plain[k].to_vector<double>(), w) + 4 * unit * largest(w);
    EXPECT_LE(distance(fused[k].to_vector<double>(), w), allowed) << "output " << k << "\n" << after.to_text();
  }
}

}  // namespace lazuli
