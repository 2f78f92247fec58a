// Defines ResultMemory, the memory of the results of a run.
#pragma once

#include <memory>
#include <vector>

#include "backend/plan.h"

namespace lazuli {

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
