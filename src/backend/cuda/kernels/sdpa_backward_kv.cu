// dk and dv of sdpa_backward, after attention.cu: with w = exp(score - lse), dv = sum over queries of w g, dk = sum of
// w (g v - delta) scale q. A block takes 64 keys past the queries that see them, of all heads that read the key head, in order. PARTS: 1
// gives dk, 2 gives dv, 3 both.
ATTENTION(D + DV <= 160 ? 2 : 1) {
  __shared__ Tiles tiles;
  Seen seen(p);
  const i64 heads = p.n[N_HEADS], kv_heads = p.n[N_KV_HEADS], queries = p.n[N_QUERIES], keys = p.n[N_KEYS], group = heads / kv_heads;
  const i64 blocks = (keys + TILE - 1) / TILE;
  const int y = threadIdx.x / 16, x = threadIdx.x % 16;
  for (i64 task = blockIdx.x; task < p.n[N_BATCHES] * kv_heads * blocks; task += gridDim.x) {
    const i64 first = task % blocks * TILE, batch = task / blocks / kv_heads, kv_head = task / blocks % kv_heads;
    seen.enter(p, batch);
    const Rows k(p.in[1], p.n + N_K, batch, kv_head, first, seen.length, p.n[N_SIZE]);
    const Rows v(p.in[2], p.n + N_V, batch, kv_head, first, seen.length, p.n[N_VALUE_SIZE]);
    float dk[4][Columns<D>::COUNT] = {}, dv[4][Columns<DV>::COUNT] = {};
    const Span seeing = seen.queries_of(first);
    for (i64 head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (i64 query = seeing.begin; query < seeing.end; query += TILE) {
        if (FIRST_KEY && seen.begins(query).least >= first + TILE) continue;
        const Rows q(p.in[0], p.n + N_Q, batch, head, query, queries, p.n[N_SIZE]);
        const Rows g(p.in[5], p.n + N_G, batch, head, query, queries, p.n[N_VALUE_SIZE]);
        float w[4][4], slope[4][4];
        dots<D>(w, tiles, k, q);
        dots<DV>(slope, tiles, v, g);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const i64 t = query + x + 16 * j, row = (batch * heads + head) * queries + t;
          const Span visible = seen.keys_of(t);
          const float lse = t < queries ? load<float>(p.in[4], row) : 0.0f, delta = t < queries ? load<float>(p.scratch, row) : 0.0f;
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const float dot = w[i][j], score = seen.score(p, batch, head, t, first + 4 * y + i, visible, dot);
            w[i][j] = score == -infinity() ? 0.0f : expf(score - lse);
            slope[i][j] = score == -infinity() ? 0.0f : w[i][j] * (slope[i][j] - delta) * seen.slope(dot);
          }
        }
        if ((PARTS & 2) && p.out[2]) {
          put_weights(tiles, w);
          add_product<DV>(dv, tiles, g);
          __syncthreads();
        }
        if ((PARTS & 1) && p.out[1]) {
          put_weights(tiles, slope);
          add_product<D>(dk, tiles, q);
        }
      }
    }
    if (PARTS & 1) store_rows<D>(p.out[1], (batch * kv_heads + kv_head) * keys + first, keys - first, p.n[N_SIZE], dk);
    if (PARTS & 2) store_rows<DV>(p.out[2], (batch * kv_heads + kv_head) * keys + first, keys - first, p.n[N_VALUE_SIZE], dv);
  }
}
