// random_uniform, random_normal, random_bits, dropout: element k depends only on the seed and k. KIND: 0 uniform, 1 normal, 2 bits,
// 3 dropout. T: dtype of the result; SEED: of the seed, operand number SEED_IN; BITS: leading bits of a word that a uniform number keeps;
// P: of dropout's probability, operand 1. n: count. A thread does the elements of one block of Philox (philox.cu).
// A word as a multiple of 2^-bits in [0, 1).
__device__ inline float uniform_from(u32 word, int bits) {
  return static_cast<float>(word >> (32 - bits)) * __uint_as_float(static_cast<u32>(127 - bits) << 23);
}
#define PER_BLOCK (KIND == 2 ? 2 : 4)

__device__ inline void draw(const Words& words, i64 (&y)[2]) {
  for (int i = 0; i < 2; ++i) y[i] = static_cast<i64>(bits64(words, i));
}
__device__ inline void draw(const Words& words, float (&y)[4]) {
#if KIND == 1
  // Box and Muller: 1 - uniform is exact and never 0, and so is twice a uniform number.
  for (int i = 0; i < 4; i += 2) {
    const float radius = sqrtf(-2.0f * logf(1.0f - uniform_from(words.v[i], 24)));
    const float turn = 2.0f * uniform_from(words.v[i + 1], 24);
    y[i] = radius * cospif(turn);
    y[i + 1] = radius * sinpif(turn);
  }
#else
  for (int i = 0; i < 4; ++i) y[i] = uniform_from(words.v[i], BITS);
#endif
}

#if KIND == 2
typedef i64 Wide;
#else
typedef float Wide;
#endif

KERNEL {
  const i64 count = p.n[0];
  const u64 seed = static_cast<u64>(load<SEED>(p.in[SEED_IN], 0));
#if KIND == 3
  const double probability = load<P>(p.in[1], 0);
  const float drop = static_cast<float>(probability), scale = static_cast<float>(1 / (1 - probability));
  const T* x = static_cast<const T*>(p.in[0]);
#else
  const T* x = nullptr;
#endif
  typedef Pack<T, PER_BLOCK> Elements;
  T* out = static_cast<T*>(p.out[0]);
  const bool aligned = (reinterpret_cast<u64>(out) | reinterpret_cast<u64>(x)) % sizeof(Elements) == 0;
  for (i64 block = first_index(); block * PER_BLOCK < count; block += index_step()) {
    const i64 first = block * PER_BLOCK;
    const int n = count - first < PER_BLOCK ? static_cast<int>(count - first) : PER_BLOCK;
    const bool whole = aligned && n == PER_BLOCK;
    Wide y[PER_BLOCK];
    draw(philox(seed, static_cast<u64>(block)), y);
    Elements e;
#if KIND == 3
    if (whole) {
      e = *reinterpret_cast<const Elements*>(x + first);
    } else {
#pragma unroll
      for (int i = 0; i < PER_BLOCK; ++i) {
        if (i < n) e.v[i] = x[first + i];
      }
    }
#pragma unroll
    for (int i = 0; i < PER_BLOCK; ++i) {
      if (i < n) e.v[i] = narrow<T>(y[i] >= drop ? static_cast<float>(widen(e.v[i])) * scale : 0.0f);
    }
#else
#pragma unroll
    for (int i = 0; i < PER_BLOCK; ++i) e.v[i] = narrow<T>(y[i]);
#endif
    if (whole) {
      *reinterpret_cast<Elements*>(out + first) = e;
    } else {
#pragma unroll
      for (int i = 0; i < PER_BLOCK; ++i) {
        if (i < n) out[first + i] = e.v[i];
      }
    }
  }
}
