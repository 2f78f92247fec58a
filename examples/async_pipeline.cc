// An asynchronous pipeline: work is submitted without waiting, and the results are awaited in the order in which they are needed.
#include <cstdio>
#include <vector>

#include "lazuli/async_executor.h"
#include "lazuli/future.h"
#include "lazuli/ops.h"

using namespace lazuli;

int main() {
  const LazyTensor weight = LazyTensor::full({256, 256}, 0.01);
  LazyTensor state = LazyTensor::ones({32, 256});

  // Each call returns once its run is submitted; a later run takes the result of an earlier one without a wait in between.
  std::vector<Future<Tensor>> futures;
  for (int k = 0; k < 8; ++k) {
    state = tanh(matmul(state, weight));
    futures.push_back(state.eval_async());
  }
  std::printf("8 runs submitted\n");
  for (const Future<Tensor>& f : futures) f.wait();

  // An executor gathers submissions into batches, each evaluated as one graph.
  AsyncExecutor executor({.device = {}, .max_batch_size = 4});
  std::vector<Future<Tensor>> sums;
  for (int k = 0; k < 4; ++k) sums.push_back(executor.submit(sum(state * static_cast<double>(k))));
  executor.flush();
  const double base = sums[1].get().item();
  for (int k = 0; k < 4; ++k) std::printf("sum %d: %.1f times the first\n", k, sums[static_cast<size_t>(k)].get().item() / base);
}
