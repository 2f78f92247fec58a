// Defines how the reference backend reads and writes single elements: in double or int64, through any strides.
#pragma once

#include <cmath>
#include <cstdint>

#include "backend/backend.h"

namespace lazuli::reference {

/// An element in the wide form that all arithmetic of this backend uses: a double for float dtypes, else an int64.
struct Number {
  double f = 0;
  int64_t i = 0;
  bool real = true;

  static Number of(double v) { return {v, 0, true}; }
  static Number of(int64_t v) { return {0, v, false}; }
  static Number of(bool v) { return {0, v ? 1 : 0, false}; }
  double as_real() const { return real ? f : static_cast<double>(i); }
  /// NaN is true, as in a cast to bool.
  bool truth() const { return real ? !(f == 0) : i != 0; }
};

/// Element `offset` (in elements, any sign) of memory of the given dtype.
Number load(const void* data, DType dtype, int64_t offset);
/// Rounds once, to nearest even; integers wrap; a double becomes an integer by the rules of Tensor::to.
void store(void* data, DType dtype, int64_t offset, const Number& value);
/// The value as the dtype holds it.
Number convert(const Number& value, DType dtype);

/// Where element k (row-major) of a shape lies under the given strides.
inline int64_t offset_of(int64_t k, const Dims& shape, const Dims& strides) {
  int64_t offset = 0;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    offset += k % shape[axis] * strides[axis];
    k /= shape[axis];
  }
  return offset;
}

/// Strides that show an operand under `space`, the shape it broadcasts to.
Strides broadcast_strides(const OperandSpec& spec, const Shape& space);

/// An operand.
class In {
 public:
  In(const OperandSpec& spec, const void* data) : In(spec.dtype, spec.shape, spec.strides, spec.contiguous, data) {}
  /// Seen under the shape that it broadcasts to.
  In(const OperandSpec& spec, const void* data, const Shape& space)
      : In(spec.dtype, space, broadcast_strides(spec, space), spec.contiguous && spec.shape == space, data) {}

  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int axis) const { return shape_[axis < 0 ? axis + shape_.rank() : axis]; }
  int64_t numel() const { return shape_.numel(); }
  int64_t stride(int axis) const { return strides_[axis < 0 ? axis + strides_.rank() : axis]; }
  const Strides& strides() const { return strides_; }
  DType dtype() const { return dtype_; }

  /// Element k in row-major order.
  Number number(int64_t k) const { return number_at(contiguous_ ? k : offset_of(k, shape_, strides_)); }
  double real(int64_t k = 0) const { return number(k).as_real(); }
  int64_t integer(int64_t k = 0) const { return convert(number(k), DType::i64).i; }
  /// The element at a distance from the first one.
  Number number_at(int64_t offset) const { return load(data_, dtype_, offset); }
  double real_at(int64_t offset) const { return number_at(offset).as_real(); }

 private:
  In(DType dtype, const Shape& shape, const Strides& strides, bool contiguous, const void* data)
      : dtype_(dtype), shape_(shape), strides_(strides), contiguous_(contiguous), data_(data) {}
  DType dtype_;
  Shape shape_;
  Strides strides_;
  bool contiguous_;
  const void* data_;
};

/// A result, always row-major; ignores stores when nobody reads it.
class Out {
 public:
  Out(const OperandSpec& spec, void* data) : spec_(&spec), data_(data) {}
  const Shape& shape() const { return spec_->shape; }
  DType dtype() const { return spec_->dtype; }
  void set(int64_t k, const Number& v) const {
    if (data_ != nullptr) store(data_, spec_->dtype, k, v);
  }
  void set(int64_t k, double v) const { set(k, Number::of(v)); }
  Number get(int64_t k) const { return load(data_, spec_->dtype, k); }

 private:
  const OperandSpec* spec_;
  void* data_;
};

/// The elements of one axis of a row-major shape: lane r holds elements at(r, 0..count-1).
struct Lanes {
  Lanes(const Shape& shape, int64_t axis) {
    for (int i = 0; i < shape.rank(); ++i) {
      if (i < axis) outer *= shape[i];
      if (i == axis) count = shape[i];
      if (i > axis) inner *= shape[i];
    }
  }
  int64_t rows() const { return outer * inner; }
  int64_t at(int64_t row, int64_t j) const { return (row / inner * count + j) * inner + row % inner; }
  int64_t outer = 1, count = 1, inner = 1;
};

}  // namespace lazuli::reference
