// dq of sdpa_backward, after attention.cu: with w = exp(score - lse), dq = sum over keys of w (g v - delta) scale k. A block takes
// 64 queries.
ATTENTION(D <= 128 ? 2 : 1) {
  __shared__ Tiles tiles;
  Seen seen(p);
  const i64 heads = p.n[N_HEADS], queries = p.n[N_QUERIES], group = heads / p.n[N_KV_HEADS], blocks = (queries + TILE - 1) / TILE;
  const int y = threadIdx.x / 16, x = threadIdx.x % 16;
  for (i64 task = blockIdx.x; task < p.n[N_BATCHES] * heads * blocks; task += gridDim.x) {
    const i64 first = (blocks - 1 - task % blocks) * TILE;
    const i64 batch = task / blocks / heads, head = task / blocks % heads, row = (batch * heads + head) * queries + first;
    seen.enter(p, batch);
    const i64 last = seen.limit(smaller(first + TILE, queries) - 1), begin = seen.begins(first).least;
    const Rows q(p.in[0], p.n + N_Q, batch, head, first, queries, p.n[N_SIZE]);
    const Rows g(p.in[5], p.n + N_G, batch, head, first, queries, p.n[N_VALUE_SIZE]);
    float lse[4], delta[4], dq[4][Columns<D>::COUNT] = {};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const bool there = first + 4 * y + i < queries;
      lse[i] = there ? load<float>(p.in[4], row + 4 * y + i) : 0.0f;
      delta[i] = there ? load<float>(p.scratch, row + 4 * y + i) : 0.0f;
    }
    for (i64 key = begin / TILE * TILE; key < last; key += TILE) {
      const Rows k(p.in[1], p.n + N_K, batch, head / group, key, last, p.n[N_SIZE], begin);
      const Rows v(p.in[2], p.n + N_V, batch, head / group, key, last, p.n[N_VALUE_SIZE], begin);
      float s[4][4], slope[4][4];
      dots<D>(s, tiles, q, k);
      dots<DV>(slope, tiles, g, v);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const i64 t = first + 4 * y + i;
        const Span keys = seen.keys_of(t);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const float dot = s[i][j], score = seen.score(p, batch, head, t, key + x + 16 * j, keys, dot);
          s[i][j] = score == -infinity() ? 0.0f : expf(score - lse[i]) * (slope[i][j] - delta[i]) * seen.slope(dot);
        }
      }
      put_weights(tiles, s);
      add_product<D>(dq, tiles, k);
    }
    store_rows<D>(p.out[0], row, queries - first, p.n[N_SIZE], dq);
  }
}
