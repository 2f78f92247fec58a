// Conformance and gradient cases of products of rows with the matrices that they chose.
#include "conformance/cases.h"
#include "lazuli/op.h"
#include "lazuli/ops.h"
#include "support/attributes.h"
#include "support/gradient_check.h"

namespace lazuli::conformance {

namespace {

constexpr Tolerance kChosenProduct{8, 64, 1};

/// Each choice of `each` a row; experts without rows are among them where there are enough.
Tensor choices(const Shape& shape, int64_t experts, uint64_t seed) { return random_indices(DType::i32, shape, experts, seed); }
Tensor one_expert(const Shape& shape, int32_t expert) {
  return Tensor::from_vector(std::vector<int32_t>(static_cast<size_t>(shape.numel()), expert), shape);
}

struct Rows3 {
  int64_t rows, each, x_each, k, n, experts;
};

OpCall product(Op op, DType t, const Rows3& s, const Tensor& chosen, bool transposed) {
  const Shape w = transposed ? Shape{s.experts, s.n, s.k} : Shape{s.experts, s.k, s.n};
  return {op, {random(t, {s.rows, s.x_each, s.k}, 1), random(t, w, 2), chosen}, attrs(transposed ? 1 : 0)};
}
OpCall outer(Op op, DType t, const Rows3& s, const Tensor& chosen) {
  return {op, {random(t, {s.rows, s.x_each, s.k}, 1), random(t, {s.rows, s.each, s.n}, 2), chosen}, attrs(s.experts)};
}

constexpr Rows3 kSizes[] = {
    {1, 1, 1, 1, 1, 1},    {5, 2, 1, 33, 17, 4},   {5, 2, 2, 33, 17, 4},   {1, 4, 1, 64, 96, 9},  {40, 3, 1, 20, 65, 3},
    {40, 3, 3, 65, 20, 3}, {7, 1, 1, 16, 32, 12},  {0, 2, 1, 8, 5, 3},     {3, 0, 1, 8, 5, 3},    {3, 2, 1, 0, 5, 3},
    {3, 2, 2, 5, 0, 3},    {130, 2, 1, 40, 30, 2}, {300, 1, 1, 48, 34, 1}, {64, 4, 4, 31, 47, 5},
};

Cases gather_matmul_cases(Op op) {
  Cases cases;
  for (DType t : kFloats) {
    for (const bool transposed : {false, true}) {
      const std::string with = transposed ? " transposed" : "";
      for (const Rows3& s : kSizes) {
        const Tensor chosen = choices({s.rows, s.each}, s.experts, 3);
        cases.push_back({label(t, to_string(Shape{s.rows, s.each, s.x_each, s.k, s.n, s.experts}) + with),
                         product(op, t, s, chosen, transposed), kChosenProduct});
      }
      const Rows3 s{19, 2, 1, 24, 40, 6};
      cases.push_back({label(t, "one expert has all rows" + with), product(op, t, s, one_expert({19, 2}, 4), transposed), kChosenProduct});
      cases.push_back({label(t, "the first and the last expert" + with),
                       product(op, t, {2, 2, 2, 24, 40, 6}, Tensor::from_vector(std::vector<int32_t>{5, 0, 0, 5}, {2, 2}), transposed),
                       kChosenProduct});
      for (Layout layout : kLayouts) {
        OpCall c = product(op, t, {6, 3, 3, 19, 7, 4}, choices({6, 3}, 4, 5), transposed);
        for (Tensor& x : c.inputs) x = laid_out(x, layout);
        cases.push_back({label(t, name_of(layout) + with), c, kChosenProduct});
      }
    }
  }
  return cases;
}
const RegisterCases kGatherMatmulCases({Op::gather_matmul}, gather_matmul_cases);

Cases gather_outer_cases(Op op) {
  Cases cases;
  for (DType t : kFloats) {
    for (const Rows3& s : kSizes) {
      cases.push_back({label(t, to_string(Shape{s.rows, s.each, s.x_each, s.k, s.n, s.experts})),
                       outer(op, t, s, choices({s.rows, s.each}, s.experts, 3)), kChosenProduct});
    }
    const Rows3 s{19, 2, 1, 24, 40, 6};
    cases.push_back({label(t, "one expert has all rows"), outer(op, t, s, one_expert({19, 2}, 4)), kChosenProduct});
    cases.push_back({label(t, "no expert"), outer(op, t, {0, 2, 1, 24, 40, 0}, choices({0, 2}, 1, 1)), kChosenProduct});
    for (Layout layout : kLayouts) {
      OpCall c = outer(op, t, {6, 3, 3, 19, 7, 4}, choices({6, 3}, 4, 5));
      for (Tensor& x : c.inputs) x = laid_out(x, layout);
      cases.push_back({label(t, name_of(layout)), c, kChosenProduct});
    }
  }
  return cases;
}
const RegisterCases kGatherOuterCases({Op::gather_outer}, gather_outer_cases);

test::GradientCases chosen_gradient_cases() {
  using test::numbers;
  using X = std::span<const LazyTensor>;
  using Y = std::vector<LazyTensor>;
  test::GradientCases cases;
  // Expert 1 has no row.
  const LazyTensor chosen = LazyTensor::from_slice<int32_t>({2, 0, 3, 2, 0, 2}, {3, 2});
  for (const int64_t each : {1, 2}) {
    const std::string name = each == 1 ? "_shared" : "";
    for (const bool transposed : {false, true}) {
      const LazyTensor w = numbers(transposed ? Shape{4, 2, 3} : Shape{4, 3, 2}, 2);
      cases.push_back({Op::gather_matmul,
                       "gather_matmul" + name + (transposed ? "_transposed" : ""),
                       {numbers({3, each, 3}, 1), w},
                       [chosen, transposed](X x) { return Y{gather_matmul(x[0], x[1], chosen, transposed)}; }});
    }
    cases.push_back({Op::gather_outer, "gather_outer" + name, {numbers({3, each, 2}, 1), numbers({3, 2, 3}, 2)}, [chosen](X x) {
                       return Y{gather_outer(x[0], x[1], chosen, 4)};
                     }});
  }
  // All rows chose one expert, and adapters of rank 2 on each expert.
  const LazyTensor last = LazyTensor::from_slice<int32_t>({3, 3, 3, 3, 3, 3}, {3, 2});
  for (const LazyTensor& of : {chosen, last}) {
    cases.push_back({Op::gather_matmul,
                     of.node() == last.node() ? "gather_matmul_one_expert" : "gather_matmul_adapters",
                     {numbers({3, 1, 3}, 1), numbers({4, 4, 3}, 2), numbers({4, 2, 3}, 3), numbers({4, 4, 2}, 4)},
                     [of](X x) {
                       const LazyTensor low = gather_matmul(gather_matmul(x[0], x[2], of, true), x[3], of, true);
                       return Y{add(gather_matmul(x[0], x[1], of, true), mul_scalar(low, 0.5))};
                     }});
  }
  return cases;
}
const test::RegisterGradients kChosenGradients(chosen_gradient_cases);

}  // namespace
}  // namespace lazuli::conformance
