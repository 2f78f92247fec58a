// Defines loops over the vectors of a row of f32 values, compiled once a target.
#if defined(LAZULI_BACKEND_CPU_TILES_ROW_LOOP_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LAZULI_BACKEND_CPU_TILES_ROW_LOOP_H_
#undef LAZULI_BACKEND_CPU_TILES_ROW_LOOP_H_
#else
#define LAZULI_BACKEND_CPU_TILES_ROW_LOOP_H_
#endif

#include "backend/cpu/common/simd.h"
#include "backend/cpu/common/thresholds.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {

/// How a loop's body reaches memory: whole vectors, or the first n lanes of the last one.
struct Whole {
  HWY_INLINE VF load(const float* p) const { return HWY_NAMESPACE::load(p); }
  HWY_INLINE void store(VF v, float* p) const { HWY_NAMESPACE::store(v, p); }
  HWY_INLINE VF or_else(VF v, VF) const { return v; }
};
struct Part {
  HWY_INLINE VF load(const float* p) const { return load_n(p, n); }
  HWY_INLINE void store(VF v, float* p) const { store_n(v, p, n); }
  /// Lanes that hold elements; `rest` in the others.
  HWY_INLINE VF or_else(VF v, VF rest) const { return hn::IfThenElse(first(n), v, rest); }
  int64_t n;
};

/// body(i, access) for each vector of a row of n elements.
template <class Body>
HWY_INLINE void each_vector(int64_t n, Body body) {
  const int64_t step = lanes();
  int64_t i = 0;
  for (; i + 2 * step <= n; i += 2 * step) {
    body(i, Whole());
    body(i + step, Whole());
  }
  for (; i + step <= n; i += step) body(i, Whole());
  if (i < n) body(i, Part{n - i});
}

struct AddFold {
  static HWY_INLINE VF run(VF a, VF b) { return hn::Add(a, b); }
};
struct MaxFold {
  static HWY_INLINE VF run(VF a, VF b) { return max_nan(a, b); }
};

/// Folds body(i, access) over a row with four accumulators; `rest` is neutral.
template <class Fold, class Body>
HWY_INLINE VF fold_vectors(int64_t n, VF rest, Body body) {
  const int64_t step = lanes();
  VF s0 = rest, s1 = rest, s2 = rest, s3 = rest;
  int64_t i = 0;
  for (; i + 4 * step <= n; i += 4 * step) {
    s0 = Fold::run(s0, body(i, Whole()));
    s1 = Fold::run(s1, body(i + step, Whole()));
    s2 = Fold::run(s2, body(i + 2 * step, Whole()));
    s3 = Fold::run(s3, body(i + 3 * step, Whole()));
  }
  for (; i + step <= n; i += step) s0 = Fold::run(s0, body(i, Whole()));
  if (i < n) {
    const Part part{n - i};
    s1 = Fold::run(s1, part.or_else(body(i, part), rest));
  }
  return Fold::run(Fold::run(s0, s1), Fold::run(s2, s3));
}
/// In blocks, whose sums are added in double: a lane adds at most 64 numbers in f32.
template <class Body>
HWY_INLINE float sum_vectors(int64_t n, Body body) {
  const int64_t block = threshold::rows::kVectors * lanes();
  double total = 0;
  for (int64_t from = 0; from < n; from += block) {
    const int64_t m = n - from < block ? n - from : block;
    const VF sums = fold_vectors<AddFold>(m, zero(), [&](int64_t i, auto at) HWY_ATTR { return body(from + i, at); });
    total += static_cast<double>(sum_of(sums));
  }
  return static_cast<float>(total);
}
template <class Body>
HWY_INLINE float max_vectors(int64_t n, Body body) {
  return max_of(fold_vectors<MaxFold>(n, splat(-HUGE_VALF), body));
}

}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#endif
