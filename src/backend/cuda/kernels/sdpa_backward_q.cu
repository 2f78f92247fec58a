// dq of sdpa_backward, after attention.cu: with w = exp(score - lse), dq = sum over keys of w (g v - delta) scale k. A block takes
// 64 queries.
ATTENTION(D <= 128 ? 2 : 1) {
  __shared__ Tiles tiles;
  const Seen seen(p);
  const i64 heads = p.n[1], queries = p.n[3], group = heads / p.n[2], blocks = (queries + TILE - 1) / TILE;
  const int y = threadIdx.x / 16, x = threadIdx.x % 16;
  for (i64 task = blockIdx.x; task < p.n[0] * heads * blocks; task += gridDim.x) {
    const i64 first = (blocks - 1 - task % blocks) * TILE;
    const i64 batch = task / blocks / heads, head = task / blocks % heads, row = (batch * heads + head) * queries + first;
    const i64 last = seen.limit(smaller(first + TILE, queries) - 1);
    const Rows q(p.in[0], p.n + 7, batch, head, first, queries, p.n[5]), g(p.in[5], p.n + 23, batch, head, first, queries, p.n[6]);
    float lse[4], delta[4], dq[4][Columns<D>::COUNT] = {};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const bool there = first + 4 * y + i < queries;
      lse[i] = there ? load<float>(p.in[4], row + 4 * y + i) : 0.0f;
      delta[i] = there ? load<float>(p.scratch, row + 4 * y + i) : 0.0f;
    }
    for (i64 key = 0; key < last; key += TILE) {
      const Rows k(p.in[1], p.n + 10, batch, head / group, key, last, p.n[5]), v(p.in[2], p.n + 13, batch, head / group, key, last, p.n[6]);
      float s[4][4], slope[4][4];
      dots<D>(s, tiles, q, k);
      dots<DV>(slope, tiles, g, v);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const i64 t = first + 4 * y + i, end = seen.limit(t);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const float score = seen.score(p, batch, head, t, key + x + 16 * j, end, s[i][j]);
          s[i][j] = score == -infinity() ? 0.0f : expf(score - lse[i]) * (slope[i][j] - delta[i]) * seen.scale;
        }
      }
      put_weights(tiles, s);
      add_product<D>(dq, tiles, k);
    }
    store_rows<D>(p.out[0], row, queries - first, p.n[5], dq);
  }
}
