// Moves elements from strided places to strided places: a part of concat, slice_update, slice_at. T moved by size; PACK: elements of a
// pack, where both last strides are 1 and everything else divides; RANK; WIDE: count in 64 bits; OFFSET_IN: operand with a run-time offset
// of dtype OFFSET, or -1; BY_ROW: with several, each for as many neighbouring elements. n: count, operand, first element of the result, the
// offset's stride in the operand and in the result, its lowest and highest value, elements that share one, then RANK sizes, RANK strides of
// the operand, RANK strides of the result.
#if WIDE
typedef i64 I;
#else
typedef u32 I;
#endif
#define DIMS 8

template <class E, int N>
__device__ inline void move(const Params& p, const T* x, T* out) {
  const E* from = reinterpret_cast<const E*>(x);
  E* to = reinterpret_cast<E*>(out);
  const I count = static_cast<I>(p.n[0] / N);
#if BY_ROW
  const I each = static_cast<I>(p.n[7] / N);
#endif
  for (I k = static_cast<I>(first_index()); k < count; k += static_cast<I>(index_step())) {
    const I inner = static_cast<I>(p.n[DIMS + RANK - 1] / N);
    I rest = k / inner;
    const i64 at = k - rest * inner;
    i64 source = at * (N == 1 ? p.n[DIMS + 2 * RANK - 1] : 1), target = at * (N == 1 ? p.n[DIMS + 3 * RANK - 1] : 1);
#pragma unroll
    for (int i = RANK - 2; i >= 0; --i) {
      const I size = static_cast<I>(p.n[DIMS + i]), next = i == 0 ? 0 : rest / size;
      const i64 place = rest - next * size;
      source += place * (p.n[DIMS + RANK + i] / N);
      target += place * (p.n[DIMS + 2 * RANK + i] / N);
      rest = next;
    }
#if BY_ROW
    const i64 offset = load<OFFSET>(p.in[OFFSET_IN], k / each);
    if (offset < p.n[5] || offset > p.n[6]) {
      fail(p, offset);
      continue;
    }
    source += offset * (p.n[3] / N);
    target += offset * (p.n[4] / N);
#endif
    to[target] = from[source];
  }
}

KERNEL {
  const T* x = static_cast<const T*>(p.in[p.n[1]]);
  T* out = static_cast<T*>(p.out[0]) + p.n[2];
#if OFFSET_IN >= 0 && !BY_ROW
  const i64 offset = load<OFFSET>(p.in[OFFSET_IN], 0);
  if (offset < p.n[5] || offset > p.n[6]) {
    if (first_index() == 0) fail(p, offset);
    return;
  }
  x += offset * p.n[3];
  out += offset * p.n[4];
#endif
#if PACK > 1
  if ((reinterpret_cast<u64>(x) | reinterpret_cast<u64>(out)) % (PACK * sizeof(T)) == 0) {
    move<Pack<T, PACK>, PACK>(p, x, out);
    return;
  }
#endif
  move<T, 1>(p, x, out);
}
