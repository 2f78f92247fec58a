// dq of sdpa_backward on tensor cores, after attention_mma.cu: as sdpa_backward_q.cu. STAGES: tiles of keys and values held at once; with 2
// the next one is brought while one is worked on.
ATTENTION_MMA(D + DV <= 128 ? 3 : 2) {
  extern __shared__ uint4 shared[];
  constexpr int PAIR = HalfTile<D>::BYTES + HalfTile<DV>::BYTES;
  const Seen seen(p);
  const i64 heads = p.n[1], queries = p.n[3], group = heads / p.n[2], all = p.n[0] * heads, blocks = (queries + TILE - 1) / TILE;
  const u32 q_tile = shared_address(shared), g_tile = q_tile + HalfTile<D>::BYTES, stages = q_tile + PAIR;
  const float scale = seen.scale * LOG2_E;
  for (i64 task = blockIdx.x; task < all * blocks; task += gridDim.x) {
    const i64 first = (blocks - 1 - task / all) * TILE;
    const i64 batch = task % all / heads, head = task % heads, row = (batch * heads + head) * queries + first;
    const i64 last = seen.limit(smaller(first + TILE, queries) - 1);
    // Keys before this one are seen by all queries of the block.
    const i64 plain = seen.limit(first);
    const auto fetch_keys = [&](i64 key, int stage) {
      fetch_half<D>(stages + stage * PAIR, Rows(p.in[1], p.n + 10, batch, head / group, key, last, p.n[5]));
      fetch_half<DV>(stages + stage * PAIR + HalfTile<D>::BYTES, Rows(p.in[2], p.n + 13, batch, head / group, key, last, p.n[6]));
    };
    __syncthreads();
    fetch_half<D>(q_tile, Rows(p.in[0], p.n + 7, batch, head, first, queries, p.n[5]));
    fetch_half<DV>(g_tile, Rows(p.in[5], p.n + 23, batch, head, first, queries, p.n[6]));
    if (last > 0) fetch_keys(0, 0);
    float lse[2], delta[2], dq[D / 8][4];
    clear(dq);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const bool there = first + held_row(half) < queries;
      lse[half] = there ? load<float>(p.in[4], row + held_row(half)) * LOG2_E : 0.0f;
      if (lse[half] == -infinity()) lse[half] = 0;  // it sees nothing: no difference of infinities
      delta[half] = there ? load<float>(p.scratch, row + held_row(half)) : 0.0f;
    }
    int stage = 0;
#pragma unroll 1
    for (i64 key = 0; key < last; key += TILE) {
      if (STAGES == 1 && key > 0) {
        __syncthreads();
        fetch_keys(key, 0);
      }
      wait_copies();
      __syncthreads();
      if (STAGES == 2 && key + TILE < last) fetch_keys(key + TILE, stage ^ 1);
      const u32 k_tile = stages + stage * PAIR, v_tile = k_tile + HalfTile<D>::BYTES;
      if (STAGES == 2) stage ^= 1;
      float s[TILE / 8][4], slope[TILE / 8][4];
      dots_of<D>(s, q_tile + warp_offset<D>() + left_offset<D>(), k_tile + right_offset<D>());
      dots_of<DV>(slope, g_tile + warp_offset<DV>() + left_offset<DV>(), v_tile + right_offset<DV>());
#pragma unroll
      for (int n = 0; n < TILE / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) s[n][i] = exp2_fast(fmaf(s[n][i], scale, -lse[i / 2])) * (slope[n][i] - delta[i / 2]);
      }
      if (key + TILE > plain) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int end = static_cast<int>(smaller(seen.limit(first + held_row(half)) - key, static_cast<i64>(TILE)));
#pragma unroll
          for (int n = 0; n < TILE / 8; ++n) {
            if (held_column(n, 0) >= end) s[n][2 * half] = 0;
            if (held_column(n, 1) >= end) s[n][2 * half + 1] = 0;
          }
        }
      }
      add_weighted<D>(dq, s, k_tile + left_offset<D>());
    }
    // Without keys the copies of this task are still to be waited for.
    wait_copies();
    const float factor[2] = {seen.scale, seen.scale};
    store_halves<D>(p.out[0], row, queries - first, p.n[5], dq, factor);
  }
}
