// Checks ops whose operands are views of one value that dies there: a result that takes its memory must not overwrite what is read later.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "lazuli/op.h"
#include "lazuli/ops.h"
#include "lazuli/transforms.h"

namespace lazuli {
namespace {

constexpr int64_t kSide = 48;

Tensor square_of_numbers(DType dtype) {
  std::vector<float> values;
  for (int64_t k = 0; k < kSide * kSide; ++k) values.push_back(static_cast<float>(k * 37 % 101 - 50) / 16);
  return Tensor::from_vector(values, {kSide, kSide}).to(dtype);
}

struct View {
  const char* name;
  std::function<LazyTensor(const LazyTensor&)> of;
};
/// Of (n, n), each to be read beside the whole.
const View kViews[] = {
    {"itself", [](const LazyTensor& s) { return s; }},
    {"transposed", [](const LazyTensor& s) { return transpose(s); }},
    {"first row", [](const LazyTensor& s) { return s.slice(0, 0, 1); }},
    {"last row", [](const LazyTensor& s) { return s.slice(0, kSide - 1, kSide); }},
    {"first column", [](const LazyTensor& s) { return s.slice(1, 0, 1); }},
    {"last column", [](const LazyTensor& s) { return s.slice(1, kSide - 1, kSide); }},
    {"diagonal",
     [](const LazyTensor& s) {
       return s.reshape({kSide * kSide}).slice(0, 0, kSide * kSide, kSide + 1).reshape({kSide, 1});
     }},
    {"blocks exchanged",
     [](const LazyTensor& s) {
       return s.reshape({2, kSide / 2, 2, kSide / 2}).permute({2, 1, 0, 3}).reshape({kSide, kSide});
     }},
};

struct Use {
  const char* name;
  std::function<LazyTensor(const LazyTensor& s, const LazyTensor& view)> of;
};
const Use kUses[] = {
    {"s + v", [](const LazyTensor& s, const LazyTensor& v) { return s + v; }},
    {"v - s", [](const LazyTensor& s, const LazyTensor& v) { return v - s; }},
    {"chain", [](const LazyTensor& s, const LazyTensor& v) { return tanh(s * 0.5) * v + s; }},
    {"where", [](const LazyTensor& s, const LazyTensor& v) { return where(greater(v, s), s, v); }},
    {"chain and sum", [](const LazyTensor& s, const LazyTensor& v) { return sum(exp(s * 0.125) * v, {1}); }},
    {"softmax backward",
     [](const LazyTensor& s, const LazyTensor& v) {
       Attrs attrs;
       attrs.i[0] = 1;
       return record(Op::softmax_backward, {s, expand(v, s.shape())}, attrs);
     }},
    {"product", [](const LazyTensor& s, const LazyTensor& v) { return s + matmul(s, expand(v, s.shape())); }},
    {"norm of the sum",
     [](const LazyTensor& s, const LazyTensor& v) { return rms_norm(s + expand(v, s.shape()), LazyTensor::ones({kSide}, s.dtype())); }},
};

/// What an op gives that makes a value of its own, in memory that dies with it.
LazyTensor made(const LazyTensor& x) { return softmax(x) * 3.0; }

/// Products may add in another order where an operand lies otherwise; what was overwritten is off by more.
bool close(const Tensor& got, const Tensor& wanted) {
  if (got.shape() != wanted.shape() || got.dtype() != wanted.dtype()) return false;
  const double unit = got.dtype() == DType::f32 ? 0x1p-16 : 0x1p-7;
  const auto a = got.to_vector<double>(), b = wanted.to_vector<double>();
  for (size_t k = 0; k < a.size(); ++k) {
    if (!(std::abs(a[k] - b[k]) <= unit * std::max(1.0, std::abs(b[k])))) return false;
  }
  return true;
}

TEST(Aliasing, AValueBesideAViewOfItself) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor x = square_of_numbers(dtype);
    const LazyTensor value = LazyTensor::from_tensor(made(LazyTensor::from_tensor(x)).eval());
    for (const View& view : kViews) {
      // A copy of the view shares nothing with the value.
      const LazyTensor apart = LazyTensor::from_tensor(view.of(value).eval().contiguous());
      for (const Use& use : kUses) {
        const Tensor wanted = use.of(value, apart).eval();
        const LazyTensor s = made(LazyTensor::from_tensor(x));
        EXPECT_TRUE(close(use.of(s, view.of(s)).eval(), wanted)) << name_of(dtype) << " " << use.name << " " << view.name;
      }
    }
  }
}

TEST(Aliasing, ADonatedArgumentBesideAViewOfItself) {
  const Tensor x = square_of_numbers(DType::f32);
  for (const View& view : kViews) {
    for (const Use& use : kUses) {
      const LazyTensor value = LazyTensor::from_tensor(x);
      const Tensor wanted = use.of(value, LazyTensor::from_tensor(view.of(value).eval().contiguous())).eval();
      auto f = compile([&](std::span<const LazyTensor> a) { return std::vector<LazyTensor>{use.of(a[0], view.of(a[0]))}; });
      f.donate({0});
      std::vector<Tensor> arguments;
      arguments.push_back(Tensor::from_vector(x.to_vector<float>(), x.shape()));
      EXPECT_TRUE(close(f(std::move(arguments))[0], wanted)) << use.name << " " << view.name;
    }
  }
}

/// Updates write into their first operand's memory while they read the others.
TEST(Aliasing, AnUpdateByAPartOfTheUpdatedValue) {
  const Tensor x = square_of_numbers(DType::f32);
  const int64_t to[] = {kSide / 2, 0};
  for (const int64_t from : {int64_t{0}, kSide / 4, kSide / 2}) {
    const LazyTensor value = LazyTensor::from_tensor(made(LazyTensor::from_tensor(x)).eval());
    const LazyTensor apart = LazyTensor::from_tensor(value.slice(0, from, from + kSide / 2).eval().contiguous());
    const Tensor wanted = slice_update(value, apart, to).eval();
    const LazyTensor s = made(LazyTensor::from_tensor(x));
    EXPECT_TRUE(close(slice_update(s, s.slice(0, from, from + kSide / 2), to).eval(), wanted)) << from;
  }
}

TEST(Aliasing, ATransposedValueEntersProductsWithAnAdapter) {
  const Tensor x = square_of_numbers(DType::f32);
  const auto part = [&](int64_t rows, int64_t columns) {
    return LazyTensor::from_tensor(LazyTensor::from_tensor(x).slice(0, 0, rows).slice(1, 0, columns).eval().contiguous());
  };
  const LazyTensor w = part(kSide, 20), a = part(kSide, 4), b = part(4, 20);
  const auto adapted = [&](const LazyTensor& in) { return matmul(in, w) + matmul(matmul(in, a), b) * 0.5; };
  for (const int64_t rows : {1, 3, 17, 48}) {
    const LazyTensor tall = LazyTensor::from_tensor(LazyTensor::from_tensor(x).slice(1, 0, rows).eval().contiguous());
    const Tensor turned = transpose(tall).eval();
    const Tensor wanted = adapted(LazyTensor::from_tensor(turned.contiguous())).eval();
    EXPECT_TRUE(close(adapted(transpose(tall)).eval(), wanted)) << rows << " rows, transposed in the graph";
    EXPECT_TRUE(close(adapted(LazyTensor::from_tensor(turned)).eval(), wanted)) << rows << " rows, transposed before";
  }
}

}  // namespace
}  // namespace lazuli
