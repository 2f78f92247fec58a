// dk and dv of sdpa_backward on tensor cores, after attention_mma.cu: as sdpa_backward_kv.cu. The rows of a product are keys, its columns
// queries, so that it is the left operand of the sums over queries. STAGES: tiles of queries and gradients held at once. WIDE: these have
// half the rows, and lse and delta of a query lie behind its elements, in what the pitch leaves free.
constexpr int QUERIES = WIDE ? TILE / 2 : TILE;
constexpr int SPAN = D + DV <= 128 ? 64 : 32;  // queries at once: beside wide sums there are registers for few
constexpr int STEP = WIDE ? HalfTile<D>::PITCH / 4 : 1, DELTA = WIDE ? 1 : TILE;  // from lse to lse and from lse to delta

ATTENTION_MMA(D + DV <= 64 ? 3 : 2) {
  extern __shared__ uint4 shared[];
  constexpr int PAIR = HalfTile<D>::BYTES + HalfTile<DV>::BYTES, STAGE = PAIR * QUERIES / TILE;
  constexpr int NUMBERS = 2 * TILE * 4;  // lse and delta of a tile
  Seen seen(p);
  const i64 heads = p.n[N_HEADS], kv_heads = p.n[N_KV_HEADS], queries = p.n[N_QUERIES], keys = p.n[N_KEYS], group = heads / kv_heads;
  const i64 all = p.n[N_BATCHES] * kv_heads, blocks = (keys + TILE - 1) / TILE;
  const u32 k_tile = shared_address(shared), v_tile = k_tile + HalfTile<D>::BYTES, stages = k_tile + PAIR;
  const Scores scores(seen);
  const auto numbers = [&](int stage) { return WIDE ? stages + stage * STAGE + 2 * D : stages + STAGES * STAGE + stage * NUMBERS; };
  for (i64 task = blockIdx.x; task < all * blocks; task += gridDim.x) {
    // Under a causal mask the longest come first.
    const i64 first = task / all * TILE, batch = task % all / kv_heads, kv_head = task % kv_heads;
    seen.enter(p, batch);
    const Span seeing = seen.queries_of<QUERIES>(first);
    const i64 end_head = (kv_head + 1) * group;
    const auto fetch_queries = [&](i64 head, i64 query, int stage) {
      const u32 q_tile = stages + stage * STAGE, g_tile = q_tile + HalfTile<D>::BYTES * QUERIES / TILE;
      fetch_half<D, QUERIES>(q_tile, Rows(p.in[0], p.n + N_Q, batch, head, query, queries, p.n[N_SIZE]));
      fetch_half<DV, QUERIES>(g_tile, Rows(p.in[5], p.n + N_G, batch, head, query, queries, p.n[N_VALUE_SIZE]));
      if (threadIdx.x >= 2 * QUERIES) return;
      const int r = threadIdx.x % QUERIES, at = r * STEP + (threadIdx.x < QUERIES ? 0 : DELTA);
      const i64 t = query + r, row = (batch * heads + head) * queries;
      const float* from = static_cast<const float*>(threadIdx.x < QUERIES ? p.in[4] : p.scratch) + row;
      copy_4(numbers(stage) + 4 * at, t < queries ? from + t : from, t < queries);
    };
    __syncthreads();
    fetch_half<D>(k_tile, Rows(p.in[1], p.n + N_K, batch, kv_head, first, seen.length, p.n[N_SIZE]));
    if (PARTS & 1) fetch_half<DV>(v_tile, Rows(p.in[2], p.n + N_V, batch, kv_head, first, seen.length, p.n[N_VALUE_SIZE]));
    float dk[D / 8][4], dv[DV / 8][4];
    clear(dk);
    clear(dv);
    i64 head = seeing.begin < seeing.end ? kv_head * group : end_head, query = seeing.begin;
    const auto unseen = [&] { return FIRST_KEY && head < end_head && seen.begins<QUERIES>(query).least >= first + TILE; };
    const auto advance = [&] {
      do {
        query += QUERIES;
        if (query >= seeing.end) {
          query = seeing.begin;
          ++head;
        }
      } while (unseen());
    };
    if (unseen()) advance();
    if (head < end_head) fetch_queries(head, query, 0);
    int stage = 0;
#pragma unroll 1
    while (head < end_head) {
      wait_copies();
      __syncthreads();
      const i64 now = query;
      advance();
      if (STAGES == 2 && head < end_head) fetch_queries(head, query, stage ^ 1);
      const u32 q_tile = stages + stage * STAGE, g_tile = q_tile + HalfTile<D>::BYTES * QUERIES / TILE;
      const float* held = reinterpret_cast<const float*>(shared) + (numbers(stage) - k_tile) / 4;
      if (STAGES == 2) stage ^= 1;
      const bool from_all = !BEGINS || first >= seen.begins<QUERIES>(now).most;
      const bool plain = from_all && now + QUERIES <= queries && first + TILE <= seen.limit(now);
#pragma unroll 1
      for (int from = 0; from < QUERIES; from += SPAN) {
        float w[SPAN / 8][4], slope[SPAN / 8][4], bent[SPAN / 8][4];
        dots_of<D>(w, k_tile + warp_offset<D>() + left_offset<D>(), q_tile + from * HalfTile<D>::PITCH + right_offset<D>());
        scores.bend(w);
#pragma unroll
        for (int n = 0; n < SPAN / 8; ++n) {
          const float2 lse = pair_of<STEP>(held, from + held_column(n, 0));
          // A query that sees nothing: no difference of infinities.
          const float low = lse.x == -infinity() ? 0.0f : -LOG2_E * lse.x, high = lse.y == -infinity() ? 0.0f : -LOG2_E * lse.y;
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            bent[n][i] = fmaf(-w[n][i], w[n][i], 1.0f);
            w[n][i] = exp2_fast(fmaf(w[n][i], scores.scale, i % 2 == 0 ? low : high));
          }
        }
        if (!plain) hide_queries(w, seen, now + from, first);
        if ((PARTS & 2) && p.out[2]) add_weighted<DV>(dv, w, g_tile + from * HalfTile<DV>::PITCH + left_offset<DV>());
        if ((PARTS & 1) && p.out[1]) {
          dots_of<DV>(slope, v_tile + warp_offset<DV>() + left_offset<DV>(), g_tile + from * HalfTile<DV>::PITCH + right_offset<DV>());
#pragma unroll
          for (int n = 0; n < SPAN / 8; ++n) {
            const float2 delta = pair_of<STEP>(held + DELTA, from + held_column(n, 0));
#pragma unroll
            for (int i = 0; i < 4; ++i) {
              // The value of a key that no query sees may be anything.
              if (BEGINS && w[n][i] == 0) continue;
              w[n][i] *= slope[n][i] - (i % 2 == 0 ? delta.x : delta.y);
              if (CAPPED) w[n][i] *= bent[n][i];
            }
          }
          add_weighted<D>(dk, w, q_tile + from * HalfTile<D>::PITCH + left_offset<D>());
        }
      }
      if (STAGES == 1 && head < end_head) {
        __syncthreads();
        fetch_queries(head, query, 0);
      }
    }
    // Without queries the copies of this task are still to be waited for.
    wait_copies();
    const float of_dk[2] = {seen.scale, seen.scale}, of_dv[2] = {1, 1};
    if (PARTS & 1) store_halves<D>(p.out[1], (batch * kv_heads + kv_head) * keys + first, keys - first, p.n[N_SIZE], dk, of_dk);
    if (PARTS & 2) store_halves<DV>(p.out[2], (batch * kv_heads + kv_head) * keys + first, keys - first, p.n[N_VALUE_SIZE], dv, of_dv);
  }
}
