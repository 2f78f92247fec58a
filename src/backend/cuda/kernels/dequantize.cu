// dequantize: (q - zero) * scale, row-major; groups of neighbours divide the last axis. Q, S, T: dtypes of q, of scales and zero points, of
// the result; ZEROS: there are zero points; PACK divides the group; WIDE: count in 64 bits. n: count, group.
#if WIDE
typedef i64 I;
#else
typedef u32 I;
#endif

template <int N>
__device__ inline void dequantize(const Params& p) {
  const I count = static_cast<I>(p.n[0] / N), group = static_cast<I>(p.n[1] / N);
  for (I k = static_cast<I>(first_index()); k < count; k += static_cast<I>(index_step())) {
    const I g = k / group;
    const float scale = load<S>(p.in[1], g), zero = ZEROS ? static_cast<float>(load<S>(p.in[N_IN - 1], g)) : 0.0f;
    const Pack<Q, N> q = static_cast<const Pack<Q, N>*>(p.in[0])[k];
    Pack<T, N> y;
#pragma unroll
    for (int i = 0; i < N; ++i) y.v[i] = narrow<T>((static_cast<float>(widen(q.v[i])) - zero) * scale);
    static_cast<Pack<T, N>*>(p.out[0])[k] = y;
  }
}

KERNEL {
#if PACK > 1
  if (reinterpret_cast<u64>(p.in[0]) % PACK == 0 && reinterpret_cast<u64>(p.out[0]) % sizeof(Pack<T, PACK>) == 0) {
    dequantize<PACK>(p);
    return;
  }
#endif
  dequantize<1>(p);
}
