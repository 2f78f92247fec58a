#include "backend/cpu/tiles/tile_io.h"

namespace lazuli::cpu {

namespace {

void* scratch_at(const KernelArgs& args, size_t offset) { return element_at(args.thread_scratch, static_cast<int64_t>(offset), 1); }

}  // namespace

TileReader::TileReader(const KernelRequest& request, const OperandSpec& operand, const Shape& space, ScratchPlan& plan)
    : view_(operand, space), element_size_(size_of(operand.dtype)) {
  if (operand.dtype != DType::f32) {
    if (operand.dtype == DType::f64) fail_dtype(request, operand.dtype);
    load_ = tile_load(operand.dtype);
  }
  if (load_ == nullptr && view_.contiguous()) return;
  wide_ = plan.take(static_cast<size_t>(kTile) * sizeof(float));
  raw_ = load_ != nullptr && !view_.contiguous() ? plan.take(static_cast<size_t>(kTile) * element_size_) : wide_;
}

const float* TileReader::convert(const KernelArgs& args, const void* base, int64_t first, int64_t n) const {
  auto* wide = static_cast<float*>(scratch_at(args, wide_));
  if (view_.contiguous()) {
    load_(element_at(base, first, element_size_), wide, n);
    return wide;
  }
  void* raw = scratch_at(args, raw_);
  gather(view_, base, element_size_, first, n, raw);
  if (load_ != nullptr) load_(raw, wide, n);
  return wide;
}

TileWriter::TileWriter(const KernelRequest& request, const OperandSpec& result, ScratchPlan& plan)
    : element_size_(size_of(result.dtype)), direct_(result.used && result.dtype == DType::f32), store_(tile_store(result.dtype)) {
  if (store_ == nullptr) fail_dtype(request, result.dtype);
  if (!direct_) wide_ = plan.take(static_cast<size_t>(kTile) * sizeof(float));
}

}  // namespace lazuli::cpu
