// What every kernel text begins with: dtypes, conversions, reductions over a warp and a block. N_IN, N_OUT and N_SIZES are defined before it.

typedef signed char i8;
typedef unsigned char u8;
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;
struct bf16 {
  unsigned short bits;
};
struct f16 {
  unsigned short bits;
};

// One argument block a launch. A pointer is null for a result that nobody reads.
struct Params {
  const void* in[N_IN];
  void* out[N_OUT];
  void* scratch;
  u64* failure;  // in host memory: the first kernel that fails tells which it is, and the number that was out of range
  u64 kernel;
  i64 n[N_SIZES];
};
#define KERNEL extern "C" __global__ void run(const __grid_constant__ Params p)

__device__ inline float infinity() { return __int_as_float(0x7f800000); }
__device__ inline float not_a_number() { return __int_as_float(0x7fc00000); }

// Reports a number (an index) that is out of range. Keeps the first report.
__device__ inline void fail(const Params& p, i64 number) {
  const i64 shown = number < -2147483647 ? -2147483647 : number > 2147483647 ? 2147483647 : number;
  volatile u64* word = p.failure;
  if (*word == 0) *word = (p.kernel + 1) << 32 | static_cast<u32>(static_cast<i32>(shown));
}

__device__ inline float widen(float v) { return v; }
__device__ inline double widen(double v) { return v; }
__device__ inline float widen(bf16 v) { return __uint_as_float(static_cast<u32>(v.bits) << 16); }
__device__ inline float widen(f16 v) {
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(v.bits));
  return f;
}
__device__ inline i64 widen(i64 v) { return v; }
__device__ inline i64 widen(i32 v) { return v; }
__device__ inline i64 widen(i8 v) { return v; }
__device__ inline i64 widen(u8 v) { return v; }
__device__ inline i64 widen(bool v) { return v; }

template <class T>
struct Tag {};

// From the wide form (float, double or i64) to a stored dtype: to nearest even; truncated, clamped and NaN to 0 from float to integer;
// wrapped from integer to integer.
template <class V>
__device__ inline float narrow_to(Tag<float>, V v) { return static_cast<float>(v); }
template <class V>
__device__ inline double narrow_to(Tag<double>, V v) { return static_cast<double>(v); }
template <class V>
__device__ inline bf16 narrow_to(Tag<bf16>, V v) {
  const u32 u = __float_as_uint(static_cast<float>(v));
  bf16 r;
  r.bits = (u & 0x7fffffffu) > 0x7f800000u ? static_cast<unsigned short>(0x7fc0u | (u >> 16 & 0x8000u))
                                            : static_cast<unsigned short>((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
  return r;
}
template <class V>
__device__ inline f16 narrow_to(Tag<f16>, V v) {
  f16 r;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r.bits) : "f"(static_cast<float>(v)));
  return r;
}
__device__ inline i64 clamp_to_integer(double v, double low, double end, i64 lowest, i64 highest) {
  if (v >= end) return highest;
  if (v > low) return static_cast<i64>(v);
  return v <= low ? lowest : 0;
}
__device__ inline i64 to_integer(i64 v, i64, i64) { return v; }
__device__ inline i64 to_integer(float v, i64 lowest, i64 highest) {
  return clamp_to_integer(v, static_cast<double>(lowest), 2.0 * static_cast<double>(highest / 2 + 1), lowest, highest);
}
__device__ inline i64 to_integer(double v, i64 lowest, i64 highest) {
  return clamp_to_integer(v, static_cast<double>(lowest), 2.0 * static_cast<double>(highest / 2 + 1), lowest, highest);
}
template <class V>
__device__ inline i64 narrow_to(Tag<i64>, V v) { return to_integer(v, -9223372036854775807ll - 1, 9223372036854775807ll); }
template <class V>
__device__ inline i32 narrow_to(Tag<i32>, V v) { return static_cast<i32>(to_integer(v, -2147483648ll, 2147483647ll)); }
template <class V>
__device__ inline i8 narrow_to(Tag<i8>, V v) { return static_cast<i8>(to_integer(v, -128, 127)); }
template <class V>
__device__ inline u8 narrow_to(Tag<u8>, V v) { return static_cast<u8>(to_integer(v, 0, 255)); }
template <class V>
__device__ inline bool narrow_to(Tag<bool>, V v) { return v != static_cast<V>(0); }

template <class T, class V>
__device__ inline T narrow(V v) { return narrow_to(Tag<T>(), v); }

// Element i of operand or result k, in the wide form.
template <class T>
__device__ inline auto load(const void* data, i64 i) { return widen(static_cast<const T*>(data)[i]); }
template <class T, class V>
__device__ inline void store(void* data, i64 i, V v) { static_cast<T*>(data)[i] = narrow<T>(v); }

template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T v[N];
};

// The first index of this thread and the distance to its next one in a loop over the grid.
__device__ inline i64 first_index() { return static_cast<i64>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline i64 index_step() { return static_cast<i64>(gridDim.x) * blockDim.x; }

// NaN in either gives NaN.
__device__ inline float larger(float a, float b) { return a != a || a > b ? a : b; }
__device__ inline float smaller(float a, float b) { return a != a || a < b ? a : b; }
__device__ inline double larger(double a, double b) { return a != a || a > b ? a : b; }
__device__ inline double smaller(double a, double b) { return a != a || a < b ? a : b; }
__device__ inline i64 larger(i64 a, i64 b) { return a > b ? a : b; }
__device__ inline i64 smaller(i64 a, i64 b) { return a < b ? a : b; }

struct Sum {
  template <class V>
  __device__ V operator()(V a, V b) const { return a + b; }
};
struct Larger {
  template <class V>
  __device__ V operator()(V a, V b) const { return larger(a, b); }
};
struct Smaller {
  template <class V>
  __device__ V operator()(V a, V b) const { return smaller(a, b); }
};

template <class V, class F>
__device__ inline V warp_reduce(V v, F f) {
  for (int d = 16; d > 0; d /= 2) v = f(v, __shfl_xor_sync(0xffffffffu, v, d));
  return v;
}
// Of all threads of the block (blockDim.x a multiple of 32, one dimension); every thread gets the result. `rest` is the neutral element.
template <class V, class F>
__device__ inline V block_reduce(V v, F f, V rest) {
  __shared__ V part[32];
  v = warp_reduce(v, f);
  if (blockDim.x <= 32) return v;
  __syncthreads();
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
  __syncthreads();
  v = threadIdx.x % 32 < blockDim.x / 32 ? part[threadIdx.x % 32] : rest;
  return warp_reduce(v, f);
}
