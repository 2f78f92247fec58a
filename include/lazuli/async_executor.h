// Defines AsyncExecutor, which gathers values into command batches and submits each batch as one plan.
#pragma once

#include <cstdint>
#include <memory>

#include "lazuli/future.h"

namespace lazuli {

/// Where and in what portions an executor runs.
struct AsyncExecutorOptions {
  Device device;               ///< where the batches run
  size_t max_batch_size = 16;  ///< values gathered before a batch is submitted by itself; at least 1
};

/// What an executor has done so far.
struct AsyncExecutorStats {
  uint64_t submitted = 0;  ///< values
  uint64_t batches = 0;    ///< that were run
};

/// Independent values of one batch run in common waves, and work that they share is done once. Thread-safe. Waiting for a future of an open
/// batch flushes it; so does destruction.
class AsyncExecutor {
 public:
  /// Throws ValueError for a batch size of 0.
  explicit AsyncExecutor(AsyncExecutorOptions options = {});
  ~AsyncExecutor();
  AsyncExecutor(const AsyncExecutor&) = delete;
  AsyncExecutor& operator=(const AsyncExecutor&) = delete;

  /// Puts a value into the open batch; its errors come from the future.
  Future<Tensor> submit(LazyTensor value);
  /// Submits what was gathered; returns at once.
  void flush();
  /// Flushes and waits for everything.
  void synchronize();
  /// Counters since it was made.
  AsyncExecutorStats stats() const;

 private:
  struct Batch;
  std::shared_ptr<Batch> batch_;
};

}  // namespace lazuli
