// sdpa, after attention.cu: a block takes 64 queries of a head past all keys that they see, 64 at a time, with a running largest score.
// Tiles of keys begin at multiples of 64, whichever queries take them, so that sums do not depend on how queries lie in blocks.
ATTENTION(DV <= 192 ? 2 : 1) {
  __shared__ Tiles tiles;
  Seen seen(p);
  const i64 heads = p.n[N_HEADS], queries = p.n[N_QUERIES], group = heads / p.n[N_KV_HEADS], blocks = (queries + TILE - 1) / TILE;
  const int y = threadIdx.x / 16, x = threadIdx.x % 16;
  for (i64 task = blockIdx.x; task < p.n[N_BATCHES] * heads * blocks; task += gridDim.x) {
    const i64 first = (blocks - 1 - task % blocks) * TILE;  // under a causal mask the longest come first
    const i64 batch = task / blocks / heads, head = task / blocks % heads, row = (batch * heads + head) * queries + first;
    seen.enter(p, batch);
    const i64 last = seen.limit(smaller(first + TILE, queries) - 1), begin = seen.begins(first).least;
    const Rows q(p.in[0], p.n + N_Q, batch, head, first, queries, p.n[N_SIZE]);
    const float sink = sink_of(p, head);
    float top[4], sum[4], result[4][Columns<DV>::COUNT] = {};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      top[i] = sink;
      sum[i] = SINKS && x == 0 ? 1.0f : 0.0f;
    }
    for (i64 key = begin / TILE * TILE; key < last; key += TILE) {
      const Rows k = KEY_ROWS(p.in[1], p.n + N_K, head / group, key, last, p.n[N_SIZE], begin);
      const Rows v = KEY_ROWS(p.in[2], p.n + N_V, head / group, key, last, p.n[N_VALUE_SIZE], begin);
      float s[4][4];
      dots<D>(s, tiles, q, k);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const i64 t = first + 4 * y + i;
        const Span keys = seen.keys_of(t);
        float best = top[i];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          s[i][j] = seen.score(p, batch, head, t, key + x + 16 * j, keys, s[i][j]);
          best = larger(best, s[i][j]);
        }
        take_scores(s[i], best, top[i], sum[i], result[i]);
      }
      put_weights(tiles, s);
      add_product<DV>(result, tiles, v);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float all = reduce_16(sum[i], Sum()), factor = top[i] == -infinity() ? 0.0f : 1.0f / all;
#pragma unroll
      for (int c = 0; c < Columns<DV>::COUNT; ++c) result[i][c] *= factor;
      const i64 t = first + 4 * y + i;
      if (p.out[1] && x == 0 && t < queries) store<float>(p.out[1], row + 4 * y + i, top[i] == -infinity() ? top[i] : top[i] + logf(all));
    }
    store_rows<DV>(p.out[0], row, queries - first, p.n[N_VALUE_SIZE], result);
  }
}
