// Checks ops at every size around the widths of vectors and panels, and products of two-dimensional operands that lie otherwise: kernels
// take whole vectors first and the rest in their own way.
#include <gtest/gtest.h>

#include "conformance/cases.h"
#include "lazuli/op.h"
#include "support/attributes.h"

namespace lazuli::conformance {
namespace {

constexpr int64_t kSizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 63, 64, 65};
const std::vector<DType> kKernelFloats = {DType::f32, DType::bf16, DType::f16};

Tolerance tolerance(DType t) { return {8, t == DType::bf16 ? 0x1p17 : t == DType::f16 ? 0x1p14 : 64, 1}; }

void expect_agreement(const OpCall& call, const std::string& what) {
  const DType t = call.inputs[0].dtype();
  const auto wanted = run(reference_backend(), call), got = run(cpu_backend(), call);
  for (size_t j = 0; j < wanted.size(); ++j) {
    ASSERT_EQ(difference(got[j], wanted[j], tolerance(t)), "") << name_of(call.op) << " " << name_of(t) << " " << what << ", result " << j;
  }
}

/// All products of x (m, k) with weights of n columns.
std::vector<OpCall> products(DType t, int64_t m, int64_t k, int64_t n, Layout layout = Layout::row_major) {
  const Tensor x = laid_out(random(t, {m, k}, 1), layout), w = random(t, {n, k}, 2), bias = random(t, {n}, 3);
  const Tensor residual = random(t, {m, n}, 4), a = random(t, {4, k}, 5), b = random(t, {n, 4}, 6), half = scalar(DType::f32, 0.5);
  std::vector<OpCall> calls = {{Op::matmul, {x, w}, attrs(0, 1)},
                               {Op::matmul, {x, laid_out(random(t, {k, n}, 2), layout)}},
                               {Op::linear, {x, w, bias, residual}, attrs(1, 3, static_cast<int64_t>(Op::silu))},
                               {Op::lora_fused, {x, a, b, half}, attrs(1, 1)},
                               {Op::lora_linear, {x, w, a, b, half, bias}, attrs(1, 1, 1)},
                               {Op::lora_linear, {x, random(t, {k, n}, 2), random(t, {k, 4}, 5), random(t, {4, n}, 6), half}},
                               {Op::gated_linear, {x, w, random(t, {n, k}, 7)}, attrs(1, 0, static_cast<int64_t>(Op::gelu))}};
  return calls;
}

TEST(Tails, ProductsOfAnyWidthAndDepth) {
  for (const DType t : kKernelFloats) {
    for (const int64_t n : kSizes) {
      for (const auto& [m, k] : {std::pair<int64_t, int64_t>{1, 20}, {5, 16}, {9, n}}) {
        for (const OpCall& call : products(t, m, k, n)) {
          expect_agreement(call, std::to_string(m) + " x " + std::to_string(k) + " x " + std::to_string(n));
        }
      }
    }
  }
}

TEST(Tails, ProductsOfTwoDimensionsInEveryLayout) {
  for (const DType t : kKernelFloats) {
    for (const Layout layout : kLayouts) {
      for (const auto& [m, k, n] : std::vector<std::array<int64_t, 3>>{{2, 19, 7}, {7, 19, 33}, {33, 64, 40}, {70, 130, 100}}) {
        for (const OpCall& call : products(t, m, k, n, layout)) {
          expect_agreement(call,
                           std::string(name_of(layout)) + " " + std::to_string(m) + " x " + std::to_string(k) + " x " + std::to_string(n));
        }
      }
    }
  }
}

TEST(Tails, RowsOfAnyLength) {
  for (const DType t : kKernelFloats) {
    for (const int64_t n : kSizes) {
      const std::string what = "rows of " + std::to_string(n);
      const Tensor x = random(t, {3, n}, 1), y = random(t, {3, n}, 2), w = random(t, {n}, 3, 0.5, 1.5), b = random(t, {n}, 4);
      const Tensor eps = scalar(DType::f32, 1e-5), targets = random_indices(DType::i32, {3}, n, 5);
      const std::vector<OpCall> calls = {
          {Op::softmax, {x}, attrs(1)},
          {Op::softmax, {x}, attrs(0)},
          {Op::log_softmax, {x}, attrs(1)},
          {Op::softmax_backward, {x, y}, attrs(1)},
          {Op::scaled_softmax, {x, scalar(DType::f32, 0.7), scalar(DType::f32, 2)}, attrs(1)},
          {Op::rms_norm, {x, w, eps}},
          {Op::rms_norm_backward, {x, w, y, eps}},
          {Op::layer_norm, {x, w, b, eps}},
          {Op::layer_norm_backward, {x, w, y, eps}},
          {Op::add_rms_norm, {x, y, w, eps}},
          {Op::add_layer_norm, {x, y, w, b, eps}},
          {Op::cross_entropy, {x, targets, scalar(DType::f32, 0.1)}, attrs(-100)},
          {Op::linear_cross_entropy, {random(t, {3, 8}, 6), random(t, {8, n}, 7), targets, scalar(DType::f32, 0.1)}, attrs(-100)},
          {Op::sum, {x}, attrs(2)},
          {Op::sum, {x}, attrs(1, 1)},
          {Op::max, {x}, attrs(2)},
          {Op::min, {x}, attrs(1)},
          {Op::logsumexp, {x}, attrs(2)},
          {Op::argmax, {x}, attrs(2)},
          {Op::gelu, {x}},
          {Op::maximum, {x, w}},
          {Op::gather, {x, vector<int32_t>({2, 0, 2})}, attrs(0)},
          {Op::gather, {x, vector<int32_t>({static_cast<int32_t>(n - 1), 0})}, attrs(1)},
          {Op::sort, {x}, attrs(1)}};
      for (const OpCall& call : calls) expect_agreement(call, what);
    }
  }
}

TEST(Tails, AttentionOfAnyHeadSizeAndNumberOfKeys) {
  for (const DType t : kKernelFloats) {
    for (const int64_t n : kSizes) {
      for (const auto& [queries, keys, size, value_size] :
           std::vector<std::array<int64_t, 4>>{{3, n, 16, 16}, {n, 21, 16, 8}, {2, 9, n, 16}, {2, 9, 16, n}, {12, 18, n, n}}) {
        OpCall call{Op::sdpa,
                    {random(t, {1, 4, queries, size}, 1), random(t, {1, 2, keys, size}, 2), random(t, {1, 2, keys, value_size}, 3),
                     scalar(DType::f32, 0.3), scalar(DType::i32, static_cast<double>(keys))},
                    attrs(keys >= queries ? 1 : 0)};
        const std::string what = std::to_string(queries) + " queries, " + std::to_string(keys) + " keys, sizes " + std::to_string(size) +
                                 " and " + std::to_string(value_size);
        expect_agreement(call, what);
        if (keys == 1) continue;  // all weight is on it, and its slopes are differences of equal numbers
        const auto results = run(reference_backend(), call);
        OpCall back{Op::sdpa_backward, {call.inputs[0], call.inputs[1], call.inputs[2], results[0], results[1]}, call.attrs};
        back.inputs.push_back(random(t, results[0].shape(), 4));
        back.inputs.insert(back.inputs.end(), call.inputs.begin() + 3, call.inputs.end());
        expect_agreement(back, what);
      }
    }
  }
}

TEST(Tails, RotationsOfAnyHeadSizeAndPosition) {
  for (const DType t : kKernelFloats) {
    for (const int64_t half : {1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33}) {
      for (const auto& [tokens, offset] : {std::pair<int64_t, int64_t>{1, 256}, {3, 255}, {2, 0}}) {
        const Tensor cos = random(DType::f32, {tokens + offset, half}, 2, -1, 1),
                     sin = random(DType::f32, {tokens + offset, half}, 3, -1, 1);
        const Tensor x = random(t, {2, 3, tokens, 2 * half}, 1), at = scalar(DType::i32, static_cast<double>(offset));
        const std::string what = std::to_string(half) + " pairs, position " + std::to_string(offset);
        for (const int64_t back : {0, 1}) {
          expect_agreement({Op::rope, {x, cos, sin, at}, attrs(back)}, what);
          expect_agreement({Op::rope_pair, {x, random(t, {2, 1, tokens, 2 * half}, 4), cos, sin, at}, attrs(back)}, what);
        }
      }
    }
  }
}

}  // namespace
}  // namespace lazuli::conformance
