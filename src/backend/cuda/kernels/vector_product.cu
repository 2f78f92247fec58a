// y = ACTIVATION(w x + bias + addend), one warp an element of y. ITEM: dtype of x and w, RESULT: of the others. w is (n, k), stored row by row.
// BIAS_IN, ADDEND_IN: their numbers among the operands, -1: none. n: n, k, elements from a row of w to the next. UP_IN: number of a matrix like
// w whose product with x the activation is multiplied by, -1: none; then its pitch is the last of n.
template <int N>
__device__ inline float dot(const ITEM* w, const ITEM* x, i64 count) {
  constexpr int DEEP = 4, STEP = 32 * N;  // loads of 16 bytes under way for each thread
  float sum = 0;
  for (i64 i = threadIdx.x % 32 * N; i < count; i += DEEP * STEP) {
    Pack<ITEM, N> a[DEEP], b[DEEP];
#pragma unroll
    for (int d = 0; d < DEEP; ++d) {
      if (i + d * STEP >= count) continue;
      a[d] = *reinterpret_cast<const Pack<ITEM, N>*>(w + i + d * STEP);
      b[d] = *reinterpret_cast<const Pack<ITEM, N>*>(x + i + d * STEP);
    }
#pragma unroll
    for (int d = 0; d < DEEP; ++d) {
      if (i + d * STEP >= count) continue;
#pragma unroll
      for (int e = 0; e < N; ++e) sum = fmaf(widen(a[d].v[e]), widen(b[d].v[e]), sum);
    }
  }
  return warp_reduce(sum, Sum());
}

KERNEL {
  constexpr int PACK = 16 / sizeof(ITEM);
  const i64 n = p.n[0], k = p.n[1], pitch = p.n[2];
  const ITEM* x = static_cast<const ITEM*>(p.in[0]);
  const ITEM* w = static_cast<const ITEM*>(p.in[1]);
  const bool packs = k % PACK == 0 && pitch % PACK == 0 && reinterpret_cast<u64>(x) % 16 == 0 && reinterpret_cast<u64>(w) % 16 == 0;
#if UP_IN >= 0
  const ITEM* w_up = static_cast<const ITEM*>(p.in[UP_IN]);
  const bool up_packs = k % PACK == 0 && p.n[3] % PACK == 0 && reinterpret_cast<u64>(x) % 16 == 0 && reinterpret_cast<u64>(w_up) % 16 == 0;
#endif
  for (i64 row = first_index() / 32; row < n; row += index_step() / 32) {
    float y = packs ? dot<PACK>(w + row * pitch, x, k) : dot<1>(w + row * pitch, x, k);
#if UP_IN >= 0
    const float up = up_packs ? dot<PACK>(w_up + row * p.n[3], x, k) : dot<1>(w_up + row * p.n[3], x, k);
#endif
    if (threadIdx.x % 32 != 0) continue;
#if BIAS_IN >= 0
    y += static_cast<float>(load<RESULT>(p.in[BIAS_IN], row));
#endif
#if ADDEND_IN >= 0
    y += static_cast<float>(load<RESULT>(p.in[ADDEND_IN], row));
#endif
#if UP_IN >= 0
    store<RESULT>(p.out[0], row, ACTIVATION(y) * up);
#else
    store<RESULT>(p.out[0], row, ACTIVATION(y));
#endif
  }
}
