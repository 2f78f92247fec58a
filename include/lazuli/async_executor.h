// Defines AsyncExecutor, which gathers values into command batches and submits each batch as one plan.
#pragma once

#include <cstdint>
#include <memory>

#include "lazuli/future.h"

namespace lazuli {

struct AsyncExecutorOptions {
  Device device;
  size_t max_batch_size = 16;  ///< values gathered before a batch is submitted by itself; at least 1
};

struct AsyncExecutorStats {
  uint64_t submitted = 0;
  uint64_t batches = 0;
};

/// Independent values of one batch run in common waves, and work that they share is done once. Thread-safe. Waiting for a future of an open
/// batch flushes it; so does destruction.
class AsyncExecutor {
 public:
  explicit AsyncExecutor(AsyncExecutorOptions options = {});
  ~AsyncExecutor();
  AsyncExecutor(const AsyncExecutor&) = delete;
  AsyncExecutor& operator=(const AsyncExecutor&) = delete;

  Future<Tensor> submit(LazyTensor value);
  /// Submits what was gathered; returns at once.
  void flush();
  /// Flushes and waits for everything.
  void synchronize();
  AsyncExecutorStats stats() const;

 private:
  struct Batch;
  std::shared_ptr<Batch> batch_;
};

}  // namespace lazuli
