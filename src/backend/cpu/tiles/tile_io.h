// Defines how kernels that are not chains read operands and write results of any float dtype in f32 tiles.
#pragma once

#include "backend/cpu/tiles/rows.h"

namespace lazuli::cpu {

/// An operand in the row-major order of `space`, at most kTile elements at a time.
class TileReader {
 public:
  TileReader() = default;
  /// Throws DTypeError for f64.
  TileReader(const KernelRequest& request, const OperandSpec& operand, const Shape& space, ScratchPlan& plan);
  /// Elements [first, first + n) as f32.
  const float* at(const KernelArgs& args, const void* base, int64_t first, int64_t n) const {
    if (load_ == nullptr && view_.contiguous()) return static_cast<const float*>(base) + first;
    return convert(args, base, first, n);
  }

 private:
  const float* convert(const KernelArgs& args, const void* base, int64_t first, int64_t n) const;
  StridedView view_;
  size_t element_size_ = 4, wide_ = 0, raw_ = 0;
  TileLoad load_ = nullptr;
};

/// A result; nothing is stored when nobody reads it.
class TileWriter {
 public:
  TileWriter() = default;
  TileWriter(const KernelRequest& request, const OperandSpec& result, ScratchPlan& plan);
  /// Where to put the elements from `first` on; then call finish.
  float* at(const KernelArgs& args, void* base, int64_t first) const {
    if (direct_) return static_cast<float*>(base) + first;
    return static_cast<float*>(element_at(args.thread_scratch, static_cast<int64_t>(wide_), 1));
  }
  void finish(const KernelArgs& args, void* base, int64_t first, int64_t n) const {
    if (!direct_ && base != nullptr) store_(at(args, base, first), element_at(base, first, element_size_), n);
  }

 private:
  size_t element_size_ = 4, wide_ = 0;
  bool direct_ = true;
  TileStore store_ = nullptr;
};

}  // namespace lazuli::cpu
