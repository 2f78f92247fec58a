// rope: x, cos and sin tables, offset. T: dtype of x, TABLE: of the tables; BACK; WIDE: counts need 64 bits; RANK: dims before the
// last. n: rows, tokens, size, half, positions, then RANK dims and their strides. An item is N pairs of a row, or one of the elements that
// stay.
#if WIDE
typedef i64 INDEX;
#else
typedef u32 INDEX;
#endif

template <int N>
__device__ inline void rope(const Params& p) {
  const INDEX tokens = p.n[1], size = p.n[2], half = p.n[3];
  const INDEX pairs = half / N, items = pairs + (size - 2 * half), all = static_cast<INDEX>(p.n[0]) * items;
  const i64 offset = load<i32>(p.in[3], 0);
  const TABLE* cosine = static_cast<const TABLE*>(p.in[1]);
  const TABLE* sine = static_cast<const TABLE*>(p.in[2]);
  for (i64 next = first_index(); next < static_cast<i64>(all); next += index_step()) {
    const INDEX item = static_cast<INDEX>(next), row = item / items, k = item - row * items;
    const i64 position = offset + static_cast<i64>(row % tokens);
    if (position < 0 || position >= p.n[4]) {
      fail(p, position);
      continue;
    }
    i64 from = 0;
    INDEX rest = row;
#pragma unroll
    for (int d = RANK - 1; d > 0; --d) {
      const INDEX dim = static_cast<INDEX>(p.n[5 + d]), upper = rest / dim;
      from += static_cast<i64>(rest - upper * dim) * p.n[5 + RANK + d];
      rest = upper;
    }
    from += static_cast<i64>(rest) * p.n[5 + RANK];
    const T* x = static_cast<const T*>(p.in[0]) + from;
    T* out = static_cast<T*>(p.out[0]) + static_cast<i64>(row) * p.n[2];
    if (k >= pairs) {
      out[k - pairs + 2 * half] = x[k - pairs + 2 * half];
      continue;
    }
    const i64 i = static_cast<i64>(k) * N, angle = position * p.n[3] + i;
    float a[N], b[N], c[N], s[N], left[N], right[N];
    read<N>(x + i, a);
    read<N>(x + p.n[3] + i, b);
    read<N>(cosine + angle, c);
    read<N>(sine + angle, s);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float turn = BACK ? -s[j] : s[j];
      left[j] = fmaf(a[j], c[j], -(b[j] * turn));
      right[j] = fmaf(b[j], c[j], a[j] * turn);
    }
    write<N>(out + i, left);
    write<N>(out + p.n[3] + i, right);
  }
}

KERNEL {
  constexpr int N = PACKED<T>;
  bool whole = p.n[2] % N == 0 && p.n[3] % N == 0;
  for (int d = 0; d < RANK; ++d) whole = whole && p.n[5 + RANK + d] % N == 0;
  if (whole && is_aligned(p.in[0]) && is_aligned(p.in[1]) && is_aligned(p.in[2]) && is_aligned(p.out[0])) {
    rope<N>(p);
  } else {
    rope<1>(p);
  }
}
