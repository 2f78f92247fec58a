// Implements shapes: checks, strides, axes and broadcasting.
#include "lazuli/shape.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checked.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

[[noreturn]] void throw_rank(int64_t rank) {
  throw ShapeError(fmt::format("shape: at most {} dimensions expected, got {}", kMaxRank, rank));
}

}  // namespace

Dims::Dims(std::span<const int64_t> dims) {
  if (dims.size() > static_cast<size_t>(kMaxRank)) throw_rank(static_cast<int64_t>(dims.size()));
  std::copy(dims.begin(), dims.end(), dims_.begin());
  rank_ = static_cast<int>(dims.size());
}

void Dims::push_back(int64_t d) {
  if (rank_ >= kMaxRank) throw_rank(rank_ + 1);
  dims_[static_cast<size_t>(rank_++)] = d;
}

void Dims::resize(int rank) {
  if (rank < 0 || rank > kMaxRank) throw_rank(rank);
  for (int i = rank_; i < rank; ++i) dims_[static_cast<size_t>(i)] = 0;
  rank_ = rank;
}

void Shape::check(std::string_view who, size_t element_size) const {
  // Zero dimensions count as one here, so that a product without them cannot overflow in strides either.
  auto total = static_cast<int64_t>(element_size);
  for (int64_t d : *this) {
    if (d < 0) throw ShapeError(fmt::format("{}: dimensions must be at least 0, got {}", who, to_string(*this)));
    const auto next = checked_mul(total, std::max<int64_t>(d, 1));
    if (!next) throw ShapeError(fmt::format("{}: shape {} has more bytes than an address can count", who, to_string(*this)));
    total = *next;
  }
}

std::string to_string(const Dims& d) { return fmt::format("({})", fmt::join(d.begin(), d.end(), ", ")); }

Strides contiguous_strides(const Shape& s) {
  Strides strides;
  strides.resize(s.rank());
  int64_t step = 1;
  for (int i = s.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= std::max<int64_t>(s[i], 1);
  }
  return strides;
}

int normalize_axis(std::string_view who, int axis, int rank) {
  const int normal = axis < 0 ? axis + rank : axis;
  if (normal < 0 || normal >= rank) {
    throw ShapeError(fmt::format("{}: axis {} is out of range for {} dimensions", who, axis, rank));
  }
  return normal;
}

Shape broadcast_shapes(std::string_view who, const Shape& a, const Shape& b) {
  if (a == b) return a;
  Shape out;
  out.resize(std::max(a.rank(), b.rank()));
  for (int i = 1; i <= out.rank(); ++i) {
    const int64_t x = i <= a.rank() ? a[a.rank() - i] : 1;
    const int64_t y = i <= b.rank() ? b[b.rank() - i] : 1;
    if (x != y && x != 1 && y != 1) {
      throw ShapeError(
          fmt::format("{}: shapes {} and {} do not broadcast: {} against {} at axis -{}", who, to_string(a), to_string(b), x, y, i));
    }
    out[out.rank() - i] = x == 1 ? y : x;
  }
  return out;
}

}  // namespace lazuli
