// Declares the execution of a plan over memory that the caller supplies.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "exec/team.h"
#include "plan/plan.h"

namespace lazuli {

/// Bases of one run; arrays are indexed as Plan's counts and buffers say.
struct RunMemory {
  const void* const* inputs = nullptr;
  const uint64_t* scalars = nullptr;
  void* const* outputs = nullptr;
  const bool* donated = nullptr;         ///< by output buffer: its memory came from its donor
  std::span<const Where> nodes_at = {};  ///< of the captured graph's nodes: graphs of one structure share a plan, only the run knows where
};

/// Where an operand of a run lies. `scalars`: the run's, where its kernels can read them.
inline void* address_of(const Location& l, const Plan& plan, const RunMemory& memory, std::byte* workspace, const uint64_t* scalars) {
  const auto index = static_cast<size_t>(l.index);
  switch (l.base) {
    case Base::workspace:
      return workspace + l.offset;
    case Base::constant:
      return static_cast<std::byte*>(plan.constants[index].raw()) + l.offset;
    case Base::input:
      return static_cast<std::byte*>(const_cast<void*>(memory.inputs[index])) + l.offset;
    case Base::scalar:
      return const_cast<uint64_t*>(scalars + index);
    case Base::output:
      return static_cast<std::byte*>(memory.outputs[index]) + l.offset;
    case Base::none:
      break;
  }
  return nullptr;
}

/// Runs all steps. `team`: shares the work of waves on the host; null: all of it on this thread. Leases the workspace for the time of the
/// call. Errors name the op, its shapes and where it was recorded.
void execute(const Plan& plan, const RunMemory& memory, Team* team);

/// Rethrows the current exception, one of a step, with the step's name and place added, keeping its type.
[[noreturn]] void rethrow_in(const Step& step, const Plan& plan, std::span<const Where> nodes_at);

/// `t` where the device can read it: itself, or a copy that `moved` keeps.
const Tensor& bring_to(const Tensor& t, Device device, std::deque<Tensor>& moved);

/// The memory of one run's results. Reused, so that a warm run takes it from the pool without other allocations.
class ResultMemory {
 public:
  /// One buffer for each of the plan's. `donor(k)` is the value of input k where its memory may be taken, else null.
  template <class Donor>
  void take(const Plan& plan, const Donor& donor) {
    start(plan.buffers.size());
    for (const OutputBuffer& b : plan.buffers) add(b.bytes, plan.device, b.donor >= 0 ? donor(static_cast<size_t>(b.donor)) : nullptr);
  }
  /// The results as Tensors. `input(k)` is the value of input k, for results that are inputs passed through.
  template <class Input>
  void collect(const Plan& plan, const Input& input, std::vector<Tensor>& results) const {
    results.clear();
    for (const ResultView& r : plan.results) {
      if (r.input >= 0) {
        const Tensor& t = input(static_cast<size_t>(r.input));
        results.push_back(view_of(r, t.buffer(), t.offset_bytes()));
      } else {
        results.push_back(view_of(r, buffers_[static_cast<size_t>(r.buffer)], 0));
      }
    }
  }
  void* const* pointers() const { return pointers_.data(); }
  /// By buffer: its memory came from its donor.
  const bool* donated() const { return donated_.get(); }
  void release() { buffers_.clear(); }

 private:
  void start(size_t count);
  void add(size_t bytes, Device device, const Tensor* donor);
  static Tensor view_of(const ResultView& view, const BufferRef& buffer, size_t offset) {
    return {view.spec.dtype, view.spec.shape, view.strides, buffer, offset + static_cast<size_t>(view.offset)};
  }

  std::vector<BufferRef> buffers_;
  std::vector<void*> pointers_;
  std::unique_ptr<bool[]> donated_;
  size_t capacity_ = 0;  ///< of donated_
};

}  // namespace lazuli
