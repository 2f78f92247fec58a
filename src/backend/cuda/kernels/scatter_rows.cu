// scatter_add into rows: out (outer, count, inner) += updates (outer, many, inner) at indices (many). T, INDEX: dtypes; COLUMNS: columns of
// a thread. n: outer, many, count, inner. A block does the row of an index that no earlier one equals, in the order of the equal ones.
#define BLOCK 256
typedef decltype(widen(T())) Wide;

KERNEL {
  __shared__ u32 equal[BLOCK / 32];
  const i64 many = p.n[1], count = p.n[2], inner = p.n[3];
  const i64 chunks = (inner + BLOCK * COLUMNS - 1) / (BLOCK * COLUMNS);
  for (i64 task = blockIdx.x; task < p.n[0] * chunks * many; task += gridDim.x) {
    const i64 first = task % many, chunk = task / many % chunks, outer = task / many / chunks;
    const i64 index = load<INDEX>(p.in[1], first);
    if (index < 0 || index >= count) {
      if (threadIdx.x == 0) fail(p, index);
      continue;
    }
    bool earlier = false;
    for (i64 j = threadIdx.x; j < first && !earlier; j += BLOCK) earlier = load<INDEX>(p.in[1], j) == index;
    if (__syncthreads_or(earlier)) continue;
    const i64 column = chunk * BLOCK * COLUMNS + threadIdx.x;
    T* to = static_cast<T*>(p.out[0]) + (outer * count + index) * inner + column;
    const T* from = static_cast<const T*>(p.in[2]) + outer * many * inner + column;
    Wide sum[COLUMNS];
#pragma unroll
    for (int c = 0; c < COLUMNS; ++c) sum[c] = column + c * BLOCK < inner ? widen(to[c * BLOCK]) : Wide();
    for (i64 base = first; base < many; base += BLOCK) {
      const i64 j = base + threadIdx.x;
      const bool match = j < many && load<INDEX>(p.in[1], j) == index;
      const u32 votes = __ballot_sync(0xffffffffu, match);
      if (threadIdx.x % 32 == 0) equal[threadIdx.x / 32] = votes;
      if (!__syncthreads_or(match)) continue;
      for (int w = 0; w < BLOCK / 32; ++w) {
        for (u32 left = equal[w]; left != 0; left &= left - 1) {
          const T* row = from + (base + w * 32 + __ffs(static_cast<int>(left)) - 1) * inner;
#pragma unroll
          for (int c = 0; c < COLUMNS; ++c) sum[c] += column + c * BLOCK < inner ? widen(row[c * BLOCK]) : Wide();
        }
      }
      __syncthreads();
    }
#pragma unroll
    for (int c = 0; c < COLUMNS; ++c) {
      if (column + c * BLOCK < inner) to[c * BLOCK] = narrow<T>(sum[c]);
    }
  }
}
