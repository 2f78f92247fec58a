// dk and dv of sdpa_backward on tensor cores, after attention_mma.cu: as sdpa_backward_kv.cu. The rows of a product are keys, its columns
// queries, so that it is the left operand of the sums over queries. STAGES: tiles of queries and gradients held at once.
constexpr int SPAN = D + DV <= 128 ? 64 : 32;  // queries at once: beside wide sums there are registers for few
ATTENTION_MMA(D + DV <= 64 ? 3 : 2) {
  extern __shared__ uint4 shared[];
  constexpr int PAIR = HalfTile<D>::BYTES + HalfTile<DV>::BYTES, NUMBERS = 2 * TILE * 4;  // lse and delta of a tile
  const Seen seen(p);
  const i64 heads = p.n[1], kv_heads = p.n[2], queries = p.n[3], keys = p.n[4], group = heads / kv_heads;
  const i64 all = p.n[0] * kv_heads, blocks = (keys + TILE - 1) / TILE;
  const u32 k_tile = shared_address(shared), v_tile = k_tile + HalfTile<D>::BYTES, stages = k_tile + PAIR, numbers = stages + STAGES * PAIR;
  const float scale = seen.scale * LOG2_E;
  for (i64 task = blockIdx.x; task < all * blocks; task += gridDim.x) {
    // Under a causal mask the longest come first.
    const i64 first = task / all * TILE, batch = task % all / kv_heads, kv_head = task % kv_heads;
    // The first query that sees a key of the block, down to a multiple of the tile.
    const i64 begin = first >= seen.length ? queries : CAUSAL ? larger(0ll, first - seen.length + queries) / TILE * TILE : 0;
    const i64 end_head = (kv_head + 1) * group;
    const auto fetch_queries = [&](i64 head, i64 query, int stage) {
      fetch_half<D>(stages + stage * PAIR, Rows(p.in[0], p.n + 7, batch, head, query, queries, p.n[5]));
      fetch_half<DV>(stages + stage * PAIR + HalfTile<D>::BYTES, Rows(p.in[5], p.n + 23, batch, head, query, queries, p.n[6]));
      const i64 t = query + threadIdx.x % TILE, row = (batch * heads + head) * queries;
      const float* from = static_cast<const float*>(threadIdx.x < TILE ? p.in[4] : p.scratch) + row;
      copy_4(numbers + stage * NUMBERS + threadIdx.x * 4, t < queries ? from + t : from, t < queries);
    };
    __syncthreads();
    fetch_half<D>(k_tile, Rows(p.in[1], p.n + 10, batch, kv_head, first, seen.length, p.n[5]));
    fetch_half<DV>(v_tile, Rows(p.in[2], p.n + 13, batch, kv_head, first, seen.length, p.n[6]));
    float dk[D / 8][4], dv[DV / 8][4];
    clear(dk);
    clear(dv);
    i64 head = kv_head * group, query = begin;
    if (query < queries) fetch_queries(head, query, 0);
    int stage = 0;
#pragma unroll 1
    while (query < queries && head < end_head) {
      wait_copies();
      __syncthreads();
      const i64 now = query;
      query += TILE;
      if (query >= queries) {
        query = begin;
        ++head;
      }
      if (STAGES == 2 && head < end_head) fetch_queries(head, query, stage ^ 1);
      const u32 q_tile = stages + stage * PAIR, g_tile = q_tile + HalfTile<D>::BYTES;
      const float* held = reinterpret_cast<const float*>(shared) + (numbers - k_tile + stage * NUMBERS) / 4;
      if (STAGES == 2) stage ^= 1;
      const bool plain = now + TILE <= queries && first + TILE <= seen.limit(now);
#pragma unroll 1
      for (int from = 0; from < TILE; from += SPAN) {
        float w[SPAN / 8][4], slope[SPAN / 8][4];
        dots_of<D>(w, k_tile + warp_offset<D>() + left_offset<D>(), q_tile + from * HalfTile<D>::PITCH + right_offset<D>());
#pragma unroll
        for (int n = 0; n < SPAN / 8; ++n) {
          const float2 lse = *reinterpret_cast<const float2*>(held + from + held_column(n, 0));
          // A query that sees nothing: no difference of infinities.
          const float low = lse.x == -infinity() ? 0.0f : -LOG2_E * lse.x, high = lse.y == -infinity() ? 0.0f : -LOG2_E * lse.y;
#pragma unroll
          for (int i = 0; i < 4; ++i) w[n][i] = exp2_fast(fmaf(w[n][i], scale, i % 2 == 0 ? low : high));
        }
        if (!plain) {
#pragma unroll
          for (int n = 0; n < SPAN / 8; ++n) {
#pragma unroll
            for (int e = 0; e < 2; ++e) {
              const i64 limit = seen.limit(now + from + held_column(n, e));
              const int end = static_cast<int>(smaller(limit - first, static_cast<i64>(TILE)));
              if (held_row(0) >= end) w[n][e] = 0;
              if (held_row(1) >= end) w[n][e + 2] = 0;
            }
          }
        }
        if (p.out[2]) add_weighted<DV>(dv, w, g_tile + from * HalfTile<DV>::PITCH + left_offset<DV>());
        if (p.out[1]) {
          dots_of<DV>(slope, v_tile + warp_offset<DV>() + left_offset<DV>(), g_tile + from * HalfTile<DV>::PITCH + right_offset<DV>());
#pragma unroll
          for (int n = 0; n < SPAN / 8; ++n) {
            const float2 delta = *reinterpret_cast<const float2*>(held + TILE + from + held_column(n, 0));
#pragma unroll
            for (int i = 0; i < 4; ++i) w[n][i] *= slope[n][i] - (i % 2 == 0 ? delta.x : delta.y);
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
    store_halves<D>(p.out[1], (batch * kv_heads + kv_head) * keys + first, keys - first, p.n[5], dk, of_dk);
    store_halves<DV>(p.out[2], (batch * kv_heads + kv_head) * keys + first, keys - first, p.n[6], dv, of_dv);
  }
}
