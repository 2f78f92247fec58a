// Checks every op of the table on the cuda backend: against the reference backend where there is a device, as texts and launches
// everywhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "backend/cuda/launch.h"
#include "backend/cuda/runtime.h"
#include "conformance/cases.h"
#include "conformance/sweep.h"
#include "conformance/thresholds.h"
#include "lazuli/error.h"
#include "lazuli/op.h"
#include "support/cuda_device.h"
#include "support/deterministic.h"

namespace lazuli::conformance {
namespace {

std::vector<TensorSpec> results_of(const OpCall& call) {
  std::vector<TensorSpec> specs;
  for (const Tensor& t : call.inputs) specs.push_back({t.dtype(), t.shape()});
  return infer({call.op, call.attrs, call.program}, specs, call.target ? &*call.target : nullptr);
}

/// f64 lives on the reference backend only.
bool uses_f64(const Case& c) {
  const auto inputs =
      std::any_of(c.call.inputs.begin(), c.call.inputs.end(), [](const Tensor& t) { return t.dtype() == DType::f64 && t.rank() > 0; });
  const auto results = results_of(c.call);
  return inputs || std::any_of(results.begin(), results.end(), [](const TensorSpec& s) { return s.dtype == DType::f64; });
}

/// What a tool that watches every access does not get through in useful time: LAZULI_SMALL_CASES leaves it out.
bool too_large(const Case& c) {
  static const bool small_only = std::getenv("LAZULI_SMALL_CASES") != nullptr;
  constexpr int64_t kMost = 5000;
  const auto& in = c.call.inputs;
  return small_only && std::any_of(in.begin(), in.end(), [](const Tensor& t) { return t.numel() > kMost; });
}

class CudaConformance : public ::testing::TestWithParam<int> {
 protected:
  static Op op() { return static_cast<Op>(GetParam()); }
};

TEST_P(CudaConformance, AgreesWithReference) {
  LAZULI_NEEDS_CUDA();
  for (const Case& c : cases_of(op()).value_or(Cases())) {
    if (uses_f64(c) || too_large(c)) continue;
    SCOPED_TRACE(std::string(name_of(op())) + " " + c.label);
    const auto wanted = run(reference_backend(), c.call);
    const auto results = run(cuda_backend(), c.call);
    for (size_t j = 0; j < wanted.size(); ++j) {
      const std::string what = difference(results[j], wanted[j], c.tolerance);
      EXPECT_TRUE(what.empty()) << "result " << j << ": " << what;
    }
    std::vector<Variant> variants = {{1, false}, {1, true}};
    for (size_t j = 0; results.size() > 1 && j < results.size(); ++j) variants.push_back({1, false, static_cast<int>(j)});
    for (const Variant& variant : variants) {
      const auto again = run(cuda_backend(), c.call, variant);
      for (size_t j = 0; j < results.size(); ++j) {
        if (static_cast<int>(j) == variant.unused) continue;
        EXPECT_TRUE(identical(again[j], results[j]))
            << "result " << j << " changes with in_place=" << variant.in_place << " unused=" << variant.unused;
      }
    }
  }
}

/// What differs from the reference backend by more than rounding: intermediate results may be rounded to 16 bits, and sums are as long as
/// the sizes ask for.
std::string wrong_on_cuda(const Case& c) {
  const DType t = c.call.inputs.empty() ? DType::f32 : c.call.inputs[0].dtype();
  Tolerance tolerance = c.tolerance;
  if (tolerance.ulps > 0) tolerance.spread = std::max(tolerance.spread, t == DType::bf16 ? 0x1p17 : t == DType::f16 ? 0x1p14 : 512);
  const auto wanted = run(reference_backend(), c.call), got = run(cuda_backend(), c.call);
  for (size_t j = 0; j < wanted.size(); ++j) {
    const std::string what = difference(got[j], wanted[j], tolerance);
    if (!what.empty()) return "result " + std::to_string(j) + ": " + what;
  }
  return "";
}

/// A fused chain of 16-bit numbers rounds after every step then, the reference at its end.
bool rounds_otherwise(const OpCall& call) {
  if (call.op != Op::fused_elementwise) return false;
  return std::any_of(call.inputs.begin(), call.inputs.end(), [](const Tensor& t) { return size_of(t.dtype()) == 2; });
}

TEST_P(CudaConformance, AgreesWithReferenceWhenDeterministic) {
  LAZULI_NEEDS_CUDA();
  const test::Deterministic on;
  for (const Case& c : cases_of(op()).value_or(Cases())) {
    if (uses_f64(c) || too_large(c) || rounds_otherwise(c.call)) continue;
    SCOPED_TRACE(std::string(name_of(op())) + " " + c.label);
    const auto wanted = run(reference_backend(), c.call);
    const auto results = run(cuda_backend(), c.call), in_place = run(cuda_backend(), c.call, {1, true});
    for (size_t j = 0; j < wanted.size(); ++j) {
      const std::string what = difference(results[j], wanted[j], c.tolerance);
      EXPECT_TRUE(what.empty()) << "result " << j << ": " << what;
      EXPECT_TRUE(identical(in_place[j], results[j])) << "result " << j << " changes with in_place";
    }
  }
}

PreparedOp prepare(const OpCall& call) {
  std::vector<OperandSpec> inputs, outputs;
  for (const Tensor& t : call.inputs) {
    inputs.push_back({t.dtype(), t.shape(), t.strides(), t.is_contiguous(), true});
  }
  for (const TensorSpec& s : results_of(call)) {
    outputs.push_back({s.dtype, s.shape, contiguous_strides(s.shape), true, true});
  }
  PreparedOp op = cuda_backend().prepare({call.op, call.attrs, inputs, outputs, call.program.get()});
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (op.needs_copy(k)) inputs[k] = {inputs[k].dtype, inputs[k].shape, contiguous_strides(inputs[k].shape), true, true};
  }
  return !op.needs_copies() ? op : cuda_backend().prepare({call.op, call.attrs, inputs, outputs, call.program.get()});
}

/// An update of no elements leaves the operand as it is, which the planner has copied.
bool updates_nothing(const OpCall& call) {
  const bool moves = call.op == Op::slice_update || call.op == Op::page_update;
  const size_t update = moves ? 1 : 2;
  const bool updates = moves || call.op == Op::scatter_add || call.op == Op::scatter_along_add;
  return updates && call.inputs[update].numel() == 0;
}

/// Few of many, far apart: compiling takes a twentieth of a second each. LAZULI_ALL_KERNELS=1 compiles every text.
std::vector<std::string> some_of(const std::vector<std::string>& texts) {
  if (std::getenv("LAZULI_ALL_KERNELS") != nullptr || texts.size() <= 3) return texts;
  return {texts.front(), texts[texts.size() / 2], texts.back()};
}

TEST_P(CudaConformance, TextsCompileForTheOldestAndTheNewestCard) {
  const cuda::Library& library = cuda::library();
  std::set<std::string> seen;
  std::vector<std::string> texts;
  for (const Case& c : cases_of(op()).value_or(Cases())) {
    if (uses_f64(c)) continue;
    SCOPED_TRACE(std::string(name_of(op())) + " " + c.label);
    const PreparedOp prepared = prepare(c.call);
    EXPECT_TRUE(!prepared.phases.empty() || results_of(c.call)[0].shape.numel() == 0 || updates_nothing(c.call));
    EXPECT_STRNE(prepared.name, "");
    for (const Kernel& kernel : prepared.phases) {
      const cuda::Launch* launch = cuda::launch_of(kernel);
      if (launch == nullptr) continue;
      EXPECT_GE(launch->block, 32u);
      EXPECT_LE(launch->block, 1024u);
      EXPECT_GE(launch->grid[0], 1u);
      if (seen.insert(launch->source).second) texts.push_back(launch->source);
    }
  }
#ifdef LAZULI_INSTRUMENTED
  GTEST_SKIP() << "the compiler of kernels is not built for sanitizers";
#endif
  if (library.api == nullptr) GTEST_SKIP() << library.problem;
  const char* architecture = "sm_90";
  for (const std::string& text : some_of(texts)) {
    void* code = nullptr;
    size_t bytes = 0;
    const int status = library.api->compile(text.c_str(), architecture, &code, &bytes);
    ASSERT_EQ(status, LZ_OK) << architecture << ": " << library.api->last_error() << "\n" << text.substr(text.find("#define N_SIZES"));
    EXPECT_GT(bytes, 0u);
    library.api->free_code(code);
    architecture = "sm_80";
  }
}

class CudaThresholds : public ::testing::TestWithParam<size_t> {};

TEST_P(CudaThresholds, AreNoBordersOfCorrectness) {
  LAZULI_NEEDS_CUDA();
  const Threshold threshold = cuda_thresholds()[GetParam()];
  for (const Case& c : cases_around(threshold, std::getenv("LAZULI_LARGE_CASES") != nullptr).value_or(Cases())) {
    if (too_large(c)) continue;
    EXPECT_EQ(wrong_on_cuda(c), "") << c.label;
  }
}

/// Needs no device.
TEST_P(CudaThresholds, LaunchesStayWithinWhatCardsTake) {
  const Threshold threshold = cuda_thresholds()[GetParam()];
  for (const Case& c : cases_around(threshold).value_or(Cases())) {
    SCOPED_TRACE(c.label);
    for (const Kernel& kernel : prepare(c.call).phases) {
      const cuda::Launch* launch = cuda::launch_of(kernel);
      if (launch == nullptr) continue;
      EXPECT_GE(launch->block, 32u);
      EXPECT_LE(launch->block, 1024u);
      EXPECT_GE(launch->grid[0], 1u);
      EXPECT_LE(launch->shared_bytes, 227u << 10);
    }
  }
}

TEST(CudaSweep, RandomCasesAroundThresholdsAreRight) {
  LAZULI_NEEDS_CUDA();
  std::vector<Threshold> thresholds = cuda_thresholds();
  for (const Threshold& t : cpu_thresholds()) thresholds.push_back(t);
  EXPECT_EQ(sweep(thresholds, 150, 5e6, [](const Case& c, uint64_t) { return wrong_on_cuda(c); }), "");
}

INSTANTIATE_TEST_SUITE_P(All, CudaThresholds, ::testing::Range(size_t{0}, cuda_thresholds().size()), [](const auto& tested) {
  const Threshold threshold = cuda_thresholds()[tested.param];
  std::string name = std::string(threshold.group) + "_" + threshold.name;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

TEST(CudaBackend, AGridHoldsAnyNumberOfDraws) {
  for (const int64_t rows : {1, 65535, 65536, 200000}) {
    const OpCall call{Op::sample,
                      {Tensor::zeros(DType::f32, {rows, 3}), Tensor::zeros(DType::i32, {rows, 0}), Tensor::zeros(DType::i32, {rows}),
                       Tensor::zeros(DType::f32, {rows, 4}), Tensor::zeros(DType::i64, {rows, 4})}};
    const PreparedOp prepared = prepare(call);
    ASSERT_EQ(prepared.phases.size(), 5u);
    for (const Kernel& kernel : prepared.phases) {
      const std::array<uint32_t, 3> grid = cuda::launch_of(kernel)->grid;
      EXPECT_LE(grid[1], 65535u);
      EXPECT_LE(grid[2], 65535u);
      EXPECT_GE(int64_t{grid[1]} * grid[2], rows);
      EXPECT_LT(int64_t{grid[1]} * (grid[2] - 1), rows);
    }
  }
}

TEST(CudaBackend, RefusesDoublesByName) {
  const Tensor x = Tensor::from_vector<double>({1, 2}, {2});
  try {
    prepare({Op::exp, {x}});
    ADD_FAILURE() << "f64 data is accepted";
  } catch (const DTypeError& e) {
    EXPECT_EQ(std::string(e.what()), "[exp] f64 data is computed on the reference device only, not on cuda");
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, CudaConformance, ::testing::Range(0, kOpCount),
                         [](const auto& param) { return std::string(name_of(static_cast<Op>(param.param))); });

}  // namespace
}  // namespace lazuli::conformance
