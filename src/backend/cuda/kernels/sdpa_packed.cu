// sdpa_packed, after attention.cu: N_SEQUENCES sequences lie one after the other in rows (tokens, heads, size). A block takes 64 queries of
// one head and sequence past all keys that they see, 64 at a time, with a running largest score.

// How many keys a query sees to its left and right; those of its sequence where the window ends nowhere.
__device__ inline i64 left_window(const Params& p) {
#if HAS_LEFT
  return p.n[N_LEFT];
#else
  return p.n[N_QUERIES];
#endif
}
__device__ inline i64 right_window(const Params& p) {
#if HAS_RIGHT
  return p.n[N_RIGHT];
#else
  return CAUSAL ? 0 : p.n[N_QUERIES];
#endif
}

// Queries [first, first + TILE) of a sequence of `tokens` rows from row `origin`, which see `length` keys.
struct Block {
  i64 origin, tokens, first, length;
};

// Whether starts begin with 0, never decrease and stay within the rows.
__device__ inline bool fits(const Params& p, const i32* starts) {
  for (i64 s = 0; s <= p.n[N_SEQUENCES]; ++s) {
    const i64 low = s == 0 ? 0 : starts[s - 1], high = s == 0 ? 0 : p.n[N_QUERIES], at = starts[s];
    if (at >= low && at <= high) continue;
    if (threadIdx.x == 0) fail(p, at);
    return false;
  }
  return true;
}

// Blocks are counted over the sequences and the rows after them, which see nothing; false beyond the last.
__device__ inline bool find_block(const Params& p, const i32* starts, i64 number, Block& block) {
  for (i64 s = 0; s <= p.n[N_SEQUENCES]; ++s) {
    const bool rest = s == p.n[N_SEQUENCES];
    block.origin = starts[s];
    block.tokens = (rest ? p.n[N_QUERIES] : static_cast<i64>(starts[s + 1])) - block.origin;
    const i64 blocks = (block.tokens + TILE - 1) / TILE;
    if (number < blocks) {
      block.first = number * TILE;
      block.length = rest ? 0 : block.tokens;
      return true;
    }
    number -= blocks;
  }
  return false;
}

ATTENTION(DV <= 192 ? 2 : 1) {
  __shared__ Tiles tiles;
  const i32* starts = static_cast<const i32*>(p.in[LENGTH_AT]);
  if (!fits(p, starts)) return;
  const float scale = static_cast<float>(load<SCALE>(p.in[SCALE_AT], 0));
  const i64 heads = p.n[N_HEADS], rows = p.n[N_QUERIES], group = heads / p.n[N_KV_HEADS];
  const i64 tasks = heads * (rows / TILE + p.n[N_SEQUENCES] + 1);
  const i64 left = left_window(p), right = right_window(p);
  const int y = threadIdx.x / 16, x = threadIdx.x % 16;
  for (i64 task = blockIdx.x; task < tasks; task += gridDim.x) {
    Block b;
    if (!find_block(p, starts, task / heads, b)) return;
    const i64 head = task % heads, end = b.origin + b.tokens, begin = b.origin + b.first;
    const Rows q(p.in[0], p.n + N_Q, 0, head, begin, end, p.n[N_SIZE]);
    const i64 last = smaller(b.length, b.first + TILE + right), from = larger(0ll, b.first - left) / TILE * TILE;
    float top[4], sum[4], result[4][Columns<DV>::COUNT] = {};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      top[i] = -infinity();
      sum[i] = 0;
    }
    for (i64 key = from; key < last; key += TILE) {
      const i64 at = b.origin + key;
      const Rows k(p.in[1], p.n + N_K, 0, head / group, at, b.origin + last, p.n[N_SIZE]);
      const Rows v(p.in[2], p.n + N_V, 0, head / group, at, b.origin + last, p.n[N_VALUE_SIZE]);
      float s[4][4];
      dots<D>(s, tiles, q, k);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const i64 t = b.first + 4 * y + i;
        const Span seen = {t - left, t >= b.tokens ? 0 : smaller(last, t + right + 1)};
        float best = top[i];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          s[i][j] = seen.has(key + x + 16 * j) ? s[i][j] * scale : -infinity();
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
      if (b.first + 4 * y + i >= b.tokens) continue;
      const i64 row = (begin + 4 * y + i) * heads + head;
#pragma unroll
      for (int c = 0; c < Columns<DV>::COUNT; ++c) {
        const int column = Columns<DV>::at(c);
        if (column < p.n[N_VALUE_SIZE]) store<T>(p.out[0], row * p.n[N_VALUE_SIZE] + column, result[i][c] * factor);
      }
    }
  }
}
