// sdpa on tensor cores, after attention_mma.cu: as sdpa.cu; scores are in units of log 2. While a tile of keys and values is worked
// on, the next one is brought. WIDE: there is room for one tile of each, so the values are brought while the keys are worked on and the
// next keys while the values are; the queries stay in shared memory.
ATTENTION_MMA(D + DV <= 128 ? 4 : D + DV <= 192 ? 3 : 2) {
  extern __shared__ uint4 shared[];
  constexpr float LN_2 = 0.6931471805599453f;
  constexpr int STAGE = HalfTile<D>::BYTES + HalfTile<DV>::BYTES;
  Seen seen(p);
  const i64 heads = p.n[N_HEADS], queries = p.n[N_QUERIES], group = heads / p.n[N_KV_HEADS], all = p.n[N_BATCHES] * heads;
  const i64 blocks = (queries + TILE - 1) / TILE;
  const u32 tiles = shared_address(shared), q_tile = tiles + STAGE;
  const Scores scores(seen);
  for (i64 task = blockIdx.x; task < all * blocks; task += gridDim.x) {
    const i64 first = (blocks - 1 - task / all) * TILE;  // under a causal mask the longest come first
    const i64 batch = task % all / heads, head = task % heads, row = (batch * heads + head) * queries + first;
    seen.enter(p, batch);
    const i64 last = seen.limit(smaller(first + TILE, queries) - 1);
    const auto begins = seen.begins(first);
    const i64 begin = begins.least / TILE * TILE;
    // Keys from begins.most up to this one are seen by all queries of the block.
    const i64 plain = seen.limit(first);
    const auto fetch_keys = [&](i64 key, u32 at) {
      fetch_half<D>(at, KEY_ROWS(p.in[1], p.n + N_K, head / group, key, last, p.n[N_SIZE], begins.least));
    };
    const auto fetch_values = [&](i64 key, u32 at) {
      fetch_half<DV>(at, KEY_ROWS(p.in[2], p.n + N_V, head / group, key, last, p.n[N_VALUE_SIZE], begins.least));
    };
    __syncthreads();
    // Unless they stay, the queries go to registers by way of the second stage.
    fetch_half<D>(q_tile, Rows(p.in[0], p.n + N_Q, batch, head, first, queries, p.n[N_SIZE]));
    if (begin < last) {
      fetch_keys(begin, tiles);
      if (!WIDE) fetch_values(begin, tiles + HalfTile<D>::BYTES);
    }
    wait_copies();
    __syncthreads();
    u32 q[D / 16][4];
#pragma unroll
    for (int k = 0; !WIDE && k < D / 16; ++k) load_matrices(q[k], q_tile + warp_offset<D>() + left_offset<D>() + 32 * k);
    const float sink = sink_of(p, head) * LOG2_E, weight = SINKS && lane() % 4 == 0 ? 1.0f : 0.0f;
    float top[2] = {sink, sink}, sum[2] = {weight, weight}, result[DV / 8][4];
    clear(result);
    int stage = 0;
#pragma unroll 1
    for (i64 key = begin; key < last; key += TILE) {
      wait_copies();
      __syncthreads();
      const u32 k_tile = tiles + stage * STAGE, v_tile = k_tile + HalfTile<D>::BYTES;
      float s[TILE / 8][4];
      if (WIDE) {
        fetch_values(key, v_tile);
        dots_of<D>(s, q_tile + warp_offset<D>() + left_offset<D>(), k_tile + right_offset<D>());
      } else {
        stage ^= 1;
        if (key + TILE < last) {
          fetch_keys(key + TILE, tiles + stage * STAGE);
          fetch_values(key + TILE, tiles + stage * STAGE + HalfTile<D>::BYTES);
        }
        clear(s);
#pragma unroll
        for (int k = 0; k < D / 16; ++k) add_dots<D>(s, q[k], k_tile + right_offset<D>() + 32 * k);
      }
      scores.bend(s);
#pragma unroll
      for (int k = 0; k < TILE / 2; ++k) s[k / 4][k % 4] *= scores.scale;
      if (key + TILE > plain || (BEGINS && key < begins.most)) hide(s, seen, first, key, -infinity());
      take_scores(s, top, sum, result);
      if (WIDE) {
        wait_copies();
        __syncthreads();
        if (key + TILE < last) fetch_keys(key + TILE, k_tile);
      }
      add_weighted<DV>(result, s, v_tile + left_offset<DV>());
    }
    float factor[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float total = reduce_4(sum[half], Sum());
      const bool sees = total != 0;  // the largest weight is 1
      factor[half] = sees ? 1.0f / total : 0.0f;
      if (p.out[1] && lane() % 4 == 0 && first + held_row(half) < queries) {
        store<float>(p.out[1], row + held_row(half), sees ? (top[half] + log2f(total)) * LN_2 : -infinity());
      }
    }
    store_halves<DV>(p.out[0], row, queries - first, p.n[N_VALUE_SIZE], result, factor);
  }
}
