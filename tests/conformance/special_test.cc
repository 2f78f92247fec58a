// Checks NaN and infinity inside ordinary operands: the cpu backend gives them where the reference gives them, and nowhere else. What an op
// does not read (a hidden key, an ignored row, the branch that is not taken) leaves no trace.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "conformance/cases.h"
#include "graph/attention_operands.h"
#include "lazuli/op.h"

namespace lazuli::conformance {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

/// The tensor with `value` where `at` says so.
Tensor with(const Tensor& x, float value, const std::function<bool(int64_t)>& at) {
  std::vector<float> values = x.to_vector<float>();
  for (size_t k = 0; k < values.size(); ++k) values[k] = at(static_cast<int64_t>(k)) ? value : values[k];
  return Tensor::from_vector(values, x.shape()).to(x.dtype());
}
/// In rows of the last axis.
Tensor with_row(const Tensor& x, float value, int64_t row) {
  return with(x, value, [&](int64_t k) { return k / x.shape().back() == row; });
}
Tensor with_element(const Tensor& x, float value, int64_t element) {
  return with(x, value, [&](int64_t k) { return k == element; });
}

void expect_agreement(const OpCall& call, const Tolerance& tolerance, const std::string& what) {
  const auto wanted = run(reference_backend(), call), got = run(cpu_backend(), call);
  for (size_t j = 0; j < wanted.size(); ++j) {
    EXPECT_EQ(difference(got[j], wanted[j], tolerance), "") << name_of(call.op) << " " << what << ", result " << j;
  }
}

Tolerance loose(DType t) { return {16, t == DType::bf16 ? 0x1p17 : t == DType::f16 ? 0x1p14 : 128, 1}; }

bool is_nan_in_row(const Tensor& x, int64_t row) {
  const auto values = x.to_vector<float>();
  const auto size = static_cast<size_t>(x.shape().back());
  bool all = true;
  for (size_t k = static_cast<size_t>(row) * size; k < (static_cast<size_t>(row) + 1) * size; ++k) all = all && std::isnan(values[k]);
  return all;
}

/// The ops whose rows are independent of each other, of every size class that their tables have.
constexpr Op kRowOps[] = {Op::matmul,           Op::linear,        Op::lora_fused,          Op::lora_linear, Op::gated_linear,
                          Op::quantized_linear, Op::rms_norm,      Op::layer_norm,          Op::softmax,     Op::log_softmax,
                          Op::scaled_softmax,   Op::cross_entropy, Op::linear_cross_entropy};

TEST(SpecialValues, ARowThatIsNotFiniteSpoilsItsOwnResultsOnly) {
  for (const Op op : kRowOps) {
    size_t tried = 0;
    for (const Case& c : cases_of(op).value_or(Cases())) {
      const Tensor& x = c.call.inputs[0];
      const int64_t rows = x.shape().back() == 0 ? 0 : x.numel() / x.shape().back();
      if (x.dtype() == DType::f64 || !is_float(x.dtype()) || rows < 2 || !x.is_contiguous() || ++tried % 7 != 0) continue;
      for (const float value : {kNan, kInf}) {
        OpCall call = c.call;
        call.inputs[0] = with_row(x, value, rows / 2);
        const auto wanted = run(reference_backend(), call), got = run(cpu_backend(), call), clean = run(cpu_backend(), c.call);
        // Signs and sums of infinities differ with the order of a sum; what matters is which numbers are finite, and what these are.
        const auto w = wanted[0].to_vector<double>(), g = got[0].to_vector<double>(), before = clean[0].to_vector<double>();
        for (size_t k = 0; k < w.size(); ++k) {
          ASSERT_EQ(std::isfinite(g[k]), std::isfinite(w[k]))
              << name_of(op) << " " << c.label << " element " << k << " of a row of " << value;
          if (std::isfinite(w[k]) && op != Op::matmul) {
            ASSERT_NEAR(g[k], w[k], 0.02 * std::max(1.0, std::abs(w[k]))) << name_of(op) << " " << c.label << " element " << k;
          }
        }
      }
    }
  }
}

struct Mask {
  const char* name;
  int64_t queries, keys, length;
  bool causal;
  enum Kind { none, boolean, added } kind;
};
constexpr int64_t kHeads = 4, kKvHeads = 2, kHead = 24;
const Mask kMasks[] = {{"length", 5, 40, 23, false, Mask::none},
                       {"causal", 40, 40, 40, true, Mask::none},
                       {"causal in a cache", 3, 70, 50, true, Mask::none},
                       {"bool mask", 9, 40, 40, false, Mask::boolean},
                       {"bool mask, many", 70, 70, 70, false, Mask::boolean},
                       {"bool mask, causal", 33, 33, 33, true, Mask::boolean},
                       {"one query", 1, 40, 40, false, Mask::boolean}};

/// Key 20 and everything after 30 is hidden from every query by the mask.
bool hidden(const Mask& m, int64_t t, int64_t j) {
  if (j >= m.length || (m.causal && j > m.length - m.queries + t)) return true;
  return m.kind == Mask::boolean && (j == 20 || j > 30 || (t + j) % 5 == 0);
}

OpCall attention(const Mask& m, DType t) {
  OpCall call{Op::sdpa,
              {random(t, {2, kHeads, m.queries, kHead}, 1), random(t, {2, kKvHeads, m.keys, kHead}, 2),
               random(t, {2, kKvHeads, m.keys, kHead}, 3), scalar(DType::f32, 0.3), scalar(DType::i32, static_cast<double>(m.length))}};
  call.attrs.i[0] = m.causal ? 1 : 0;
  if (m.kind == Mask::none) return call;
  std::vector<float> values;
  for (int64_t i = 0; i < m.queries; ++i) {
    for (int64_t j = 0; j < m.keys; ++j)
      values.push_back(hidden(m, i, j) ? (m.kind == Mask::added ? -kInf : 0) : (m.kind == Mask::added ? 0.25F : 1));
  }
  call.inputs.push_back(Tensor::from_vector(values, {m.queries, m.keys}).to(m.kind == Mask::added ? t : DType::boolean));
  call.attrs.i[3] = static_cast<int64_t>(AttentionPart::mask);
  return call;
}

OpCall backward_of(const OpCall& f, const std::vector<Tensor>& results) {
  OpCall call{Op::sdpa_backward, {f.inputs[0], f.inputs[1], f.inputs[2], results[0], results[1]}, f.attrs};
  call.inputs.push_back(random(results[0].dtype(), results[0].shape(), 4));
  call.inputs.insert(call.inputs.end(), f.inputs.begin() + 3, f.inputs.end());
  return call;
}

/// Whether query t of some head sees key j.
bool anyone_sees(const Mask& m, int64_t j) {
  for (int64_t t = 0; t < m.queries; ++t) {
    if (!hidden(m, t, j)) return true;
  }
  return false;
}

TEST(SpecialValues, AttentionDoesNotReadWhatNoQuerySees) {
  for (const DType t : {DType::f32, DType::bf16, DType::f16}) {
    for (const Mask& m : kMasks) {
      const OpCall clean = attention(m, t);
      const auto wanted = run(cpu_backend(), clean);
      const auto gradients = run(cpu_backend(), backward_of(clean, wanted));
      for (const float value : {kNan, kInf, -kInf}) {
        OpCall call = clean;
        for (const size_t operand : {size_t{1}, size_t{2}}) {
          call.inputs[operand] = with(call.inputs[operand], value, [&](int64_t k) { return !anyone_sees(m, k / kHead % m.keys); });
        }
        const std::string what = std::string(name_of(t)) + " " + m.name + " " + std::to_string(value);
        for (const Backend* backend : {&reference_backend(), &cpu_backend()}) {
          const auto got = run(*backend, call);
          for (size_t j = 0; j < 2; ++j) EXPECT_EQ(difference(got[j], wanted[j], loose(t)), "") << backend->name() << " " << what;
          const auto slopes = run(*backend, backward_of(call, got));
          for (size_t j = 0; j < 3; ++j) EXPECT_EQ(difference(slopes[j], gradients[j], loose(t)), "") << backend->name() << " " << what;
        }
      }
    }
  }
}

TEST(SpecialValues, AttentionOfQueriesThatSeeAKeyThatIsNotFinite) {
  for (const DType t : {DType::f32, DType::bf16}) {
    for (const Mask& m : kMasks) {
      for (const size_t operand : {size_t{0}, size_t{1}, size_t{2}}) {
        // With no query left that has a number the kernel does not look which key each of them sees.
        if (operand == 0 && m.queries == 1) continue;
        OpCall call = attention(m, t);
        const int64_t at = operand == 0 ? m.queries / 2 : 7;
        const int64_t tokens = operand == 0 ? m.queries : m.keys;
        call.inputs[operand] = with(call.inputs[operand], kNan, [&](int64_t k) { return k / kHead % tokens == at; });
        const std::string what = std::string(name_of(t)) + " " + m.name + " operand " + std::to_string(operand);
        expect_agreement(call, loose(t), what);
        expect_agreement(backward_of(call, run(reference_backend(), call)), loose(t), what + ", gradient");
      }
    }
  }
}

TEST(SpecialValues, AMaskOfNumbersIsAddedAsAnyNumber) {
  const Mask m{"added", 12, 40, 40, false, Mask::added};
  for (const DType t : {DType::f32, DType::bf16, DType::f16}) {
    const OpCall clean = attention(m, t);
    expect_agreement(clean, loose(t), "finite");
    // NaN and -inf are NaN, as in softmax(scores + mask): every query that has the score is spoilt.
    OpCall key = clean;
    key.inputs[1] = with(key.inputs[1], kNan, [&](int64_t k) { return k / kHead % m.keys == 20; });
    OpCall value = clean;
    value.inputs[2] = with(value.inputs[2], kNan, [&](int64_t k) { return k / kHead % m.keys == 20; });
    for (const Backend* backend : {&reference_backend(), &cpu_backend()}) {
      EXPECT_TRUE(is_nan_in_row(run(*backend, key)[0], 3)) << backend->name();
      EXPECT_TRUE(is_nan_in_row(run(*backend, value)[0], 3)) << backend->name();
    }
    // Rows that see nothing are zeros whatever the values are.
    OpCall none = value;
    none.inputs[5] = with(none.inputs[5], -kInf, [](int64_t) { return true; });
    expect_agreement(none, loose(t), "all hidden");
  }
}

TEST(SpecialValues, AnIgnoredRowHasNoLossAndNoGradient) {
  for (const DType t : {DType::f32, DType::bf16, DType::f16}) {
    for (const double smoothing : {0.0, 0.1}) {
      const Tensor targets = vector<int32_t>({3, -100, 0, -100, 8});
      for (const float value : {kNan, kInf, -kInf}) {
        const Tensor logits = with_row(with_row(random(t, {5, 9}, 1), value, 1), value, 3);
        Attrs attrs;
        attrs.i[0] = -100;
        const OpCall call{Op::cross_entropy, {logits, targets, scalar(DType::f32, smoothing)}, attrs};
        for (const Backend* backend : {&reference_backend(), &cpu_backend()}) {
          const auto results = run(*backend, call);
          const auto loss = results[0].to_vector<float>();
          EXPECT_EQ(loss[1], 0);
          EXPECT_EQ(loss[3], 0);
          EXPECT_TRUE(std::isfinite(loss[0]) && std::isfinite(loss[4]));
          const OpCall back{Op::cross_entropy_backward, {logits, targets, call.inputs[2], results[1], random(DType::f32, {5}, 2)}, attrs};
          const auto slope = run(*backend, back)[0].to_vector<float>();
          for (size_t k = 9; k < 18; ++k) EXPECT_EQ(slope[k], 0) << backend->name();
          for (size_t k = 0; k < 9; ++k) EXPECT_TRUE(std::isfinite(slope[k])) << backend->name();
        }
        const OpCall linear{Op::linear_cross_entropy,
                            {with_row(with_row(random(t, {5, 16}, 3), value, 1), value, 3), random(t, {16, 9}, 4), targets, call.inputs[2]},
                            attrs};
        for (const Backend* backend : {&reference_backend(), &cpu_backend()}) {
          const auto results = run(*backend, linear);
          EXPECT_EQ(results[0].to_vector<float>()[1], 0) << backend->name();
          const auto slope = results[2].to_vector<float>();
          for (size_t k = 0; k < 32; ++k)
            EXPECT_EQ(slope[k] == 0, k >= 16) << backend->name() << " " << name_of(t) << " " << value << " " << k;
        }
      }
    }
  }
}

TEST(SpecialValues, TheBranchThatIsNotTakenLeavesNoTrace) {
  for (const DType t : {DType::f32, DType::bf16, DType::f16}) {
    const Tensor condition = random(DType::boolean, {5, 33}, 9, 0, 2);
    const auto taken = condition.to_vector<float>();
    const Tensor a = with(random(t, {5, 33}, 1), kNan, [&](int64_t k) { return taken[static_cast<size_t>(k)] == 0; });
    const Tensor b = with(random(t, {5, 33}, 2), kInf, [&](int64_t k) { return taken[static_cast<size_t>(k)] != 0; });
    for (const Backend* backend : {&reference_backend(), &cpu_backend()}) {
      for (float v : run(*backend, {Op::where, {condition, a, b}})[0].to_vector<float>()) EXPECT_TRUE(std::isfinite(v)) << backend->name();
    }
  }
}

TEST(SpecialValues, SoftmaxWithHiddenElements) {
  for (const Op op : {Op::softmax, Op::log_softmax}) {
    for (const DType t : {DType::f32, DType::bf16, DType::f16}) {
      for (const int64_t n : {1, 15, 16, 17, 40}) {
        const Tensor x = random(t, {6, n}, 1);
        Tensor y = with(x, -kInf, [&](int64_t k) { return k / n == 0 || (k / n < 4 && k % 3 == 0); });  // row 0 is hidden whole
        y = with_element(with_element(y, kNan, 4 * n), kInf, 5 * n);
        OpCall call{op, {y}};
        call.attrs.i[0] = 1;
        expect_agreement(call, {8, 8, 1}, std::string(name_of(t)) + " " + std::to_string(n));
        const auto wanted = run(cpu_backend(), call)[0].to_vector<float>();
        for (int64_t row : {0, 4, 5}) EXPECT_TRUE(std::isnan(wanted[static_cast<size_t>(row * n)])) << name_of(op) << " row " << row;
      }
    }
  }
}

}  // namespace
}  // namespace lazuli::conformance
