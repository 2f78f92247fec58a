#include "lazuli/future.h"

#include "exec/continuations.h"
#include "exec/eval.h"
#include "exec/executor.h"

namespace lazuli {

bool detail::resume_when_done(const LazyTensor& value, std::coroutine_handle<> handle) { return await_node(value.checked(), handle); }

void Future<Tensor>::push() const {
  if (value_.checked()->state() != NodeState::recorded) return;
  if (batch_) batch_->flush();
  evaluate({&value_, 1}, default_device(), EvalMode::async);
}
bool Future<Tensor>::ready() const { return value_.checked()->state() >= NodeState::ready; }
bool Future<Tensor>::await_ready() const {
  push();
  return ready();
}
void Future<Tensor>::wait() const {
  push();
  wait_for(value_.checked(), default_device());
}
Tensor Future<Tensor>::get() const {
  wait();
  return value_.node()->value(value_.out());
}

void synchronize(Device device) { Executor::of(device).synchronize(); }

}  // namespace lazuli
