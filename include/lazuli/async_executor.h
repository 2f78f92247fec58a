// Defines AsyncExecutor, which gathers values into command batches and submits each batch as one plan.
#pragma once

#include <cstdint>
#include <memory>

#include "lazuli/future.h"

namespace lazuli {

/// The device and batch size of an executor.
struct AsyncExecutorOptions {
  Device device;               ///< where the batches run
  size_t max_batch_size = 16;  ///< values gathered before a batch is submitted by itself; at least 1
};

/// What an executor has done so far.
struct AsyncExecutorStats {
  uint64_t submitted = 0;  ///< values that were submitted
  uint64_t batches = 0;    ///< batches that were run
};

/// Gathers values and runs them in batches. Independent values of one batch run side by side, and work that they share is done once.
/// Thread-safe. Waiting for a future of an open batch flushes the batch, and so does destruction.
class AsyncExecutor {
 public:
  /// Throws ValueError for a batch size of 0.
  explicit AsyncExecutor(AsyncExecutorOptions options = {});
  ~AsyncExecutor();
  AsyncExecutor(const AsyncExecutor&) = delete;
  AsyncExecutor& operator=(const AsyncExecutor&) = delete;

  /// Puts a value into the open batch. The future throws its errors.
  Future<Tensor> submit(LazyTensor value);
  /// Submits the open batch and returns at once.
  void flush();
  /// Flushes and waits for everything.
  void synchronize();
  /// Returns the counters since the executor was made.
  AsyncExecutorStats stats() const;

 private:
  struct Batch;
  std::shared_ptr<Batch> batch_;
};

}  // namespace lazuli
