#include "plan/views.h"

namespace lazuli {

bool is_contiguous(const Shape& shape, const Strides& strides) {
  if (shape.numel() == 0) return true;
  int64_t expected = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

Strides expand_strides(const Shape& from, const Strides& strides, const Shape& to) {
  Strides out;
  out.resize(to.rank());
  const int shift = to.rank() - from.rank();
  for (int i = 0; i < to.rank(); ++i) out[i] = i >= shift && from[i - shift] != 1 ? strides[i - shift] : 0;
  return out;
}

Strides permute_strides(const Strides& strides, int64_t packed) {
  Strides out = strides;
  for (int k = 0; k < strides.rank(); ++k) out[k] = strides[static_cast<int>((packed >> (4 * k)) & 15)];
  return out;
}

Strides slice_strides(const Strides& strides, std::span<const int64_t> list, int64_t* start) {
  Strides out = strides;
  const auto rank = static_cast<size_t>(strides.rank());
  *start = 0;
  for (int k = 0; k < strides.rank(); ++k) {
    *start += list[static_cast<size_t>(k)] * strides[k];
    out[k] = strides[k] * list[rank + static_cast<size_t>(k)];
  }
  return out;
}

bool reshape_strides(const Shape& from, const Strides& strides, const Shape& to, Strides* out) {
  if (is_contiguous(from, strides)) {
    *out = contiguous_strides(to);
    return true;
  }
  Dims dims, steps;  // the source without axes of length 1, whose strides say nothing
  for (int i = 0; i < from.rank(); ++i) {
    if (from[i] == 1) continue;
    dims.push_back(from[i]);
    steps.push_back(strides[i]);
  }
  out->resize(to.rank());
  int f = 0;
  for (int t = 0; t < to.rank();) {
    if (to[t] == 1) {
      (*out)[t++] = 0;
      continue;
    }
    // The smallest groups of axes on both sides with equal element counts; the source group must be one run of equal steps.
    if (f == dims.rank()) return false;
    int64_t from_count = dims[f], to_count = to[t];
    int f_end = f + 1, t_end = t + 1;
    while (from_count != to_count) {
      if (from_count < to_count) {
        if (f_end == dims.rank() || steps[f_end - 1] != steps[f_end] * dims[f_end]) return false;
        from_count *= dims[f_end++];
      } else {
        if (t_end == to.rank()) return false;
        to_count *= to[t_end++];
      }
    }
    int64_t step = steps[f_end - 1];
    for (int k = t_end - 1; k >= t; --k) {
      (*out)[k] = step;
      step *= to[k];
    }
    f = f_end;
    t = t_end;
  }
  return f == dims.rank();
}

}  // namespace lazuli
