// Defines Future<Tensor>: a result that is being computed, to wait for, poll or co_await.
#pragma once

#include <coroutine>
#include <memory>

#include "lazuli/lazy_tensor.h"

namespace lazuli {

template <class T>
class Future;

namespace detail {
/// Something that must be flushed before a future can complete (a batch that is still open).
struct Flushable {
  virtual ~Flushable() = default;
  virtual void flush() = 0;
};
/// Arranges that `handle` is resumed on the thread that completes the value. Returns false if the value is there already.
bool resume_when_done(const LazyTensor& value, std::coroutine_handle<> handle);
}  // namespace detail

/// A tensor that is being computed; copies share it. Thread-safe.
template <>
class Future<Tensor> {
 public:
  /// Makes a future without a computation: `valid` is false.
  Future() = default;
  /// For `eval_async` and AsyncExecutor::submit: a future of this value.
  explicit Future(LazyTensor value, std::shared_ptr<detail::Flushable> batch = {}) : value_(std::move(value)), batch_(std::move(batch)) {}

  /// Whether there is something to wait for.
  bool valid() const { return value_.defined(); }
  /// True once `get` will not block (with a value or an error).
  bool ready() const;
  /// Blocks until the result is there; rethrows the run's error.
  Tensor get() const;
  /// Blocks until the result is there; rethrows the run's error.
  void wait() const;

  ///@{
  /// Awaiting resumes on the thread that finished the computation. Its value and errors are those of `get`.
  bool await_ready() const;
  bool await_suspend(std::coroutine_handle<> handle) const { return detail::resume_when_done(value_, handle); }
  Tensor await_resume() const { return get(); }
  ///@}

 private:
  void push() const;
  LazyTensor value_;
  std::shared_ptr<detail::Flushable> batch_;
};

/// Blocks until everything submitted to the device before this call is done.
void synchronize(Device device = {});

}  // namespace lazuli
