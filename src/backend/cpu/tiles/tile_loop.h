// Defines the loop that applies a vector functor to f32 tiles, compiled once a target.
#if defined(LAZULI_BACKEND_CPU_TILES_TILE_LOOP_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LAZULI_BACKEND_CPU_TILES_TILE_LOOP_H_
#undef LAZULI_BACKEND_CPU_TILES_TILE_LOOP_H_
#else
#define LAZULI_BACKEND_CPU_TILES_TILE_LOOP_H_
#endif

#include "backend/cpu/common/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {

/// Operand of a tile loop: a run of values, or one value.
template <bool kScalar>
struct TileOperand {
  explicit HWY_INLINE TileOperand(const float* p) : p_(p) {}
  HWY_INLINE VF at(int64_t i) const { return load(p_ + i); }
  HWY_INLINE VF at(int64_t i, int64_t n) const { return load_n(p_ + i, n); }
  const float* p_;
};
template <>
struct TileOperand<true> {
  explicit HWY_INLINE TileOperand(const float* p) : v_(splat(*p)) {}
  HWY_INLINE VF at(int64_t) const { return v_; }
  HWY_INLINE VF at(int64_t, int64_t) const { return v_; }
  VF v_;
};

template <class F, bool kScalarA = false>
void tile_unary(const float* a, const float*, const float*, float* out, int64_t n) {
  const TileOperand<kScalarA> x(a);
  const int64_t step = lanes();
  int64_t i = 0;
  for (; i + 2 * step <= n; i += 2 * step) {
    const VF u = F::run(x.at(i)), v = F::run(x.at(i + step));
    store(u, out + i);
    store(v, out + i + step);
  }
  for (; i + step <= n; i += step) store(F::run(x.at(i)), out + i);
  if (i < n) store_n(F::run(x.at(i, n - i)), out + i, n - i);
}

template <class F, bool kScalarA, bool kScalarB>
void tile_binary(const float* a, const float* b, const float*, float* out, int64_t n) {
  const TileOperand<kScalarA> x(a);
  const TileOperand<kScalarB> y(b);
  const int64_t step = lanes();
  int64_t i = 0;
  for (; i + 2 * step <= n; i += 2 * step) {
    const VF u = F::run(x.at(i), y.at(i)), v = F::run(x.at(i + step), y.at(i + step));
    store(u, out + i);
    store(v, out + i + step);
  }
  for (; i + step <= n; i += step) store(F::run(x.at(i), y.at(i)), out + i);
  if (i < n) store_n(F::run(x.at(i, n - i), y.at(i, n - i)), out + i, n - i);
}

template <class F, bool kScalarB, bool kScalarC>
void tile_ternary(const float* a, const float* b, const float* c, float* out, int64_t n) {
  const TileOperand<false> x(a);
  const TileOperand<kScalarB> y(b);
  const TileOperand<kScalarC> z(c);
  const int64_t step = lanes();
  int64_t i = 0;
  for (; i + step <= n; i += step) store(F::run(x.at(i), y.at(i), z.at(i)), out + i);
  if (i < n) store_n(F::run(x.at(i, n - i), y.at(i, n - i), z.at(i, n - i)), out + i, n - i);
}

}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#endif
