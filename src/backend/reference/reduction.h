// Defines the folding of axes, shared by reductions and fused chains that end in one.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/reference/element.h"
#include "lazuli/op.h"
#include "tensor/convert.h"

namespace lazuli::reference {

/// A strided shape split into the axes that stay and those folded away (a bit mask).
struct FoldedAxes {
  FoldedAxes(const Shape& shape, const Strides& strides, int64_t mask) {
    for (int i = 0; i < shape.rank(); ++i) {
      const bool fold = (mask >> i & 1) != 0;
      (fold ? folded : kept).push_back(shape[i]);
      (fold ? folded_strides : kept_strides).push_back(strides[i]);
    }
  }
  /// Of element `r` of those folded into result `o`.
  int64_t offset(int64_t o, int64_t r) const { return offset_of(o, kept, kept_strides) + offset_of(r, folded, folded_strides); }
  Shape kept, folded;
  Strides kept_strides, folded_strides;
};

/// A running sum, mean, max or min, in double or in wrapping int64. NaN wins every comparison.
class Fold {
 public:
  explicit Fold(Op op) : op_(op) {}
  void add(const Number& v) {
    sum_.f += v.as_real();
    sum_.i = static_cast<int64_t>(static_cast<uint64_t>(sum_.i) + static_cast<uint64_t>(v.i));
    if (count_++ == 0 || beats(v)) best_ = v;
    sum_.real = v.real;
  }
  /// Of nothing: 0, NaN for mean, the worst value of the dtype for max and min.
  Number result(DType dtype) const {
    if (op_ == Op::mean) return Number::of(sum_.f / static_cast<double>(count_));
    if (op_ == Op::sum) return count_ == 0 ? Number::of(int64_t{0}) : sum_;
    return count_ == 0 ? worst(dtype) : best_;
  }

 private:
  bool beats(const Number& v) const {
    if (v.real) return std::isnan(v.f) || (op_ == Op::max ? v.f > best_.f : v.f < best_.f);
    return op_ == Op::max ? v.i > best_.i : v.i < best_.i;
  }
  Number worst(DType dtype) const {
    if (is_float(dtype))
      return Number::of(op_ == Op::max ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity());
    return Number::of(dispatch(dtype, [&](auto tag) {
      using Limits = std::numeric_limits<decltype(tag)>;
      return convert_element<int64_t>(op_ == Op::max ? Limits::lowest() : Limits::max());
    }));
  }
  Op op_;
  int64_t count_ = 0;
  Number sum_, best_;
};

}  // namespace lazuli::reference
