// Runs the conformance cases of vector kernels on the targets that this machine would not choose.
#include <gtest/gtest.h>

#include "conformance/cases.h"
#include "lazuli/op.h"
#include "support/each_target.h"

namespace lazuli::conformance {
namespace {

class CpuTargets : public ::testing::TestWithParam<Op> {};

TEST_P(CpuTargets, AgreeWithReference) {
  const auto cases = cases_of(GetParam());
  ASSERT_TRUE(cases);
  std::vector<std::vector<Tensor>> wanted;
  for (const Case& c : *cases) wanted.push_back(run(reference_backend(), c.call));
  on_every_target([&](const std::string& target) {
    for (size_t i = 0; i < cases->size(); ++i) {
      const Case& c = (*cases)[i];
      const auto results = run(cpu_backend(), c.call);
      for (size_t j = 0; j < results.size(); ++j) {
        EXPECT_EQ(difference(results[j], wanted[i][j], c.tolerance), "") << c.label << ", result " << j << " on " << target;
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Ops, CpuTargets,
                         ::testing::Values(Op::add, Op::where, Op::gelu, Op::cast, Op::sum, Op::max, Op::logsumexp, Op::argmax, Op::softmax,
                                           Op::log_softmax, Op::softmax_backward, Op::scaled_softmax, Op::rms_norm, Op::rms_norm_backward,
                                           Op::layer_norm, Op::layer_norm_backward, Op::group_norm, Op::cross_entropy,
                                           Op::cross_entropy_backward, Op::dropout, Op::random_uniform, Op::random_normal, Op::random_bits,
                                           Op::dequantize, Op::adamw, Op::fused_elementwise, Op::matmul, Op::linear, Op::lora_fused,
                                           Op::lora_linear, Op::linear_cross_entropy, Op::lora_rows, Op::gather_matmul, Op::gather_outer,
                                           Op::gated_linear, Op::add_rms_norm, Op::add_layer_norm, Op::sdpa, Op::sdpa_backward,
                                           Op::sdpa_packed, Op::rope, Op::rope_pair, Op::quantized_linear),
                         [](const auto& param) { return std::string(lazuli::name_of(param.param)); });

}  // namespace
}  // namespace lazuli::conformance
