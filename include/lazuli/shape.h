// Defines Shape (dimensions of a tensor, at most 8) and Strides, both without heap memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace lazuli {

inline constexpr int kMaxRank = 8;  ///< most dimensions of a tensor

/// A short list of int64 kept inline; base of Shape and of stride lists.
class Dims {
 public:
  /// No entries.
  Dims() = default;
  /// Throws ShapeError when there are more than kMaxRank entries.
  Dims(std::initializer_list<int64_t> dims) : Dims(std::span<const int64_t>(dims.begin(), dims.size())) {}
  /// Throws ShapeError when there are more than kMaxRank entries.
  explicit Dims(std::span<const int64_t> dims);

  ///@{
  /// The entries, outermost first; an index is not checked.
  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[static_cast<size_t>(i)]; }
  int64_t& operator[](int i) { return dims_[static_cast<size_t>(i)]; }
  const int64_t* begin() const { return dims_.data(); }
  const int64_t* end() const { return dims_.data() + rank_; }
  std::span<const int64_t> span() const { return {dims_.data(), static_cast<size_t>(rank_)}; }
  int64_t back() const { return dims_[static_cast<size_t>(rank_ - 1)]; }
  ///@}
  ///@{
  /// Throw ShapeError when there are more than kMaxRank entries; new ones are 0.
  void push_back(int64_t d);
  void resize(int rank);
  ///@}
  /// The same entries.
  bool operator==(const Dims& o) const {
    if (rank_ != o.rank_) return false;
    for (int i = 0; i < rank_; ++i) {
      if (dims_[static_cast<size_t>(i)] != o.dims_[static_cast<size_t>(i)]) return false;
    }
    return true;
  }

 protected:
  std::array<int64_t, kMaxRank> dims_{};  ///< the first `rank_` count
  int rank_ = 0;                          ///< entries in use
};

/// Distances between neighbours along each axis, in elements.
using Strides = Dims;

/// The dimensions of a tensor, outermost first; all at least 0.
class Shape : public Dims {
 public:
  using Dims::Dims;  ///< made like Dims
  /// Rank 0: one element.
  Shape() = default;
  /// The same entries.
  explicit Shape(const Dims& d) : Dims(d) {}
  /// Product of the dimensions; 1 for rank 0.
  int64_t numel() const {
    int64_t n = 1;
    for (int64_t d : *this) n *= d;
    return n;
  }
  /// Throws ShapeError if a dimension is negative or the element count times `element_size` overflows.
  void check(std::string_view who, size_t element_size) const;
};

/// `"(2, 3)"`.
std::string to_string(const Dims& d);

/// Row-major strides, in elements.
Strides contiguous_strides(const Shape& s);

/// Turns a possibly negative axis into 0..rank-1; throws ShapeError naming `who`.
int normalize_axis(std::string_view who, int axis, int rank);

/// NumPy broadcasting of two shapes; throws ShapeError naming `who`.
Shape broadcast_shapes(std::string_view who, const Shape& a, const Shape& b);

}  // namespace lazuli
