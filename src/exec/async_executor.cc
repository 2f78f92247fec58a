#include "lazuli/async_executor.h"

#include <mutex>
#include <vector>

#include "exec/eval.h"
#include "exec/executor.h"
#include "lazuli/error.h"

namespace lazuli {

struct AsyncExecutor::Batch final : detail::Flushable {
  explicit Batch(AsyncExecutorOptions o) : options(o) {}

  void flush() override {
    std::vector<LazyTensor> values;
    {
      std::lock_guard lock(mutex);
      values.swap(open);
      if (!values.empty()) ++stats.batches;
    }
    if (!values.empty()) evaluate(values, options.device, EvalMode::async);
  }

  AsyncExecutorOptions options;
  std::mutex mutex;
  std::vector<LazyTensor> open;
  AsyncExecutorStats stats;
};

AsyncExecutor::AsyncExecutor(AsyncExecutorOptions options) {
  if (options.max_batch_size < 1) throw ValueError("AsyncExecutor: max_batch_size must be at least 1");
  batch_ = std::make_shared<Batch>(options);
}

AsyncExecutor::~AsyncExecutor() { batch_->flush(); }

Future<Tensor> AsyncExecutor::submit(LazyTensor value) {
  value.checked();
  Future<Tensor> future(value, batch_);
  bool full;
  {
    std::lock_guard lock(batch_->mutex);
    batch_->open.push_back(std::move(value));
    ++batch_->stats.submitted;
    full = batch_->open.size() >= batch_->options.max_batch_size;
  }
  if (full) batch_->flush();
  return future;
}

void AsyncExecutor::flush() { batch_->flush(); }

void AsyncExecutor::synchronize() {
  batch_->flush();
  Executor::of(batch_->options.device).synchronize();
}

AsyncExecutorStats AsyncExecutor::stats() const {
  std::lock_guard lock(batch_->mutex);
  return batch_->stats;
}

}  // namespace lazuli
