// dq of sdpa_backward on tensor cores, after attention_mma.cu: as sdpa_backward_q.cu. STAGES: tiles of keys and values held at once; with 2
// the next one is brought while one is worked on. WIDE: tiles of keys and values have half the rows.
constexpr int KEYS = WIDE ? TILE / 2 : TILE;
ATTENTION_MMA(D + DV <= 128 ? 3 : 2) {
  extern __shared__ uint4 shared[];
  constexpr int PAIR = HalfTile<D>::BYTES + HalfTile<DV>::BYTES;
  Seen seen(p);
  const i64 heads = p.n[N_HEADS], queries = p.n[N_QUERIES], group = heads / p.n[N_KV_HEADS], all = p.n[N_BATCHES] * heads;
  const i64 blocks = (queries + TILE - 1) / TILE;
  const u32 q_tile = shared_address(shared), g_tile = q_tile + HalfTile<D>::BYTES, stages = q_tile + PAIR;
  const Scores scores(seen);
  for (i64 task = blockIdx.x; task < all * blocks; task += gridDim.x) {
    const i64 first = (blocks - 1 - task / all) * TILE;
    const i64 batch = task % all / heads, head = task % heads, row = (batch * heads + head) * queries + first;
    seen.enter(p, batch);
    const i64 last = seen.limit(smaller(first + TILE, queries) - 1);
    const auto begins = seen.begins(first);
    const i64 begin = begins.least / KEYS * KEYS;
    // Keys from begins.most up to this one are seen by all queries of the block.
    const i64 plain = seen.limit(first);
    const auto fetch_keys = [&](i64 key, int stage) {
      const u32 k_tile = stages + stage * PAIR, v_tile = k_tile + HalfTile<D>::BYTES * KEYS / TILE;
      fetch_half<D, KEYS>(k_tile, Rows(p.in[1], p.n + N_K, batch, head / group, key, last, p.n[N_SIZE], begins.least));
      fetch_half<DV, KEYS>(v_tile, Rows(p.in[2], p.n + N_V, batch, head / group, key, last, p.n[N_VALUE_SIZE], begins.least));
    };
    __syncthreads();
    fetch_half<D>(q_tile, Rows(p.in[0], p.n + N_Q, batch, head, first, queries, p.n[N_SIZE]));
    fetch_half<DV>(g_tile, Rows(p.in[5], p.n + N_G, batch, head, first, queries, p.n[N_VALUE_SIZE]));
    if (begin < last) fetch_keys(begin, 0);
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
    for (i64 key = begin; key < last; key += KEYS) {
      if (STAGES == 1 && key > begin) {
        __syncthreads();
        fetch_keys(key, 0);
      }
      wait_copies();
      __syncthreads();
      if (STAGES == 2 && key + KEYS < last) fetch_keys(key + KEYS, stage ^ 1);
      const u32 k_tile = stages + stage * PAIR, v_tile = k_tile + HalfTile<D>::BYTES * KEYS / TILE;
      if (STAGES == 2) stage ^= 1;
      float s[KEYS / 8][4], slope[KEYS / 8][4];
      dots_of<D>(s, q_tile + warp_offset<D>() + left_offset<D>(), k_tile + right_offset<D>());
      dots_of<DV>(slope, g_tile + warp_offset<DV>() + left_offset<DV>(), v_tile + right_offset<DV>());
      scores.bend(s);
#pragma unroll
      for (int n = 0; n < KEYS / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float weight = exp2_fast(fmaf(s[n][i], scores.scale, -lse[i / 2])) * (slope[n][i] - delta[i / 2]);
          s[n][i] = CAPPED ? weight * fmaf(-s[n][i], s[n][i], 1.0f) : weight;
        }
      }
      if (key + KEYS > plain || (BEGINS && key < begins.most)) hide(s, seen, first, key, 0);
      add_weighted<D>(dq, s, k_tile + left_offset<D>());
    }
    // Without keys the copies of this task are still to be waited for.
    wait_copies();
    const float factor[2] = {seen.scale, seen.scale};
    store_halves<D>(p.out[0], row, queries - first, p.n[N_SIZE], dq, factor);
  }
}
