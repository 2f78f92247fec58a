// Recording, evaluating and differentiating, in twenty lines; the README shows this file.
#include <cstdio>

#include "lazuli/ops.h"
#include "lazuli/transforms.h"

using namespace lazuli;

int main() {
  LazyTensor x = LazyTensor::from_slice<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  LazyTensor w = LazyTensor::ones({3, 4});

  // Nothing is computed here: the shapes are checked and the graph grows.
  LazyTensor y = softmax(matmul(x, w) * 0.5 + 1.0);
  std::printf("%zu nodes recorded, %zu after optimisation\n", y.graph_size(), y.optimized_size());
  Tensor value = y.eval();

  // The gradient of a scalar function is another recorded graph.
  auto loss = [](std::span<const LazyTensor> a) { return sum(square(matmul(a[0], a[1]))); };
  const std::vector<LazyTensor> arguments = {x, w};
  ValueAndGrad result = value_and_grad(loss, {1})(arguments);
  std::printf("loss %g, dw[0][0] %g\n", result.value.eval().item(), result.grads[0].eval().to_vector<double>()[0]);
}
