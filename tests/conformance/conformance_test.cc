// Checks every op of the table on the cpu backend against the reference backend.
#include <gtest/gtest.h>

#include <array>

#include "backend/cuda/runtime.h"
#include "conformance/cases.h"
#include "graph/attention_operands.h"
#include "lazuli/error.h"
#include "lazuli/op.h"
#include "support/attributes.h"

namespace lazuli::conformance {
namespace {

class Conformance : public ::testing::TestWithParam<int> {
 protected:
  static Op op() { return static_cast<Op>(GetParam()); }
};

bool has_kernel(Op op) { return info(op).cls != OpClass::leaf && info(op).cls != OpClass::view; }

TEST_P(Conformance, HasCases) {
  const auto cases = cases_of(op());
  ASSERT_TRUE(cases.has_value()) << name_of(op()) << " has no cases in tests/conformance/cases_*.cc";
  EXPECT_EQ(!cases->empty(), has_kernel(op())) << name_of(op());
}

/// f64 lives on the reference backend only.
bool reference_only(const Case& c) {
  for (const Tensor& t : c.call.inputs) {
    if (t.dtype() == DType::f64 && t.rank() > 0) return true;
  }
  return c.call.target && c.call.target->dtype == DType::f64;
}

/// Chunks, memory of operands and unused results must not change a bit.
void expect_same_in_all_variants(const Case& c, const std::vector<Tensor>& results) {
  std::vector<Variant> variants = {{2}, {7}, {1 << 20}, {1, true}, {3, true}};
  for (size_t j = 0; results.size() > 1 && j < results.size(); ++j) variants.push_back({1, false, static_cast<int>(j)});
  for (const Variant& variant : variants) {
    const auto again = run(cpu_backend(), c.call, variant);
    for (size_t j = 0; j < results.size(); ++j) {
      if (static_cast<int>(j) == variant.unused) continue;
      EXPECT_TRUE(identical(again[j], results[j])) << "result " << j << " changes with chunks=" << variant.chunks
                                                   << " in_place=" << variant.in_place << " unused=" << variant.unused;
    }
  }
}

std::vector<Tensor> expect_agreement(const Case& c) {
  const auto wanted = run(reference_backend(), c.call);
  if (reference_only(c)) return {};
  auto results = run(cpu_backend(), c.call);
  for (size_t j = 0; j < wanted.size(); ++j) {
    const std::string what = difference(results[j], wanted[j], c.tolerance);
    EXPECT_TRUE(what.empty()) << "result " << j << ": " << what;
  }
  return results;
}

TEST_P(Conformance, CpuAgreesWithReference) {
  for (const Case& c : cases_of(op()).value_or(Cases())) {
    SCOPED_TRACE(std::string(name_of(op())) + " " + c.label);
    if (const auto results = expect_agreement(c); !results.empty()) expect_same_in_all_variants(c, results);
  }
}

TEST_P(Conformance, CpuReadsNothingBehindOperands) {
  for (Case c : cases_of(op()).value_or(Cases())) {
    if (reference_only(c)) continue;
    SCOPED_TRACE(std::string(name_of(op())) + " " + c.label);
    const auto wanted = run(cpu_backend(), c.call);
    for (Tensor& x : c.call.inputs) x = at_page_end(x);
    const auto results = run(cpu_backend(), c.call);
    for (size_t j = 0; j < wanted.size(); ++j) EXPECT_EQ(difference(results[j], wanted[j], c.tolerance), "") << "result " << j;
  }
}

/// The case with its rank-0 operands in the wider dtype of their kind; nothing where the op does not take that.
std::optional<Case> with_wide_scalars(Case c) {
  bool changed = false;
  std::vector<TensorSpec> specs;
  for (size_t k = 0; k < c.call.inputs.size(); ++k) {
    Tensor& x = c.call.inputs[k];
    const bool narrow = k > 0 && x.rank() == 0 && (x.dtype() == DType::f32 || x.dtype() == DType::i32);
    if (narrow) x = x.to(x.dtype() == DType::f32 ? DType::f64 : DType::i64);
    changed = changed || narrow;
    specs.push_back({x.dtype(), x.shape()});
  }
  if (!changed) return std::nullopt;
  try {
    infer({c.call.op, c.call.attrs, c.call.program}, specs, c.call.target ? &*c.call.target : nullptr);
  } catch (const Error&) {
    return std::nullopt;
  }
  return c;
}

TEST_P(Conformance, RunTimeNumbersMayBeWide) {
  if (info(op()).cls == OpClass::fused) return;  // there every operand is data
  for (const Case& c : cases_of(op()).value_or(Cases())) {
    const auto wide = with_wide_scalars(c);
    if (!wide) continue;
    SCOPED_TRACE(std::string(name_of(op())) + " " + c.label);
    expect_agreement(*wide);
  }
}

std::vector<OpCall> calls_out_of_range() {
  const Tensor x = vector<float>({1, 2, 3}), one = vector<float>({1}), pair = x.reshape({1, 3});
  const auto at = [](int32_t v) { return vector<int32_t>({v}); };
  const auto number = [](int v) { return scalar(DType::i32, v); };
  const Tensor heads = x.reshape({1, 1, 3, 1}), rows = x.reshape({3, 1, 1}), factor = scalar(DType::f32, 1);
  const Tensor rows_of_one = vector<float>({1, 2}).reshape({2, 1}), rows_of_two = vector<float>({1, 2, 3, 4}).reshape({2, 2});
  const Tensor no_angles = Tensor::zeros(DType::f32, {3, 0}), pool = Tensor::zeros(DType::f32, {1, 1, 64, 1}),
               token = one.reshape({1, 1, 1, 1});
  const auto block = [&at](int32_t v) { return at(v).reshape({1, 1}); };
  Attrs paged;
  set_attention(paged, false, -1, -1, std::array{AttentionPart::blocks});
  return {{Op::gather, {x, at(3)}, attrs(0)},
          {Op::gather, {x, at(-1)}, attrs(0)},
          {Op::take_along, {x, at(-1)}, attrs(0)},
          {Op::scatter_add, {x, at(3), one}, attrs(0)},
          {Op::scatter_along_add, {x, at(3), one}, attrs(0)},
          {Op::one_hot, {at(3)}, attrs(3, 0)},
          {Op::slice_update, {x, one, number(3)}, attrs(0, 0, 0, {0, 1})},
          {Op::slice_update, {x, one, number(-1)}, attrs(0, 0, 0, {0, 1})},
          {Op::slice_update, {x, vector<float>({1, 2}), number(2)}, attrs(0, 0, 0, {0, 1})},
          {Op::slice_update, {rows_of_two, rows_of_one, vector<int32_t>({0, 2})}, attrs(1, 0, 0, {0, 0, 1, 1})},
          {Op::slice_update, {rows_of_two, rows_of_one, vector<int32_t>({-1, 1})}, attrs(1, 0, 0, {0, 0, 1, 1})},
          {Op::slice_at, {x, number(2)}, attrs(0), TensorSpec{DType::f32, {2}}},
          {Op::slice_at, {x, number(-1)}, attrs(0), TensorSpec{DType::f32, {2}}},
          {Op::cross_entropy, {pair, at(3), factor}, attrs(-100)},
          {Op::cross_entropy, {pair, at(-1), factor}, attrs(-100)},
          {Op::linear_cross_entropy, {pair, x.reshape({3, 1}), at(1), factor}, attrs(-100)},
          {Op::linear_cross_entropy, {pair, x.reshape({3, 1}), at(-1), factor}, attrs(-100)},
          {Op::rope, {x.reshape({3, 1}), no_angles, no_angles, number(1)}},
          {Op::rope, {rows, no_angles, no_angles, vector<int32_t>({0, 3, 0})}},
          {Op::rope, {rows, no_angles, no_angles, vector<int32_t>({0, 0, -1})}},
          {Op::rope_pair, {rows, rows, no_angles, no_angles, vector<int32_t>({3, 0, 0})}},
          {Op::sdpa, {heads, heads, heads, factor, number(4)}},
          {Op::sdpa, {heads, heads, heads, factor, number(-1)}},
          {Op::sdpa, {token, pool, pool, factor, number(65), block(0)}, paged},
          {Op::sdpa, {token, pool, pool, factor, number(1), block(1)}, paged},
          {Op::sdpa, {token, pool, pool, factor, number(1), block(-1)}, paged},
          {Op::page_update, {pool, token, block(0), number(64)}},
          {Op::page_update, {pool, token, block(0), number(-1)}},
          {Op::page_update, {pool, token, block(1), number(0)}},
          {Op::page_update, {pool, token, block(-2), number(0)}},
          {Op::sdpa_packed, {rows, rows, rows, factor, vector<int32_t>({0, 4})}},
          {Op::sdpa_packed, {rows, rows, rows, factor, vector<int32_t>({1, 3})}},
          {Op::sdpa_packed, {rows, rows, rows, factor, vector<int32_t>({0, 2, 1})}}};
}

TEST(ConformanceErrors, WhatIsOutOfRangeIsAValueErrorThatNamesTheOp) {
  std::vector<const Backend*> backends = {&reference_backend(), &cpu_backend()};
  if (cuda::device_count(nullptr) > 0) backends.push_back(&cuda_backend());
  for (const Backend* backend : backends) {
    for (const OpCall& call : calls_out_of_range()) {
      try {
        run(*backend, call);
        ADD_FAILURE() << backend->name() << " " << name_of(call.op) << " accepts a number out of range";
      } catch (const ValueError& e) {
        EXPECT_NE(std::string(e.what()).find(name_of(call.op)), std::string::npos) << e.what();
      }
    }
  }
}

TEST(ConformanceTable, LeavesAndViewsHaveNoKernel) {
  const Attrs attrs;
  for (int k = 0; k < kOpCount; ++k) {
    const Op op = static_cast<Op>(k);
    if (has_kernel(op)) continue;
    EXPECT_THROW(reference_backend().prepare({op, attrs, {}, {}, nullptr}), GraphError) << name_of(op);
    EXPECT_THROW(cpu_backend().prepare({op, attrs, {}, {}, nullptr}), GraphError) << name_of(op);
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, Conformance, ::testing::Range(0, kOpCount),
                         [](const auto& param) { return std::string(name_of(static_cast<Op>(param.param))); });

}  // namespace
}  // namespace lazuli::conformance
