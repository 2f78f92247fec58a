// rope: x, cos and sin tables, offset; rope_pair (COUNT 2): q, k and then the same. T: dtype of x, TABLE: of the tables; BACK; BY_ROW: an
// offset for each entry of axis 0; WIDE: counts need 64 bits; RANK: dims before the last, RANK2 of the second. n: rows, tokens, size, half,
// positions, rows that share an offset, then RANK dims and their strides; then the same of the second. An item is N pairs of a row, or one
// of the elements that stay.
#if WIDE
typedef i64 INDEX;
#else
typedef u32 INDEX;
#endif
#define FIRST_DIM 6

// Turns operand WHICH, whose numbers are `n`.
template <int N, int WHICH, int DIMS>
__device__ inline void rope(const Params& p, const i64* n) {
  const INDEX tokens = n[1], size = n[2], half = n[3];
  const INDEX pairs = half / N, items = pairs + (size - 2 * half), all = static_cast<INDEX>(n[0]) * items;
#if BY_ROW
  const INDEX rows_each = n[5];
#else
  const i64 offset = load<i32>(p.in[COUNT + 2], 0);
#endif
  const TABLE* cosine = static_cast<const TABLE*>(p.in[COUNT]);
  const TABLE* sine = static_cast<const TABLE*>(p.in[COUNT + 1]);
  for (i64 next = first_index(); next < static_cast<i64>(all); next += index_step()) {
    const INDEX item = static_cast<INDEX>(next), row = item / items, k = item - row * items;
#if BY_ROW
    const i64 offset = load<i32>(p.in[COUNT + 2], row / rows_each);
#endif
    const i64 position = offset + static_cast<i64>(row % tokens);
    if (position < 0 || position >= n[4]) {
      fail(p, position);
      continue;
    }
    i64 from = 0;
    INDEX rest = row;
#pragma unroll
    for (int d = DIMS - 1; d > 0; --d) {
      const INDEX dim = static_cast<INDEX>(n[FIRST_DIM + d]), upper = rest / dim;
      from += static_cast<i64>(rest - upper * dim) * n[FIRST_DIM + DIMS + d];
      rest = upper;
    }
    from += static_cast<i64>(rest) * n[FIRST_DIM + DIMS];
    const T* x = static_cast<const T*>(p.in[WHICH]) + from;
    T* out = static_cast<T*>(p.out[WHICH]) + static_cast<i64>(row) * n[2];
    if (k >= pairs) {
      out[k - pairs + 2 * half] = x[k - pairs + 2 * half];
      continue;
    }
    const i64 i = static_cast<i64>(k) * N, angle = position * n[3] + i;
    float a[N], b[N], c[N], s[N], left[N], right[N];
    read<N>(x + i, a);
    read<N>(x + n[3] + i, b);
    read<N>(cosine + angle, c);
    read<N>(sine + angle, s);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float turn = BACK ? -s[j] : s[j];
      left[j] = fmaf(a[j], c[j], -(b[j] * turn));
      right[j] = fmaf(b[j], c[j], a[j] * turn);
    }
    write<N>(out + i, left);
    write<N>(out + n[3] + i, right);
  }
}

template <int WHICH, int DIMS>
__device__ inline void rope_any(const Params& p, const i64* n) {
  if (p.out[WHICH] == nullptr) return;  // nobody reads it
  constexpr int N = PACKED<T>;
  bool whole = n[2] % N == 0 && n[3] % N == 0;
  for (int d = 0; d < DIMS; ++d) whole = whole && n[FIRST_DIM + DIMS + d] % N == 0;
  if (whole && is_aligned(p.in[WHICH]) && is_aligned(p.in[COUNT]) && is_aligned(p.in[COUNT + 1]) && is_aligned(p.out[WHICH])) {
    rope<N, WHICH, DIMS>(p, n);
  } else {
    rope<1, WHICH, DIMS>(p, n);
  }
}

KERNEL {
  rope_any<0, RANK>(p, p.n);
#if COUNT > 1
  rope_any<1, RANK2>(p, p.n + FIRST_DIM + 2 * RANK);
#endif
}
