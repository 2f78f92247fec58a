// Checks the reference backend, the oracle of all others, against numbers worked out by hand or by PyTorch 2 in double.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "conformance/cases.h"
#include "graph/attention_operands.h"
#include "lazuli/op.h"
#include "support/attributes.h"

namespace lazuli::conformance {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

Tensor f64(const std::vector<double>& values, const Shape& shape) { return Tensor::from_vector(values, shape); }
Tensor f64(const std::vector<double>& values) { return vector(values); }
Tensor i32(const std::vector<int32_t>& values) { return vector(values); }
Tensor number(double v) { return scalar(DType::f64, v); }
Tensor integer(int v) { return scalar(DType::i32, v); }

std::vector<Tensor> reference(OpCall call) { return run(reference_backend(), call); }

void expect_values(const Tensor& got, const std::vector<double>& wanted, double error = 1e-8) {
  const auto values = got.to_vector<double>();
  ASSERT_EQ(values.size(), wanted.size());
  for (size_t k = 0; k < values.size(); ++k) {
    if (std::isnan(wanted[k])) {
      EXPECT_TRUE(std::isnan(values[k])) << "element " << k;
    } else if (std::isinf(wanted[k])) {
      EXPECT_EQ(values[k], wanted[k]) << "element " << k;
    } else {
      EXPECT_NEAR(values[k], wanted[k], error) << "element " << k;
    }
  }
}

TEST(Reference, Activations) {
  const Tensor x = f64({-3, -0.5, 0, 0.5, 2});
  expect_values(reference({Op::gelu, {x}})[0], {-0.00404969409, -0.154268769, 0, 0.345731231, 1.95449974});
  expect_values(reference({Op::gelu_tanh, {x}})[0], {-0.00363739208, -0.15428599, 0, 0.34571401, 1.95459769});
  expect_values(reference({Op::silu, {x}})[0], {-0.14227762, -0.188770334, 0, 0.311229666, 1.76159416});
  expect_values(reference({Op::erf, {x}})[0], {-0.99997791, -0.520499878, 0, 0.520499878, 0.995322265});
  expect_values(reference({Op::relu, {f64({-1, 2, kNan})}})[0], {0, 2, kNan});
}

TEST(Reference, NanGoesThroughMaximumAndClip) {
  expect_values(reference({Op::maximum, {f64({kNan, 1, 2}), f64({1, kNan, 3})}})[0], {kNan, kNan, 3});
  expect_values(reference({Op::clip, {f64({kNan, -9, 9}), number(-1), number(1)}})[0], {kNan, -1, 1});
  expect_values(reference({Op::max, {f64({1, kNan, 3})}, attrs(1)})[0], {kNan});
}

TEST(Reference, IntegersWrapAndNeverTrap) {
  const Tensor low = i32({std::numeric_limits<int32_t>::min(), 7, -7});
  expect_values(reference({Op::div, {low, i32({-1, 0, 2})}})[0], {-2147483648.0, 0, -3});
  expect_values(reference({Op::neg, {low}})[0], {-2147483648.0, -7, 7});
  expect_values(reference({Op::mul, {i32({65536}), i32({65537})}})[0], {65536});
  expect_values(reference({Op::add, {random(DType::u8, {1}, 1, 200, 201), random(DType::u8, {1}, 1, 100, 101)}})[0], {44});
}

TEST(Reference, RoundsOnceToSixteenBits) {
  // Just above the tie between 1 and 1 + 2^-7: rounding to f32 first would land on the tie and go down.
  const double above_tie = 1 + 0x1p-8 + 0x1p-40;
  OpCall call{Op::full, {}, attrs(std::bit_cast<int64_t>(above_tie)), TensorSpec{DType::bf16, {1}}};
  expect_values(reference(call)[0], {1 + 0x1p-7}, 0);
  call.attrs = attrs(std::bit_cast<int64_t>(1 + 0x1p-8));
  expect_values(reference(call)[0], {1}, 0);
  call.attrs = attrs(std::bit_cast<int64_t>(3.4e38 * 10));
  expect_values(reference(call)[0], {kInf}, 0);
}

TEST(Reference, Reductions) {
  const Tensor x = f64({1, 2, 4, 0, -1, 3}, {2, 3});
  expect_values(reference({Op::sum, {x}, attrs(1)})[0], {1, 1, 7});
  expect_values(reference({Op::mean, {x}, attrs(3)})[0], {1.5});
  expect_values(reference({Op::logsumexp, {x}, attrs(2)})[0], {4.16984602, 3.0658839});
  expect_values(reference({Op::var, {x}, attrs(2)})[0], {1.55555556, 2.88888889});
  expect_values(reference({Op::var, {x}, attrs(2, 0, 1)})[0], {2.33333333, 4.33333333});
  expect_values(reference({Op::argmax, {f64({1, 5, 5, kNan, kNan, 9}, {2, 3})}, attrs(2)})[0], {1, 0});
  expect_values(reference({Op::logsumexp, {f64({-kInf, -kInf})}, attrs(1)})[0], {-kInf});
}

TEST(Reference, Softmax) {
  const Tensor x = f64({1, 2, 4, 0, -1, 3}, {2, 3});
  expect_values(reference({Op::softmax, {x}, attrs(1)})[0],
                {0.0420100661, 0.114195199, 0.843794734, 0.0466126226, 0.0171478255, 0.936239552});
  expect_values(reference({Op::log_softmax, {x}, attrs(0)})[0],
                {-0.313261688, -0.0485873516, -0.313261688, -1.31326169, -3.04858735, -1.31326169});
  const Tensor half = f64({0.5, 1, 2, 0, -0.5, 1.5}, {2, 3});
  const auto scaled = reference({Op::scaled_softmax, {half, number(2), number(10)}, attrs(1)})[0];
  expect_values(scaled, {0.420100661, 1.14195199, 8.43794734, 0.466126226, 0.171478255, 9.36239552}, 1e-7);
}

TEST(Reference, NormsAndTheirGradients) {
  const Tensor x = f64({1, 2, 4, 0, -1, 3}, {2, 3}), weight = f64({1, 2, 0.5}), bias = f64({0, 1, -1});
  const Tensor g = f64({1, -1, 2, 0.5, 0, 1}, {2, 3}), eps = number(1e-5);
  expect_values(reference({Op::layer_norm, {x, weight, bias, eps}})[0],
                {-1.06904153, 0.465479234, -0.331849043, -0.392231591, -0.961157957, -0.313594715});
  expect_values(reference({Op::layer_norm_backward, {x, weight, g, eps}})[0],
                {1.03086, -1.54629258, 0.515432579, 0.135772343, -0.101829682, -0.0339426616});
  expect_values(reference({Op::rms_norm, {x, weight, eps}})[0], {0.377964203, 1.51185681, 0.755928406, 0, -1.09544347, 0.821582604});
  expect_values(reference({Op::rms_norm_backward, {x, weight, g, eps}})[0],
                {0.359965933, -0.791924945, 0.305971124, 0.273860868, 0.0821580139, 0.0273868262});
}

TEST(Reference, GroupNorm) {
  std::vector<double> values;
  for (int k = 1; k < 9; ++k) values.push_back(std::pow(k, 1.5));
  const OpCall call{Op::group_norm, {f64(values, {1, 4, 2}), f64({1, 2, 3, 4}), f64({0, 1, 0, 1}), number(1e-5)}, attrs(2)};
  expect_values(reference(call)[0], {-1.24092107, -0.544105103, 1.7164762, 3.85357614, -3.91796851, -1.44699063, 2.65267873, 6.50060012});
}

TEST(Reference, CrossEntropy) {
  const Tensor logits = f64({1, 2, 3, 4, 0, 0, 5, 1, 2, 2, 2, 2}, {3, 4}), targets = i32({3, -100, 0});
  const auto plain = reference({Op::cross_entropy, {logits, targets, number(0)}, attrs(-100)});
  expect_values(plain[0], {0.440189699, 0, 1.38629436});
  const auto smooth = reference({Op::cross_entropy, {logits, targets, number(0.2)}, attrs(-100)});
  expect_values(smooth[0], {0.740189699, 0, 1.38629436});
  const Tensor g = f64({1, 1, 0.5});
  expect_values(reference({Op::cross_entropy_backward, {logits, targets, number(0.2), smooth[1], g}, attrs(-100)})[0],
                {-0.0179413967, 0.0371443187, 0.186882818, -0.20608574, 0, 0, 0, 0, -0.3, 0.1, 0.1, 0.1});
}

TEST(Reference, AttentionAndItsGradient) {
  std::vector<double> q, k, v;
  for (int i = 0; i < 8; ++i) q.push_back(i / 4.0 - 0.7);
  for (int i = 0; i < 6; ++i) k.push_back(i * 0.3 - 0.5);
  for (int i = 0; i < 6; ++i) v.push_back(i * i / 10.0);
  const std::vector<Tensor> qkv = {f64(q, {1, 2, 2, 2}), f64(k, {1, 1, 3, 2}), f64(v, {1, 1, 3, 2})};
  // Two queries, three keys: causal hides the last key from the first query.
  OpCall call{Op::sdpa, {qkv[0], qkv[1], qkv[2], number(0.8), integer(3)}, attrs(1)};
  const auto results = reference(call);
  expect_values(results[0], {0.146160207, 0.392320415, 0.628529909, 1.10934648, 0.240243288, 0.580486576, 1.11627034, 1.82646523});
  expect_values(results[1], {0.806761217, 1.10033954, 0.709812438, 1.74592595});
  const Tensor mask = Tensor::from_vector<double>({1, 1, 0, 1, 1, 1}, {2, 3}).to(DType::boolean);
  OpCall masked{Op::sdpa, {qkv[0], qkv[1], qkv[2], number(0.8), integer(3), mask}, attrs(0)};
  masked.attrs.i[3] = static_cast<int64_t>(AttentionPart::mask);
  EXPECT_TRUE(identical(reference(masked)[0], results[0]));

  const Tensor g = f64({1, -1, 0.5, 2, 1, 0, 0, 1}, {1, 2, 2, 2});
  call = {Op::sdpa_backward, {qkv[0], qkv[1], qkv[2], results[0], results[1], g, number(0.8), integer(3)}, attrs(1)};
  const auto gradients = reference(call);
  expect_values(gradients[0],
                {-0.0445215321, -0.0445215321, 0.886021779, 0.886021779, 0.0460565733, 0.0460565733, 0.293275664, 0.293275664});
  expect_values(gradients[1], {-0.0598341467, -0.264310352, -0.0509954069, -0.134056532, 0.110829554, 0.398366884});
  expect_values(gradients[2], {1.21279139, 0.187708121, 1.13238778, 0.560414213, 0.154820837, 1.25187767});
}

TEST(Reference, AttentionWithoutKeysGivesZeros) {
  const Tensor one = f64({1}, {1, 1, 1, 1});
  const auto results = reference({Op::sdpa, {one, one, one, number(1), integer(0)}});
  expect_values(results[0], {0});
  expect_values(results[1], {-kInf});
}

TEST(Reference, AdamWStepsAsTorchDoes) {
  Tensor parameter = f64({1, -2, 0.5}), m = Tensor::zeros(DType::f64, {3}), v = m;
  const std::vector<std::vector<double>> wanted = {{0.875199601, -1.8500999, 0.387898406}, {0.757388358, -1.70785609, 0.28238958}};
  for (int step = 1; step <= 2; ++step) {
    OpCall call{Op::adamw, {parameter, f64({0.5, -1, 0.25}), m, v}};
    for (double value : {0.1, 0.875, 0.9375, 1e-3, 0.25}) call.inputs.push_back(number(value));
    call.inputs.insert(call.inputs.end(), {integer(step), number(step)});  // the gradient factor makes the second gradient twice the first
    const auto results = reference(call);
    parameter = results[0], m = results[1], v = results[2];
    expect_values(parameter, wanted[static_cast<size_t>(step - 1)]);
  }
  expect_values(m, {0.1796875, -0.359375, 0.08984375});
  expect_values(v, {0.0771484375, 0.30859375, 0.0192871094});
}

TEST(Reference, Rope) {
  const Tensor x = f64({1, 2, 3, 4, 9}, {1, 5}), cos = f64({1, 1, 0, 0.6}, {2, 2}), sin = f64({0, 0, 1, 0.8}, {2, 2});
  const auto rotated = reference({Op::rope, {x, cos, sin, integer(1)}})[0];
  expect_values(rotated, {-3, 2 * 0.6 - 4 * 0.8, 1, 4 * 0.6 + 2 * 0.8, 9});
  expect_values(reference({Op::rope, {rotated, cos, sin, integer(1)}, attrs(1)})[0], {1, 2, 3, 4, 9});
  const Tensor rows = f64({1, 2, 3, 4, 1, 2, 3, 4}, {2, 1, 4});
  expect_values(reference({Op::rope, {rows, cos, sin, i32({1, 0})}})[0], {-3, 2 * 0.6 - 4 * 0.8, 1, 4 * 0.6 + 2 * 0.8, 1, 2, 3, 4});
}

TEST(Reference, MatmulReadsTransposedAndBroadcastsBatches) {
  const Tensor a = f64({1, 2, 3, 4, 5, 6}, {2, 3}), b = f64({1, 0, 2, 1, 0, 3}, {3, 2});
  const std::vector<double> product = {5, 11, 14, 23};
  expect_values(reference({Op::matmul, {a, b}})[0], product);
  expect_values(reference({Op::matmul, {f64({1, 4, 2, 5, 3, 6}, {3, 2}), b}, attrs(1)})[0], product);
  expect_values(reference({Op::matmul, {a, f64({1, 2, 0, 0, 1, 3}, {2, 3})}, attrs(0, 1)})[0], product);
  const Tensor twice(DType::f64, {2, 2, 3}, {0, 3, 1}, a.buffer(), a.offset_bytes());
  expect_values(reference({Op::matmul, {twice, b}})[0], {5, 11, 14, 23, 5, 11, 14, 23});
}

TEST(Reference, LinearAndLora) {
  const Tensor x = f64({1, 2}, {1, 2}), w = f64({1, 0, 0, 1}, {2, 2}), a = f64({1, 1}, {2, 1}), b = f64({2, -1}, {1, 2});
  const OpCall linear{Op::linear, {x, w, f64({1, -9}), f64({0, 1}, {1, 2})}, attrs(0, 3, static_cast<int64_t>(Op::relu))};
  expect_values(reference(linear)[0], {2, 0});
  expect_values(reference({Op::lora_fused, {x, a, b, number(0.5)}})[0], {3, -1.5});
  expect_values(reference({Op::lora_linear, {x, w, a, b, number(0.5), f64({10, 20})}})[0], {14, 20.5});
}

TEST(Reference, GatherAndScatter) {
  const Tensor x = f64({1, 2, 3, 4, 5, 6}, {3, 2});
  expect_values(reference({Op::gather, {x, i32({2, 0})}, attrs(0)})[0], {5, 6, 1, 2});
  expect_values(reference({Op::gather, {x, i32({1})}, attrs(1)})[0], {2, 4, 6});
  expect_values(reference({Op::take_along, {x, i32({1, 0, 1}).reshape({3, 1})}, attrs(1)})[0], {2, 3, 6});
  expect_values(reference({Op::scatter_add, {x, i32({0, 0}), f64({10, 20, 30, 40}, {2, 2})}, attrs(0)})[0], {41, 62, 3, 4, 5, 6});
  expect_values(reference({Op::scatter_along_add, {x, i32({2, 1}).reshape({1, 2}), f64({10, 20}, {1, 2})}, attrs(0)})[0],
                {1, 2, 3, 24, 15, 6});
}

TEST(Reference, MovesData) {
  const Tensor x = f64({1, 2, 3, 4}, {2, 2});
  expect_values(reference({Op::concat, {x, f64({8, 9}, {2, 1})}, attrs(1)})[0], {1, 2, 8, 3, 4, 9});
  expect_values(reference({Op::pad, {f64({1, 2}), number(7)}, attrs(0, 0, 0, {1, 2})})[0], {7, 1, 2, 7, 7});
  const OpCall update{Op::slice_update, {f64({0, 1, 2, 3, 4, 5}), f64({-1, -2}), integer(1)}, attrs(0, 0, 0, {1, 2})};
  expect_values(reference(update)[0], {0, 1, -1, 3, -2, 5});
  const OpCall by_row{
      Op::slice_update, {f64({0, 1, 2, 3, 4, 5}, {2, 3}), f64({-1, -2}, {2, 1}), i32({2, 0})}, attrs(1, 0, 0, {0, 0, 1, 1})};
  expect_values(reference(by_row)[0], {0, 1, -1, -2, 4, 5});
  expect_values(reference({Op::slice_at, {x, integer(1)}, attrs(0), TensorSpec{DType::f64, {1, 2}}})[0], {3, 4});
  expect_values(reference({Op::one_hot, {i32({1, 0})}, attrs(2, static_cast<int64_t>(DType::i8))})[0], {0, 1, 1, 0});
  const OpCall q{Op::dequantize, {random(DType::u8, {4}, 1, 5, 6), f64({0.5, 2}), f64({1, 3})}, attrs(2, 0)};
  expect_values(reference(q)[0], {2, 2, 4, 4});
}

TEST(Reference, SortIsStableWithNanLast) {
  const Tensor x = f64({2, kNan, 1, 2, -kInf, kNan});
  const auto up = reference({Op::sort, {x}, attrs(0, 0)}), down = reference({Op::topk, {x}, attrs(0, 1, 4)});
  expect_values(up[0], {-kInf, 1, 2, 2, kNan, kNan});
  expect_values(up[1], {4, 2, 0, 3, 1, 5});
  expect_values(down[0], {2, 2, 1, -kInf});
  expect_values(down[1], {0, 3, 2, 4});
}

TEST(Reference, DropoutKeepsTheMean) {
  const Tensor ones = reference({Op::full, {}, attrs(std::bit_cast<int64_t>(1.0)), TensorSpec{DType::f64, {20000}}})[0];
  const auto dropped = reference({Op::dropout, {ones, number(0.25), scalar(DType::i64, 3)}})[0];
  EXPECT_NEAR(reference({Op::mean, {dropped}, attrs(1)})[0].item(), 1.0, 0.02);
}

TEST(Reference, FusedChainsFold) {
  auto program = std::make_shared<ElementwiseProgram>();
  program->inputs = 2;
  program->shape = {2, 3};
  program->code = {{Op::mul, {0, 1, 0}, DType::f64}, {Op::neg, {2, 0, 0}, DType::f64}};
  program->outputs = {3, 2};
  OpCall call{Op::fused_elementwise, {f64({1, 2, 3, 4, 5, 6}, {2, 3}), f64({1, 0, 2})}, {}, {}, program};
  expect_values(reference(call)[0], {-1, 0, -6, -4, 0, -12});
  expect_values(reference(call)[1], {1, 0, 6, 4, 0, 12});
  program->outputs = {3};
  program->reduces = true;
  program->reduction = Op::mean;
  program->axes = 1;
  expect_values(reference(call)[0], {-2.5, 0, -9});
}

}  // namespace
}  // namespace lazuli::conformance
