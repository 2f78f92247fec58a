// lora_rows: x, a, b, scales, choice, base -> base + scales[c] * (x@a[c]^T)@b[c]^T. T: dtype of the data, SCALE: of the scales. HAS_BASE.
// n: batch, tokens, k, rank, columns, adapters, strides of x, of a, of b. STAGE 0: t = scales[c] * (x@a[c]^T) in f32 scratch, a warp an
// element; 1: the rest, a thread an element. Without an adapter t is neither written nor read.
__device__ inline i64 adapter_of(const Params& p, i64 row) { return load<i32>(p.in[4], row / p.n[1]); }

KERNEL {
  const i64 rows = p.n[0] * p.n[1], tokens = p.n[1], rank = p.n[3], columns = p.n[4], adapters = p.n[5];
  float* low = static_cast<float*>(p.scratch);
#if STAGE == 0
  const i64 lane = threadIdx.x % 32;
  for (i64 item = first_index() / 32; item < rows * rank; item += index_step() / 32) {
    const i64 row = item / rank, r = item - row * rank, c = adapter_of(p, row);
    if (c < -1 || c >= adapters) fail(p, c);
    if (c < 0 || c >= adapters) continue;
    const T* x = static_cast<const T*>(p.in[0]) + row / tokens * p.n[6] + row % tokens * p.n[7];
    const T* a = static_cast<const T*>(p.in[1]) + c * p.n[9] + r * p.n[10];
    float sum = 0;
    for (i64 i = lane; i < p.n[2]; i += 32) sum = fmaf(widen(x[i * p.n[8]]), widen(a[i * p.n[11]]), sum);
    sum = warp_reduce(sum, Sum());
    if (lane == 0) low[item] = static_cast<float>(load<SCALE>(p.in[3], c)) * sum;
  }
#else
  for (i64 item = first_index(); item < rows * columns; item += index_step()) {
    const i64 row = item / columns, j = item - row * columns, c = adapter_of(p, row);
#if HAS_BASE
    float sum = load<T>(p.in[5], item);
#else
    float sum = 0;
#endif
    if (c >= 0 && c < adapters) {
      const T* b = static_cast<const T*>(p.in[2]) + c * p.n[12] + j * p.n[13];
      for (i64 r = 0; r < rank; ++r) sum = fmaf(low[row * rank + r], widen(b[r * p.n[14]]), sum);
    }
    store<T>(p.out[0], item, sum);
  }
#endif
}
