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

/// A short inline list of int64, the base of Shape and of stride lists.
class Dims {
 public:
  /// Makes an empty list.
  Dims() = default;
  /// Makes a list of these entries. Throws ShapeError for more than kMaxRank entries.
  Dims(std::initializer_list<int64_t> dims) : Dims(std::span<const int64_t>(dims.begin(), dims.size())) {}
  /// Makes a list of these entries. Throws ShapeError for more than kMaxRank entries.
  explicit Dims(std::span<const int64_t> dims);

  ///@{
  /// The entries, outermost first. An index is not checked.
  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[static_cast<size_t>(i)]; }
  int64_t& operator[](int i) { return dims_[static_cast<size_t>(i)]; }
  const int64_t* begin() const { return dims_.data(); }
  const int64_t* end() const { return dims_.data() + rank_; }
  std::span<const int64_t> span() const { return {dims_.data(), static_cast<size_t>(rank_)}; }
  int64_t back() const { return dims_[static_cast<size_t>(rank_ - 1)]; }
  ///@}
  ///@{
  /// Change the number of entries. New entries of `resize` are 0. They throw ShapeError for more than kMaxRank entries.
  void push_back(int64_t d);
  void resize(int rank);
  ///@}
  /// Whether the entries are the same.
  bool operator==(const Dims& o) const {
    if (rank_ != o.rank_) return false;
    for (int i = 0; i < rank_; ++i) {
      if (dims_[static_cast<size_t>(i)] != o.dims_[static_cast<size_t>(i)]) return false;
    }
    return true;
  }

 protected:
  std::array<int64_t, kMaxRank> dims_{};  ///< the first `rank_` entries are in use
  int rank_ = 0;                          ///< entries in use
};

/// Distances between neighbours along each axis, in elements.
using Strides = Dims;

/// The dimensions of a tensor, outermost first; all at least 0.
class Shape : public Dims {
 public:
  using Dims::Dims;  ///< has the constructors of Dims
  /// Makes a shape of rank 0, which has one element.
  Shape() = default;
  /// Makes a shape with the same entries.
  explicit Shape(const Dims& d) : Dims(d) {}
  /// Returns the product of the dimensions, which is 1 for rank 0.
  int64_t numel() const {
    int64_t n = 1;
    for (int64_t d : *this) n *= d;
    return n;
  }
  /// Throws ShapeError if a dimension is negative or the element count times `element_size` overflows.
  void check(std::string_view who, size_t element_size) const;
};

/// Returns the list as text, such as `"(2, 3)"`.
std::string to_string(const Dims& d);

/// Returns row-major strides, in elements.
Strides contiguous_strides(const Shape& s);

/// Converts a possibly negative axis to 0..rank-1. Throws ShapeError naming `who`.
int normalize_axis(std::string_view who, int axis, int rank);

/// Broadcasts two shapes as NumPy does. Throws ShapeError naming `who`.
Shape broadcast_shapes(std::string_view who, const Shape& a, const Shape& b);

}  // namespace lazuli
