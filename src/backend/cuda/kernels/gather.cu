// gather and take_along: T moved by size, INDEX: dtype of the indices, WIDE: count in 64 bits. n: outer, many, count, inner.
// gather (ALONG 0): x (outer, count, inner), indices (many) -> (outer, many, inner), in packs of PACK elements.
// take_along (ALONG 1): indices (outer, many, inner) -> the same shape.
#if WIDE
typedef i64 I;
#else
typedef u32 I;
#endif

template <class E>
__device__ inline void pick(const Params& p, I inner) {
  const I many = static_cast<I>(p.n[1]), total = static_cast<I>(p.n[0] * p.n[1]) * inner;
  const i64 count = p.n[2];
  const E* x = static_cast<const E*>(p.in[0]);
  E* out = static_cast<E*>(p.out[0]);
  for (I k = static_cast<I>(first_index()); k < total; k += static_cast<I>(index_step())) {
    const I row = k / inner, at = k - row * inner, outer = row / many;
    const i64 index = load<INDEX>(p.in[1], ALONG ? k : row - outer * many);
    if (index < 0 || index >= count) {
      if (ALONG || at == 0) fail(p, index);
      continue;
    }
    out[k] = x[(outer * count + index) * inner + at];
  }
}

KERNEL {
#if PACK > 1
  if ((reinterpret_cast<u64>(p.in[0]) | reinterpret_cast<u64>(p.out[0])) % (PACK * sizeof(T)) == 0) {
    pick<Pack<T, PACK>>(p, static_cast<I>(p.n[3] / PACK));
    return;
  }
#endif
  pick<T>(p, static_cast<I>(p.n[3]));
}
