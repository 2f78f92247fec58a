// sdpa of few queries, after attention.cu, first step: a block takes a stretch of the keys of one key head past ROWS of the queries that
// read it (all heads of its group), and leaves largest score, sum and weighted values of each to scratch. LANES threads hold a key, eight
// elements each.
// N_STRETCHES: of the keys that a batch entry sees; N_ROW_BLOCKS: of a key head; N_STRETCH: keys of a stretch, which then begins at a
// multiple of them, or 0: equal parts.
constexpr int DECODE_THREADS = 128, WORKERS = DECODE_THREADS / LANES, HELD = 8;

// Elements [first, first + 8) of a row, zeros after its end.
__device__ inline void read_eight(const T* row, int first, int size, bool packs, float (&v)[HELD]) {
  constexpr int STEP = 16 / sizeof(T) < HELD ? 16 / sizeof(T) : HELD;
#pragma unroll
  for (int c = 0; c < HELD; c += STEP) {
    if (packs && first + c < size) {
      const Pack<T, STEP> pack = *reinterpret_cast<const Pack<T, STEP>*>(row + first + c);
#pragma unroll
      for (int i = 0; i < STEP; ++i) v[c + i] = widen(pack.v[i]);
    } else {
#pragma unroll
      for (int i = 0; i < STEP; ++i) v[c + i] = first + c + i < size ? widen(row[first + c + i]) : 0.0f;
    }
  }
}

constexpr int PACK = 16 / sizeof(T);
__device__ inline bool has_packs(const T* data, const i64* strides, i64 size) {
  return size % PACK == 0 && strides[2] % PACK == 0 && reinterpret_cast<u64>(data) % 16 == 0;
}

extern "C" __global__ void __launch_bounds__(DECODE_THREADS) run(const __grid_constant__ Params p) {
  __shared__ float values[WORKERS][ROWS][LANES * HELD], tops[WORKERS][ROWS], sums[WORKERS][ROWS];
  Seen seen(p);
  const i64 heads = p.n[N_HEADS], kv_heads = p.n[N_KV_HEADS], queries = p.n[N_QUERIES], group = heads / kv_heads, rows = group * queries;
  const i64 stretches = p.n[N_STRETCHES], row_blocks = p.n[N_ROW_BLOCKS];
  const int worker = threadIdx.x / LANES, lane = threadIdx.x % LANES;
  const int size = static_cast<int>(p.n[N_SIZE]), value_size = static_cast<int>(p.n[N_VALUE_SIZE]);
  for (i64 task = blockIdx.x; task < p.n[N_BATCHES] * kv_heads * row_blocks * stretches; task += gridDim.x) {
    const i64 first = task / stretches % row_blocks * ROWS;
    const i64 batch = task / stretches / row_blocks / kv_heads, kv_head = task / stretches / row_blocks % kv_heads;
    seen.enter(p, batch);
    const i64 visible = BEGINS ? smaller(seen.begins(0).least, seen.length) : 0, fixed = p.n[N_STRETCH];
    const i64 longest = fixed != 0 ? fixed : (seen.length - visible + stretches - 1) / stretches;
    const i64 from = (!BEGINS || fixed == 0 ? visible : visible / fixed * fixed) + task % stretches * longest;
    // A key of a fixed stretch is always of the same worker.
    const i64 begin = BEGINS ? larger(from, visible / WORKERS * WORKERS) : from, last = smaller(from + longest, seen.length);
    const T* k = static_cast<const T*>(p.in[1]) + (PAGED ? 0 : batch * p.n[N_K]) + kv_head * p.n[N_K + 1];
    const T* v = static_cast<const T*>(p.in[2]) + (PAGED ? 0 : batch * p.n[N_V]) + kv_head * p.n[N_V + 1];
    const bool q_packs = has_packs(static_cast<const T*>(p.in[0]), p.n + N_Q, size) && p.n[N_Q] % HELD == 0 && p.n[N_Q + 1] % HELD == 0;
    const bool k_packs = has_packs(k, p.n + N_K, size) && (!PAGED || p.n[N_K] % PACK == 0);
    const bool v_packs = has_packs(v, p.n + N_V, value_size) && (!PAGED || p.n[N_V] % PACK == 0);
    float q[ROWS][HELD], sum_of[ROWS][HELD] = {}, top[ROWS], sum[ROWS];
    Span keys[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      const i64 row = smaller(first + r, rows - 1), head = kv_head * group + row / queries, t = row % queries;
      const T* from_q = static_cast<const T*>(p.in[0]) + batch * p.n[N_Q] + head * p.n[N_Q + 1] + t * p.n[N_Q + 2];
      read_eight(from_q, lane * HELD, size, q_packs, q[r]);
      keys[r] = {seen.begin(t), first + r < rows ? smaller(last, seen.limit(t)) : 0};
      top[r] = -infinity();
      sum[r] = 0;
    }
#pragma unroll 2
    for (i64 step = begin; step < last; step += WORKERS) {
      const i64 j = step + worker, there = smaller(j, last - 1);
      float key[HELD], value[HELD];
#if PAGED
      const i64 found = seen.block(p, there), block = found < 0 ? 0 : found, place = static_cast<u32>(there) % PAGE;
      read_eight(k + block * p.n[N_K] + place * p.n[N_K + 2], lane * HELD, found < 0 ? 0 : size, k_packs, key);
      read_eight(v + block * p.n[N_V] + place * p.n[N_V + 2], lane * HELD, found < 0 ? 0 : value_size, v_packs, value);
#else
      read_eight(k + there * p.n[N_K + 2], lane * HELD, size, k_packs, key);
      read_eight(v + there * p.n[N_V + 2], lane * HELD, value_size, v_packs, value);
#endif
#pragma unroll
      for (int r = 0; r < ROWS; ++r) {
        float dot = 0;
#pragma unroll
        for (int c = 0; c < HELD; ++c) dot = fmaf(q[r][c], key[c], dot);
#pragma unroll
        for (int d = LANES / 2; d > 0; d /= 2) dot += __shfl_xor_sync(0xffffffffu, dot, d);
        const i64 row = smaller(first + r, rows - 1);
        const float score = seen.score(p, batch, kv_head * group + row / queries, row % queries, j, keys[r], dot);
        if (score == -infinity()) continue;
        const float best = larger(top[r], score);
        if (best != top[r]) {
          const float shrink = expf(top[r] - best);
          sum[r] *= shrink;
#pragma unroll
          for (int c = 0; c < HELD; ++c) sum_of[r][c] *= shrink;
          top[r] = best;
        }
        const float weight = expf(score - best);
        sum[r] += weight;
#pragma unroll
        for (int c = 0; c < HELD; ++c) sum_of[r][c] = fmaf(weight, value[c], sum_of[r][c]);
      }
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
#pragma unroll
      for (int c = 0; c < HELD; ++c) values[worker][r][lane * HELD + c] = sum_of[r][c];
      if (lane == 0) {
        tops[worker][r] = top[r];
        sums[worker][r] = sum[r];
      }
    }
    __syncthreads();
    // Each row of scratch: value_size values, then the largest score and the sum.
    float* out = static_cast<float*>(p.scratch) + task * ROWS * (value_size + 2);
    for (int item = threadIdx.x; item < ROWS * (value_size + 1); item += DECODE_THREADS) {
      const int r = item / (value_size + 1), column = item % (value_size + 1);
      float best = -infinity(), all = 0;
      for (int w = 0; w < WORKERS; ++w) best = larger(best, tops[w][r]);
      for (int w = 0; w < WORKERS; ++w) {
        if (tops[w][r] != -infinity()) all = fmaf(expf(tops[w][r] - best), column < value_size ? values[w][r][column] : sums[w][r], all);
      }
      out[r * (value_size + 2) + column + (column == value_size)] = all;
      if (column == value_size) out[r * (value_size + 2) + column] = best;
    }
  }
}
