// page_update: x (batch, heads, tokens, size) into pages of a pool (blocks, heads, page, size). T moved by size; PACK: elements of a pack,
// which divides the size and the strides; WIDE: count in 64 bits; OFFSET: dtype of the offsets, of which each row has its own where BY_ROW.
// n: elements of x, heads, tokens, size, page, pages of a row, blocks, then the strides of batch, head and token of x.
#if WIDE
typedef i64 I;
#else
typedef u32 I;
#endif

template <class E, int N>
__device__ inline void put(const Params& p) {
  const I count = static_cast<I>(p.n[0] / N), heads = static_cast<I>(p.n[1]), tokens = static_cast<I>(p.n[2]);
  const I size = static_cast<I>(p.n[3] / N);
  const i64 page = p.n[4], pages = p.n[5];
  const E* x = static_cast<const E*>(p.in[1]);
  E* out = static_cast<E*>(p.out[0]);
  for (I k = static_cast<I>(first_index()); k < count; k += static_cast<I>(index_step())) {
    const I row = k / size, i = k - row * size, rest = row / tokens, token = row - rest * tokens, batch = rest / heads;
    const i64 head = rest - batch * heads, position = load<OFFSET>(p.in[3], BY_ROW ? batch : 0) + static_cast<i64>(token);
    if (position < 0 || position >= pages * page) {
      if (i == 0) fail(p, position);
      continue;
    }
    const i64 at = position / page, block = load<i32>(p.in[2], static_cast<i64>(batch) * pages + at);
    if (block == -1) continue;
    if (block < 0 || block >= p.n[6]) {
      if (i == 0) fail(p, block);
      continue;
    }
    const i64 from = batch * (p.n[7] / N) + head * (p.n[8] / N) + token * (p.n[9] / N);
    out[((block * heads + head) * page + position - at * page) * size + i] = x[from + i];
  }
}

KERNEL {
#if PACK > 1
  if ((reinterpret_cast<u64>(p.in[1]) | reinterpret_cast<u64>(p.out[0])) % (PACK * sizeof(T)) == 0) {
    put<Pack<T, PACK>, PACK>(p);
    return;
  }
#endif
  put<T, 1>(p);
}
