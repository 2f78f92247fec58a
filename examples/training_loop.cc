// A training loop of one's own: a small network learns the exclusive or, the whole step being one compiled plan.
#include <cstdio>

#include "lazuli/ops.h"
#include "lazuli/transforms.h"

using namespace lazuli;

namespace {

// Arguments: x (4, 2), y (4, 1), then the parameters w1 (2, 8), b1 (8), w2 (8, 1).
LazyTensor loss(std::span<const LazyTensor> a) {
  const LazyTensor hidden = tanh(matmul(a[0], a[2]) + a[3]);
  return mean(square(matmul(hidden, a[4]) - a[1]));
}

// One step of gradient descent: the loss, and the parameters after it.
std::vector<LazyTensor> step(std::span<const LazyTensor> a) {
  const ValueAndGrad result = value_and_grad(loss, {2, 3, 4})(a);
  std::vector<LazyTensor> out = {result.value};
  for (size_t k = 0; k < 3; ++k) out.push_back(a[2 + k] - result.grads[k] * 0.3);
  return out;
}

}  // namespace

int main() {
  std::vector<Tensor> arguments = {
      Tensor::from_vector<float>({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2}), Tensor::from_vector<float>({0, 1, 1, 0}, {4, 1}),
      random_normal({2, 8}, LazyTensor::from_slice<int64_t>({1}, {}), DType::f32).eval(), Tensor::zeros(DType::f32, {8}),
      random_normal({8, 1}, LazyTensor::from_slice<int64_t>({2}, {}), DType::f32).eval()};

  // Traced at the first call. Parameters are given up to the call, so the new ones take their memory.
  CompiledFunction train = compile(step);
  train.donate({2, 3, 4});
  std::vector<Tensor> results;
  double first = 0, last = 0;
  for (int k = 0; k < 2000; ++k) {
    train.call(arguments, results);
    last = results[0].item();
    if (k == 0) first = last;
    for (size_t p = 0; p < 3; ++p) arguments[2 + p] = std::move(results[1 + p]);
  }
  std::printf("loss %.3f before, %s 0.01 after 2000 steps, traced %zu time(s)\n", first, last < 0.01 ? "below" : "above", train.traces());
}
