// LoRA on a module of one's own: a frozen linear layer and a low-rank part that learns to correct it.
#include <cstdio>
#include <utility>

#include "lazuli/nn.h"
#include "lazuli/ops.h"
#include "lazuli/transforms.h"

using namespace lazuli;

int main() {
  const LazyTensor seed = LazyTensor::from_slice<int64_t>({7}, {});
  const Linear layer(random_normal({16, 32}, seed, DType::f32).eval());
  const Tensor x = random_normal({64, 32}, LazyTensor::from_slice<int64_t>({8}, {}), DType::f32).eval();

  // What the layer should have been: the same weight and a change of rank 1.
  const LazyTensor change = matmul(LazyTensor::full({16, 1}, 0.5), LazyTensor::full({1, 32}, 0.25));
  const Tensor wanted = matmul(LazyTensor::from_tensor(x), transpose(layer.weight() + change)).eval();

  // Arguments: x, wanted, and the factors a (rank, in) and b (out, rank).
  const auto loss = [&](std::span<const LazyTensor> a) {
    const LowRank low_rank{a[2], a[3], 1.0, 0.0, {}};
    return mean(square(layer.forward(a[0], &low_rank) - a[1]));
  };
  CompiledFunction step = compile([&](std::span<const LazyTensor> a) {
    const ValueAndGrad result = value_and_grad(loss, {2, 3})(a);
    return std::vector<LazyTensor>{result.value, a[2] - result.grads[0] * 0.5, a[3] - result.grads[1] * 0.5};
  });

  LoRALayer lora(32, 16, /*rank=*/2, /*alpha=*/2, /*seed=*/1);
  double first = 0, last = 0;
  for (int k = 0; k < 500; ++k) {
    std::vector<Tensor> results = step({x, wanted, lora.a(), lora.b()});
    last = results[0].item();
    if (k == 0) first = last;
    lora.set_factors(std::move(results[1]), std::move(results[2]));
  }
  std::printf("loss after 500 steps is %s a hundredth of %.2f\n", last < first / 100 ? "below" : "above", first);
}
