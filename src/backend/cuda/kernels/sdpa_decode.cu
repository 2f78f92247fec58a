// sdpa of few queries, after attention.cu, first step: a block takes a stretch of the keys of one key head past ROWS of the queries that
// read it (all heads of its group), and leaves largest score, sum and weighted values of each to scratch. LANES threads hold a key, eight
// elements each.
// n[26]: stretches, n[27]: blocks of rows of a key head, n[28]: keys of a stretch, or 0: the keys that are there in equal parts.
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

__device__ inline bool has_packs(const T* data, const i64* strides, i64 size) {
  constexpr int STEP = 16 / sizeof(T);
  return size % STEP == 0 && strides[2] % STEP == 0 && reinterpret_cast<u64>(data) % 16 == 0;
}

extern "C" __global__ void __launch_bounds__(DECODE_THREADS) run(const __grid_constant__ Params p) {
  __shared__ float values[WORKERS][ROWS][LANES * HELD], tops[WORKERS][ROWS], sums[WORKERS][ROWS];
  const Seen seen(p);
  const i64 heads = p.n[1], kv_heads = p.n[2], queries = p.n[3], group = heads / kv_heads, rows = group * queries;
  const i64 stretches = p.n[26], row_blocks = p.n[27];
  const int worker = threadIdx.x / LANES, lane = threadIdx.x % LANES;
  const int size = static_cast<int>(p.n[5]), value_size = static_cast<int>(p.n[6]);
  const i64 longest = p.n[28] != 0 ? p.n[28] : (seen.length + stretches - 1) / stretches;
  for (i64 task = blockIdx.x; task < p.n[0] * kv_heads * row_blocks * stretches; task += gridDim.x) {
    const i64 begin = task % stretches * longest, last = smaller(begin + longest, seen.length);
    const i64 first = task / stretches % row_blocks * ROWS;
    const i64 batch = task / stretches / row_blocks / kv_heads, kv_head = task / stretches / row_blocks % kv_heads;
    const T* k = static_cast<const T*>(p.in[1]) + batch * p.n[10] + kv_head * p.n[11];
    const T* v = static_cast<const T*>(p.in[2]) + batch * p.n[13] + kv_head * p.n[14];
    const bool q_packs = has_packs(static_cast<const T*>(p.in[0]), p.n + 7, size) && p.n[7] % HELD == 0 && p.n[8] % HELD == 0;
    const bool k_packs = has_packs(k, p.n + 10, size), v_packs = has_packs(v, p.n + 13, value_size);
    float q[ROWS][HELD], sum_of[ROWS][HELD] = {}, top[ROWS], sum[ROWS];
    i64 end[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      const i64 row = smaller(first + r, rows - 1), head = kv_head * group + row / queries, t = row % queries;
      read_eight(static_cast<const T*>(p.in[0]) + batch * p.n[7] + head * p.n[8] + t * p.n[9], lane * HELD, size, q_packs, q[r]);
      end[r] = first + r < rows ? smaller(last, seen.limit(t)) : 0;
      top[r] = -infinity();
      sum[r] = 0;
    }
#pragma unroll 2
    for (i64 step = begin; step < last; step += WORKERS) {
      const i64 j = step + worker, there = smaller(j, last - 1);
      float key[HELD], value[HELD];
      read_eight(k + there * p.n[12], lane * HELD, size, k_packs, key);
      read_eight(v + there * p.n[15], lane * HELD, value_size, v_packs, value);
#pragma unroll
      for (int r = 0; r < ROWS; ++r) {
        float dot = 0;
#pragma unroll
        for (int c = 0; c < HELD; ++c) dot = fmaf(q[r][c], key[c], dot);
#pragma unroll
        for (int d = LANES / 2; d > 0; d /= 2) dot += __shfl_xor_sync(0xffffffffu, dot, d);
        const i64 row = smaller(first + r, rows - 1);
        const float score = seen.score(p, batch, kv_head * group + row / queries, row % queries, j, end[r], dot);
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
