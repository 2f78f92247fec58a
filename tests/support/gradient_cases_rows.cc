// Gradient cases of softmax, norms, cross entropy and dropout.
#include "lazuli/op.h"
#include "support/gradient_check.h"

namespace lazuli::test {

namespace {

using X = std::span<const LazyTensor>;
using Y = std::vector<LazyTensor>;

LazyTensor eps() { return LazyTensor::full({}, 1e-2, DType::f64); }
LazyTensor labels() { return LazyTensor::from_slice<int32_t>({2, -100, 0}, {3}); }

Attrs first(int64_t value) {
  Attrs attrs;
  attrs.i[0] = value;
  return attrs;
}

void add_norms(std::vector<GradientCase>& cases) {
  const LazyTensor x = numbers({2, 4}, 1), w = numbers({4}, 2), b = numbers({4}, 3), g = numbers({2, 4}, 4);
  const LazyTensor r = numbers(x.shape(), 17), small = numbers({}, 18, 0.1, 0.2);
  cases.push_back({Op::add_rms_norm, "add_rms_norm", {x, r, w, small}, [](X i) {
                     return record_all(Op::add_rms_norm, std::vector<LazyTensor>(i.begin(), i.end()), {});
                   }});
  cases.push_back({Op::add_layer_norm, "add_layer_norm", {x, r, w, numbers(w.shape(), 19), small}, [](X i) {
                     return record_all(Op::add_layer_norm, std::vector<LazyTensor>(i.begin(), i.end()), {});
                   }});
  cases.push_back({Op::rms_norm, "rms_norm", {x, w}, [](X i) { return Y{rms_norm(i[0], i[1], 1e-2)}; }});
  cases.push_back({Op::rms_norm, "rms_norm_eps", {x, numbers({}, 5, 0.1, 0.2)}, [w](X i) { return Y{rms_norm(i[0], w, i[1])}; }});
  cases.push_back({Op::rms_norm_backward, "rms_norm_backward", {x, w, g}, [](X i) {
                     return Y{record(Op::rms_norm_backward, {i[0], i[1], i[2], eps()})};
                   }});
  cases.push_back({Op::layer_norm, "layer_norm", {x, w, b}, [](X i) { return Y{layer_norm(i[0], i[1], i[2], 1e-2)}; }});
  cases.push_back(
      {Op::layer_norm, "layer_norm_eps", {x, numbers({}, 5, 0.1, 0.2)}, [w, b](X i) { return Y{layer_norm(i[0], w, b, i[1])}; }});
  cases.push_back({Op::layer_norm_backward, "layer_norm_backward", {x, w, g}, [](X i) {
                     return Y{record(Op::layer_norm_backward, {i[0], i[1], i[2], eps()})};
                   }});
  cases.push_back(
      {Op::group_norm, "group_norm", {numbers({2, 4, 3}, 1), w, b}, [](X i) { return Y{group_norm(i[0], 2, i[1], i[2], 1e-2)}; }});
}

void add_cross_entropy(std::vector<GradientCase>& cases) {
  const LazyTensor logits = numbers({3, 4}, 1, -2, 2);
  cases.push_back({Op::cross_entropy, "cross_entropy_mean", {logits}, [](X x) { return Y{cross_entropy(x[0], labels())}; }});
  cases.push_back({Op::cross_entropy, "cross_entropy_smoothed", {logits, numbers({}, 2, 0.1, 0.3)}, [](X x) {
                     return Y{record(Op::cross_entropy, {x[0], labels(), x[1]}, first(-100))};
                   }});
  cases.push_back({Op::cross_entropy, "cross_entropy_lse", {logits}, [](X x) {
                     const LazyTensor operands[] = {x[0], labels(), LazyTensor::full({}, 0.1, DType::f64)};
                     return record_all(Op::cross_entropy, operands, first(-100));
                   }});
  cases.push_back({Op::cross_entropy_backward,
                   "cross_entropy_backward",
                   {logits, numbers({}, 2, 0.1, 0.3), numbers({3}, 3, 1, 2), numbers({3}, 4)},
                   [](X x) {
                     return Y{record(Op::cross_entropy_backward, {x[0], labels(), x[1], x[2], x[3]}, first(-100))};
                   }});
}

void add_linear_cross_entropy(std::vector<GradientCase>& cases) {
  const LazyTensor x = numbers({3, 2}, 1, -1, 1), w = numbers({2, 4}, 2, -1, 1), smoothing = numbers({}, 3, 0.1, 0.3);
  cases.push_back({Op::linear_cross_entropy, "linear_cross_entropy", {x, w, smoothing}, [](X i) {
                     const LazyTensor operands[] = {i[0], i[1], labels(), i[2]};
                     return Y{record_all(Op::linear_cross_entropy, operands, first(-100))[0]};
                   }});
  cases.push_back({Op::linear_cross_entropy, "linear_cross_entropy_all_results", {x, transpose(w), smoothing}, [](X i) {
                     Attrs attrs = first(-100);
                     attrs.i[1] = 1;
                     const LazyTensor operands[] = {i[0], i[1], labels(), i[2]};
                     return record_all(Op::linear_cross_entropy, operands, attrs);
                   }});
  cases.push_back({Op::linear_cross_entropy, "linear_cross_entropy_capped", {x, w, smoothing, numbers({}, 4, 0.5, 1)}, [](X i) {
                     Attrs attrs = first(-100);
                     attrs.i[2] = 1;
                     const LazyTensor operands[] = {i[0], i[1], labels(), i[2], i[3]};
                     return Y{record_all(Op::linear_cross_entropy, operands, attrs)[0]};
                   }});
}

std::vector<GradientCase> row_gradient_cases() {
  std::vector<GradientCase> cases;
  const LazyTensor x = numbers({2, 3, 2}, 1), y = numbers({2, 3, 2}, 2);
  for (int axis : {1, 2}) {
    const std::string name = "_axis" + std::to_string(axis);
    cases.push_back({Op::softmax, "softmax" + name, {x}, [axis](X i) { return Y{softmax(i[0], axis)}; }});
    cases.push_back({Op::log_softmax, "log_softmax" + name, {x}, [axis](X i) { return Y{log_softmax(i[0], axis)}; }});
    cases.push_back({Op::softmax_backward, "softmax_backward" + name, {x, y}, [axis](X i) {
                       return Y{record(Op::softmax_backward, {i[0], i[1]}, first(axis))};
                     }});
  }
  cases.push_back({Op::scaled_softmax, "scaled_softmax", {x, numbers({}, 3, 0.5, 1), numbers({}, 4, 0.5, 1)}, [](X i) {
                     return Y{record(Op::scaled_softmax, {i[0], i[1], i[2]}, first(2))};
                   }});
  add_norms(cases);
  add_cross_entropy(cases);
  add_linear_cross_entropy(cases);
  cases.push_back({Op::dropout, "dropout", {numbers({3, 4}, 1)}, [](X i) {
                     return Y{square(dropout(i[0], 0.4, LazyTensor::scalar_int(7, DType::i64)))};
                   }});
  return cases;
}
const RegisterGradients kRowGradients(row_gradient_cases);

}  // namespace

}  // namespace lazuli::test
