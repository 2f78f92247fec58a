// sdpa on tensor cores, after attention_mma.cu: as sdpa.cu; scores are in units of log 2. While a tile of keys and values is worked
// on, the next one is brought.
ATTENTION_MMA(D + DV <= 128 ? 4 : D + DV <= 192 ? 3 : 2) {
  extern __shared__ uint4 shared[];
  constexpr float LN_2 = 0.6931471805599453f;
  constexpr int STAGE = HalfTile<D>::BYTES + HalfTile<DV>::BYTES;
  const Seen seen(p);
  const i64 heads = p.n[1], queries = p.n[3], group = heads / p.n[2], all = p.n[0] * heads, blocks = (queries + TILE - 1) / TILE;
  const u32 tiles = shared_address(shared);
  const float scale = seen.scale * LOG2_E;
  for (i64 task = blockIdx.x; task < all * blocks; task += gridDim.x) {
    const i64 first = (blocks - 1 - task / all) * TILE;  // under a causal mask the longest come first
    const i64 batch = task % all / heads, head = task % heads, row = (batch * heads + head) * queries + first;
    const i64 last = seen.limit(smaller(first + TILE, queries) - 1);
    // Keys before this one are seen by all queries of the block.
    const i64 plain = seen.limit(first);
    const auto fetch_keys = [&](i64 key, int stage) {
      const u32 at = tiles + stage * STAGE;
      fetch_half<D>(at, Rows(p.in[1], p.n + 10, batch, head / group, key, last, p.n[5]));
      fetch_half<DV>(at + HalfTile<D>::BYTES, Rows(p.in[2], p.n + 13, batch, head / group, key, last, p.n[6]));
    };
    __syncthreads();
    // The queries go to registers by way of the second stage.
    fetch_half<D>(tiles + STAGE, Rows(p.in[0], p.n + 7, batch, head, first, queries, p.n[5]));
    if (last > 0) fetch_keys(0, 0);
    wait_copies();
    __syncthreads();
    u32 q[D / 16][4];
#pragma unroll
    for (int k = 0; k < D / 16; ++k) {
      load_matrices(q[k], tiles + STAGE + warp_offset<D>() + left_offset<D>() + 32 * k);
    }
    float top[2] = {-infinity(), -infinity()}, sum[2] = {0, 0}, result[DV / 8][4];
    clear(result);
    int stage = 0;
#pragma unroll 1
    for (i64 key = 0; key < last; key += TILE) {
      wait_copies();
      __syncthreads();
      if (key + TILE < last) fetch_keys(key + TILE, stage ^ 1);
      const u32 k_tile = tiles + stage * STAGE, v_tile = k_tile + HalfTile<D>::BYTES;
      stage ^= 1;
      float s[TILE / 8][4];
      clear(s);
#pragma unroll
      for (int k = 0; k < D / 16; ++k) add_dots<D>(s, q[k], k_tile + right_offset<D>() + 32 * k);
#pragma unroll
      for (int n = 0; n < TILE / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) s[n][i] *= scale;
      }
      if (key + TILE > plain) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int end = static_cast<int>(smaller(seen.limit(first + held_row(half)) - key, static_cast<i64>(TILE)));
#pragma unroll
          for (int n = 0; n < TILE / 8; ++n) {
            if (held_column(n, 0) >= end) s[n][2 * half] = -infinity();
            if (held_column(n, 1) >= end) s[n][2 * half + 1] = -infinity();
          }
        }
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float best = top[half];
        // A NaN is passed over here; its weight makes the sum NaN.
#pragma unroll
        for (int n = 0; n < TILE / 8; ++n) best = fmaxf(best, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
        best = fmaxf(best, __shfl_xor_sync(0xffffffffu, best, 2));
        best = fmaxf(best, __shfl_xor_sync(0xffffffffu, best, 1));
        const float base = best == -infinity() ? 0.0f : best, shrink = exp2_fast(top[half] - base);
        top[half] = best;
        sum[half] *= shrink;
#pragma unroll
        for (int n = 0; n < TILE / 8; ++n) {
#pragma unroll
          for (int i = 2 * half; i < 2 * half + 2; ++i) {
            s[n][i] = exp2_fast(s[n][i] - base);
            sum[half] += s[n][i];
          }
        }
#pragma unroll
        for (int n = 0; n < DV / 8; ++n) {
          result[n][2 * half] *= shrink;
          result[n][2 * half + 1] *= shrink;
        }
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
    store_halves<DV>(p.out[0], row, queries - first, p.n[6], result, factor);
  }
}
