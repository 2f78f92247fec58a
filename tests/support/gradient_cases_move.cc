// Gradient cases of views, gathers, scatters and data movement.
#include "lazuli/op.h"
#include "support/gradient_check.h"

namespace lazuli::test {

namespace {

using X = std::span<const LazyTensor>;
using Y = std::vector<LazyTensor>;

LazyTensor ints(std::initializer_list<int32_t> values, const Shape& shape) { return LazyTensor::from_slice<int32_t>(values, shape); }

void add_views(std::vector<GradientCase>& cases) {
  const auto x234 = [] { return std::vector<LazyTensor>{numbers({2, 3, 4}, 7)}; };
  cases.push_back({Op::reshape, "reshape", x234(), [](X x) { return Y{square(reshape(x[0], {4, -1}))}; }});
  cases.push_back({Op::expand, "expand", {numbers({2, 1}, 7)}, [](X x) { return Y{square(expand(x[0], {3, 2, 2}))}; }});
  cases.push_back({Op::transpose, "transpose", x234(), [](X x) { return Y{square(x[0].permute({2, 0, 1}))}; }});
  cases.push_back({Op::slice, "slice", x234(), [](X x) { return Y{square(x[0].slice(1, 1, 3).slice(2, 0, 2))}; }});
  cases.push_back({Op::slice, "slice_step", x234(), [](X x) { return Y{square(x[0].slice(2, 1, 4, 2))}; }});
  cases.push_back({Op::barrier, "barrier", {numbers({3}, 1)}, [](X x) { return Y{square(barrier(x[0], exp(x[0])))}; }});
  cases.push_back({Op::checkpoint, "checkpoint", {numbers({3}, 1), numbers({3}, 2)}, [](X x) {
                     return checkpoint([](X a) { return Y{sin(a[0]) * a[1], exp(a[1])}; })(x);
                   }});
  // What the function captured has a gradient too.
  cases.push_back({Op::checkpoint, "checkpoint_capture", {numbers({3}, 1), numbers({3}, 2)}, [](X x) {
                     const LazyTensor outside = square(x[1]), both = x[0] * x[1];
                     return checkpoint([outside](X a) { return Y{sin(a[0]) * outside}; })({&both, 1});
                   }});
}

void add_gathers(std::vector<GradientCase>& cases) {
  cases.push_back({Op::gather, "gather", {numbers({4, 3}, 1)}, [](X x) { return Y{square(gather(x[0], ints({3, 0, 3, 1}, {2, 2}), 0))}; }});
  cases.push_back({Op::gather, "gather_axis1", {numbers({2, 3}, 1)}, [](X x) { return Y{square(gather(x[0], ints({2, 2}, {2}), 1))}; }});
  cases.push_back({Op::take_along, "take_along", {numbers({2, 3}, 1)}, [](X x) {
                     return Y{square(take_along(x[0], ints({2, 0, 1, 1}, {2, 2}), 1))};
                   }});
  cases.push_back({Op::scatter_add, "scatter_add", {numbers({3, 2}, 1), numbers({4, 2}, 2)}, [](X x) {
                     return Y{square(scatter_add(x[0], ints({1, 0, 1, 2}, {4}), x[1], 0))};
                   }});
  cases.push_back({Op::scatter_along_add, "scatter_along_add", {numbers({2, 3}, 1), numbers({2, 2}, 2)}, [](X x) {
                     return Y{square(scatter_along_add(x[0], ints({1, 1, 0, 2}, {2, 2}), x[1], 1))};
                   }});
}

std::vector<GradientCase> move_gradient_cases() {
  std::vector<GradientCase> cases;
  add_views(cases);
  add_gathers(cases);
  cases.push_back({Op::concat, "concat", {numbers({2, 2}, 1), numbers({2, 3}, 2)}, [](X x) {
                     return Y{square(concat({x[0], x[1], x[0]}, 1))};
                   }});
  cases.push_back({Op::pad, "pad", {numbers({2, 2}, 1), numbers({}, 2)}, [](X x) {
                     const int64_t low[] = {1, 0}, high[] = {0, 2};
                     return Y{square(pad(x[0], low, high, x[1]))};
                   }});
  cases.push_back({Op::slice_update, "slice_update", {numbers({3, 4}, 1), numbers({2, 2}, 2)}, [](X x) {
                     const int64_t starts[] = {1, 0}, steps[] = {1, 2};
                     return Y{square(slice_update(x[0], x[1], starts, steps))};
                   }});
  cases.push_back({Op::slice_update, "slice_update_offset", {numbers({2, 5}, 1), numbers({2, 2}, 2)}, [](X x) {
                     const int64_t starts[] = {0, 0}, steps[] = {1, 2};
                     return Y{square(slice_update(x[0], x[1], starts, steps, LazyTensor::scalar_int(1), 1))};
                   }});
  cases.push_back({Op::slice_update, "slice_update_by_row", {numbers({3, 2, 6}, 1), numbers({3, 1, 2}, 2)}, [](X x) {
                     const int64_t starts[] = {0, 1, 1}, steps[] = {1, 1, 2};
                     return Y{square(slice_update(x[0], x[1], starts, steps, ints({2, -1, 0}, {3}), 2))};
                   }});
  cases.push_back({Op::slice_update, "slice_update_by_row_axis1", {numbers({2, 5, 3}, 1), numbers({2, 2, 2}, 2)}, [](X x) {
                     const int64_t starts[] = {0, 0, 0}, steps[] = {1, 1, 2};
                     return Y{square(slice_update(x[0], x[1], starts, steps, ints({3, 0}, {2}), 1))};
                   }});
  cases.push_back(
      {Op::slice_at, "slice_at", {numbers({4, 2}, 1)}, [](X x) { return Y{square(slice_at(x[0], LazyTensor::scalar_int(1), 2, 0))}; }});
  cases.push_back({Op::sort, "sort", {numbers({2, 4}, 1)}, [](X x) { return Y{square(sort(x[0], -1).values)}; }});
  cases.push_back({Op::topk, "topk", {numbers({2, 4}, 1)}, [](X x) { return Y{square(topk(x[0], 2).values)}; }});
  return cases;
}
const RegisterGradients kMoveGradients(move_gradient_cases);

}  // namespace

}  // namespace lazuli::test
