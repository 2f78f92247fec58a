// Defines how kernels that work on rows (softmax, norms, losses) see operands of any float dtype and strides as rows of f32.
#pragma once

#include <vector>

#include "backend/cpu/common/common.h"
#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/tiles/tile.h"

namespace lazuli::cpu {

/// Hands out parts of thread_scratch, first as sizes and then as addresses.
class ScratchPlan {
 public:
  /// The offset of `bytes` more.
  size_t take(size_t bytes) {
    const size_t at = bytes_;
    bytes_ += (bytes + 63) / 64 * 64;
    return at;
  }
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_ = 0;
};

/// The rows of an operand along one axis; the row number counts the other axes in row-major order.
class RowReader {
 public:
  RowReader() = default;
  /// Throws DTypeError for a dtype that does not convert to f32.
  RowReader(const KernelRequest& request, const OperandSpec& operand, int64_t axis, ScratchPlan& plan);
  int64_t count() const { return count_; }
  int64_t rows() const { return rows_.numel; }
  /// Row r as f32: where it lies, or converted into the scratch of this reader.
  const float* row(const KernelArgs& args, const void* base, int64_t r) const {
    const void* src = element_at(base, rows_.rank == 1 ? r * rows_.stride[0] : run_at(rows_, r).offset, element_size_);
    if (load_ == nullptr && stride_ == 1) return static_cast<const float*>(src);
    return convert(args, src);
  }

 private:
  const float* convert(const KernelArgs& args, const void* src) const;
  StridedView rows_, line_;
  int64_t count_ = 0, stride_ = 0;
  size_t element_size_ = 4, wide_ = 0, raw_ = 0;
  TileLoad load_ = nullptr;  // null for f32
};

/// The rows of a result along one axis.
class RowWriter {
 public:
  RowWriter() = default;
  RowWriter(const KernelRequest& request, const OperandSpec& result, int64_t axis, ScratchPlan& plan);
  /// Where to put row r as f32; then call finish.
  float* row(const KernelArgs& args, void* base, int64_t r) const {
    if (direct_) return static_cast<float*>(base) + r * count_;
    return static_cast<float*>(element_at(args.thread_scratch, static_cast<int64_t>(wide_), 1));
  }
  void finish(const KernelArgs& args, void* base, int64_t r) const {
    if (!direct_) convert(args, base, r);
  }

 private:
  void convert(const KernelArgs& args, void* base, int64_t r) const;
  int64_t count_ = 0, inner_ = 1;
  size_t element_size_ = 4, wide_ = 0, raw_ = 0;
  bool direct_ = true;
  TileStore store_ = nullptr;
};

/// How many rows a task takes.
inline int64_t rows_per_task(int64_t count) { return std::max<int64_t>(1, threshold::rows::kElements / std::max<int64_t>(count, 1)); }

/// Calls body(row) for the rows of tasks [begin, end).
template <class Body>
void each_row(int64_t rows, int64_t per_task, int64_t begin, int64_t end, Body body) {
  for (int64_t r = begin * per_task; r < std::min(end * per_task, rows); ++r) body(r);
}

/// Result 0 may overwrite operand 0 when both are row-major and alike.
inline std::vector<int> first_in_place(const KernelRequest& request) {
  return {request.inputs[0].contiguous && request.inputs[0].dtype == request.outputs[0].dtype ? 0 : -1};
}

}  // namespace lazuli::cpu
