#include "backend/cpu/tiles/tile_table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/tiles/tile_convert.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/common/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

template <class T>
void load_floats(const void* src, float* dst, int64_t n) {
  const T* p = static_cast<const T*>(src);
  const int64_t step = lanes();
  int64_t i = 0;
  for (; i + step <= n; i += step) store(load(p + i), dst + i);
  if (i < n) store_n(load_n(p + i, n - i), dst + i, n - i);
}

template <class T>
void store_floats(const float* src, void* dst, int64_t n) {
  T* p = static_cast<T*>(dst);
  const int64_t step = lanes();
  int64_t i = 0;
  for (; i + step <= n; i += step) store(load(src + i), p + i);
  if (i < n) store_n(load_n(src + i, n - i), p + i, n - i);
}

template <class T>
void round_floats(const float* a, const float*, const float*, float* out, int64_t n) {
  T part[HWY_LANES(float)];
  const int64_t step = lanes();
  for (int64_t i = 0; i < n; i += step) {
    const int64_t m = n - i < step ? n - i : step;
    store_floats<T>(a + i, part, m);
    load_floats<T>(part, out + i, m);
  }
}

// Plain loops that the compiler vectorises for the target.
template <class T>
void load_numbers(const void* src, float* dst, int64_t n) {
  const T* p = static_cast<const T*>(src);
  for (int64_t i = 0; i < n; ++i) dst[i] = static_cast<float>(p[i]);
}
void store_booleans(const float* src, void* dst, int64_t n) {
  auto* p = static_cast<uint8_t*>(dst);
  for (int64_t i = 0; i < n; ++i) p[i] = src[i] != 0.0f ? 1 : 0;
}

TileLoad lookup_load(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return load_floats<float>;
    case DType::bf16:
      return load_floats<bf16>;
    case DType::f16:
      return load_floats<f16>;
    case DType::i32:
      return load_numbers<int32_t>;
    case DType::i64:
      return load_numbers<int64_t>;
    case DType::i8:
      return load_numbers<int8_t>;
    case DType::u8:
    case DType::boolean:
      return load_numbers<uint8_t>;
    case DType::f64:
      return load_numbers<double>;
  }
  return nullptr;
}

void stream_floats(const float* src, void* dst, int64_t n) {
  auto* const out = static_cast<float*>(dst);
  const int64_t step = lanes();
  int64_t i = 0;
  if (reinterpret_cast<uintptr_t>(out) % (static_cast<size_t>(step) * sizeof(float)) == 0) {
    for (; i + step <= n; i += step) hn::Stream(load(src + i), F32(), out + i);
  }
  std::copy(src + i, src + n, out + i);
}
TileStore lookup_stream() { return stream_floats; }

TileStore lookup_store(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return store_floats<float>;
    case DType::bf16:
      return store_floats<bf16>;
    case DType::f16:
      return store_floats<f16>;
    case DType::boolean:
      return store_booleans;
    default:
      return nullptr;
  }
}

TileFn lookup_round(DType dtype) { return dtype == DType::bf16 ? round_floats<bf16> : round_floats<f16>; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {
namespace {

HWY_EXPORT(lookup_load);
HWY_EXPORT(lookup_store);
HWY_EXPORT(lookup_stream);
HWY_EXPORT(lookup_round);

}  // namespace

TileLoad tile_load(DType dtype) { return HWY_DYNAMIC_DISPATCH(lookup_load)(dtype); }
TileStore tile_store(DType dtype) { return HWY_DYNAMIC_DISPATCH(lookup_store)(dtype); }
TileStore tile_stream() { return HWY_DYNAMIC_DISPATCH(lookup_stream)(); }
TileFn tile_round(DType dtype) { return HWY_DYNAMIC_DISPATCH(lookup_round)(dtype); }

}  // namespace lazuli::cpu
#endif
