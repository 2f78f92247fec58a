// Checks that the conformance harness notices what kernels may do wrong.
#include "conformance/harness.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "conformance/data.h"
#include "lazuli/op.h"

namespace lazuli::conformance {
namespace {

/// A backend whose every op is one kernel.
class OneKernel final : public Backend {
 public:
  explicit OneKernel(Kernel::Run body, size_t scratch = 0) : run_(body), scratch_(scratch) {}
  std::string_view name() const override { return "one kernel"; }
  PreparedOp prepare(const KernelRequest& request) const override {
    PreparedOp prepared;
    Kernel kernel;
    kernel.run = run_;
    kernel.tasks = request.outputs[0].shape.numel();
    prepared.phases.push_back(kernel);
    prepared.scratch_bytes = prepared.thread_scratch_bytes = scratch_;
    for (size_t k = 0; k < request.inputs.size(); ++k) prepared.needs_contiguous |= request.inputs[k].contiguous ? 0u : 1u << k;
    prepared.in_place = {0};
    prepared.name = "one";
    return prepared;
  }

 private:
  Kernel::Run run_;
  size_t scratch_;
};

void doubles(const void*, const KernelArgs& args, int64_t begin, int64_t end) {
  for (int64_t k = begin; k < end; ++k) static_cast<float*>(args.out[0])[k] = 2 * static_cast<const float*>(args.in[0])[k];
}

OpCall copy_of(const Tensor& x) { return {Op::copy, {x}}; }

TEST(Harness, RunsEveryTaskOnceHoweverTheyAreCut) {
  const Tensor x = random(DType::f32, {101}, 1);
  const OneKernel backend(doubles);
  const auto whole = run(backend, copy_of(x));
  for (int64_t chunks : {2, 7, 1000}) EXPECT_TRUE(identical(run(backend, copy_of(x), {chunks})[0], whole[0]));
  EXPECT_TRUE(identical(run(backend, copy_of(x), {3, true})[0], whole[0]));
  EXPECT_FALSE(identical(whole[0], x));
}

TEST(Harness, CopiesOperandsThatAKernelCannotRead) {
  const Tensor x = random(DType::f32, {4, 5, 6}, 1);
  for (Layout layout : kLayouts) {
    const Tensor shown = laid_out(x, layout);
    EXPECT_EQ(shown.is_contiguous(), layout == Layout::row_major);
    EXPECT_EQ(identical(shown, x), layout != Layout::repeated);
    const OneKernel backend(doubles);
    EXPECT_TRUE(identical(run(backend, copy_of(shown))[0], run(backend, copy_of(shown.contiguous()))[0]));
  }
}

TEST(Harness, NoticesWritesPastTheEnd) {
  const OneKernel past_result([](const void*, const KernelArgs& args, int64_t, int64_t) { static_cast<char*>(args.out[0])[8] = 1; });
  EXPECT_NONFATAL_FAILURE(run(past_result, copy_of(random(DType::f32, {2}, 1))), "a result");
  const OneKernel past_scratch([](const void*, const KernelArgs& args, int64_t, int64_t) { static_cast<char*>(args.scratch)[16] = 1; }, 16);
  EXPECT_NONFATAL_FAILURE(run(past_scratch, copy_of(random(DType::f32, {2}, 1))), "scratch");
  const OneKernel past_thread(
      [](const void*, const KernelArgs& args, int64_t, int64_t) { static_cast<char*>(args.thread_scratch)[16] = 1; }, 16);
  EXPECT_NONFATAL_FAILURE(run(past_thread, copy_of(random(DType::f32, {2}, 1))), "thread scratch");
}

TEST(Harness, MeasuresDifferencesInUnitsOfTheLastPlace) {
  const auto one = [](float v) { return vector<float>({v, 1000}); };
  const float next = std::nextafter(1.0F, 2.0F);
  EXPECT_EQ(difference(one(next), one(1), {1, 0, 0}), "");
  EXPECT_NE(difference(one(next), one(1), {0.9, 0, 0}), "");
  EXPECT_EQ(difference(one(next), one(1), {0, 1, 0}), "") << "one part in 2^24 of the largest";
  const auto half = [](float v) { return vector<float>({v}).to(DType::bf16); };
  EXPECT_EQ(difference(half(1.0078125F), half(1), {0, 0, 1}), "");
  EXPECT_NE(difference(half(1.015625F), half(1), {9, 9, 1}), "");
}

TEST(Harness, TakesNanAndInfinityAsTheyAre) {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(difference(vector<float>({nan, inf, -inf}), vector<float>({nan, inf, -inf}), {}), "");
  EXPECT_NE(difference(vector<float>({1}), vector<float>({nan}), {}), "");
  EXPECT_NE(difference(vector<float>({nan}), vector<float>({1}), {}), "");
  EXPECT_NE(difference(vector<float>({3e38F}), vector<float>({inf}), {}), "");
  EXPECT_NE(difference(vector<float>({inf}), vector<float>({3e38F}), {}), "");
  EXPECT_NE(difference(vector<int32_t>({1}), vector<int32_t>({2}), {}), "");
  EXPECT_NE(difference(vector<float>({1}), vector<int32_t>({1}), {}), "");
}

}  // namespace
}  // namespace lazuli::conformance
