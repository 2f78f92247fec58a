// pad: x with a value around it. T moved by size; RANK; WIDE: count in 64 bits. n: count, then RANK sizes of the result, RANK elements
// before x, RANK sizes of x, RANK strides of x.
#if WIDE
typedef i64 I;
#else
typedef u32 I;
#endif

KERNEL {
  const I count = static_cast<I>(p.n[0]);
  const T value = static_cast<const T*>(p.in[1])[0];
  for (I k = static_cast<I>(first_index()); k < count; k += static_cast<I>(index_step())) {
    I rest = k;
    i64 source = 0;
    bool inside = true;
#pragma unroll
    for (int i = RANK - 1; i >= 0; --i) {
      const I size = static_cast<I>(p.n[1 + i]), next = i == 0 ? 0 : rest / size;
      const i64 at = static_cast<i64>(rest - next * size) - p.n[1 + RANK + i];
      inside = inside && at >= 0 && at < p.n[1 + 2 * RANK + i];
      source += at * p.n[1 + 3 * RANK + i];
      rest = next;
    }
    static_cast<T*>(p.out[0])[k] = inside ? static_cast<const T*>(p.in[0])[source] : value;
  }
}
