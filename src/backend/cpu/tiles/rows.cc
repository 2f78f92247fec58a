#include "backend/cpu/tiles/rows.h"

namespace lazuli::cpu {

namespace {

bool is_row_float(DType t) { return t == DType::f32 || t == DType::bf16 || t == DType::f16; }

void* scratch_at(const KernelArgs& args, size_t offset) { return element_at(args.thread_scratch, static_cast<int64_t>(offset), 1); }

}  // namespace

RowReader::RowReader(const KernelRequest& request, const OperandSpec& operand, int64_t axis, ScratchPlan& plan) {
  if (!is_row_float(operand.dtype)) fail_dtype(request, operand.dtype);
  Shape others;
  Strides strides;
  for (int d = 0; d < operand.shape.rank(); ++d) {
    if (d == axis) continue;
    others.push_back(operand.shape[d]);
    strides.push_back(operand.strides[d]);
  }
  rows_ = StridedView(others, strides);
  count_ = operand.shape[static_cast<int>(axis)];
  stride_ = count_ == 1 ? 1 : operand.strides[static_cast<int>(axis)];
  line_ = StridedView(Shape{count_}, Strides{stride_});
  element_size_ = size_of(operand.dtype);
  if (operand.dtype != DType::f32) load_ = tile_load(operand.dtype);
  if (load_ == nullptr && stride_ == 1) return;
  wide_ = plan.take(static_cast<size_t>(count_) * sizeof(float));
  raw_ = load_ != nullptr && stride_ != 1 ? plan.take(static_cast<size_t>(count_) * element_size_) : wide_;
}

const float* RowReader::convert(const KernelArgs& args, const void* src) const {
  auto* wide = static_cast<float*>(scratch_at(args, wide_));
  if (stride_ == 1) {
    load_(src, wide, count_);
    return wide;
  }
  void* raw = scratch_at(args, raw_);
  gather(line_, src, element_size_, 0, count_, raw);
  if (load_ != nullptr) load_(raw, wide, count_);
  return wide;
}

RowWriter::RowWriter(const KernelRequest& request, const OperandSpec& result, int64_t axis, ScratchPlan& plan) {
  if (!is_row_float(result.dtype)) fail_dtype(request, result.dtype);
  count_ = result.shape[static_cast<int>(axis)];
  for (int d = static_cast<int>(axis) + 1; d < result.shape.rank(); ++d) inner_ *= result.shape[d];
  element_size_ = size_of(result.dtype);
  store_ = tile_store(result.dtype);
  direct_ = result.dtype == DType::f32 && inner_ == 1;
  if (direct_) return;
  wide_ = plan.take(static_cast<size_t>(count_) * sizeof(float));
  raw_ = inner_ != 1 ? plan.take(static_cast<size_t>(count_) * element_size_) : wide_;
}

void RowWriter::convert(const KernelArgs& args, void* base, int64_t r) const {
  const auto* wide = static_cast<const float*>(scratch_at(args, wide_));
  void* dst = element_at(base, r / inner_ * count_ * inner_ + r % inner_, element_size_);
  if (inner_ == 1) return store_(wide, dst, count_);
  void* raw = scratch_at(args, raw_);
  store_(wide, raw, count_);
  for (int64_t j = 0; j < count_; ++j) {
    if (element_size_ == 4) static_cast<uint32_t*>(dst)[j * inner_] = static_cast<const uint32_t*>(raw)[j];
    if (element_size_ == 2) static_cast<uint16_t*>(dst)[j * inner_] = static_cast<const uint16_t*>(raw)[j];
  }
}

}  // namespace lazuli::cpu
