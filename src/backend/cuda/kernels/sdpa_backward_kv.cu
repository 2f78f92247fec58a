// dk and dv of sdpa_backward, after attention.cu: with w = exp(score - lse), dv = sum over queries of w g, dk = sum of
// w (g v - delta) scale q. A block takes 64 keys past the queries that see them, of all heads that read the key head, in order.
ATTENTION(D + DV <= 160 ? 2 : 1) {
  __shared__ Tiles tiles;
  const Seen seen(p);
  const i64 heads = p.n[1], kv_heads = p.n[2], queries = p.n[3], keys = p.n[4], group = heads / kv_heads, blocks = (keys + TILE - 1) / TILE;
  const int y = threadIdx.x / 16, x = threadIdx.x % 16;
  for (i64 task = blockIdx.x; task < p.n[0] * kv_heads * blocks; task += gridDim.x) {
    const i64 first = task % blocks * TILE, batch = task / blocks / kv_heads, kv_head = task / blocks % kv_heads;
    const Rows k(p.in[1], p.n + 10, batch, kv_head, first, seen.length, p.n[5]);
    const Rows v(p.in[2], p.n + 13, batch, kv_head, first, seen.length, p.n[6]);
    float dk[4][Columns<D>::COUNT] = {}, dv[4][Columns<DV>::COUNT] = {};
    // The first query that sees a key of the block, down to a multiple of the tile.
    const i64 begin = first >= seen.length ? queries : CAUSAL ? larger(0ll, first - seen.length + queries) / TILE * TILE : 0;
    for (i64 head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (i64 query = begin; query < queries; query += TILE) {
        const Rows q(p.in[0], p.n + 7, batch, head, query, queries, p.n[5]), g(p.in[5], p.n + 23, batch, head, query, queries, p.n[6]);
        float w[4][4], slope[4][4];
        dots<D>(w, tiles, k, q);
        dots<DV>(slope, tiles, v, g);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const i64 t = query + x + 16 * j, end = seen.limit(t), row = (batch * heads + head) * queries + t;
          const float lse = t < queries ? load<float>(p.in[4], row) : 0.0f, delta = t < queries ? load<float>(p.scratch, row) : 0.0f;
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const float score = seen.score(p, batch, head, t, first + 4 * y + i, end, w[i][j]);
            w[i][j] = score == -infinity() ? 0.0f : expf(score - lse);
            slope[i][j] = score == -infinity() ? 0.0f : w[i][j] * (slope[i][j] - delta) * seen.scale;
          }
        }
        if (p.out[2]) {
          put_weights(tiles, w);
          add_product<DV>(dv, tiles, g);
          __syncthreads();
        }
        if (p.out[1]) {
          put_weights(tiles, slope);
          add_product<D>(dk, tiles, q);
        }
      }
    }
    store_rows<D>(p.out[1], (batch * kv_heads + kv_head) * keys + first, keys - first, p.n[5], dk);
    store_rows<DV>(p.out[2], (batch * kv_heads + kv_head) * keys + first, keys - first, p.n[6], dv);
  }
}
