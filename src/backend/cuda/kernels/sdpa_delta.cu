// The first step of sdpa_backward, after attention.cu: sum(g * result) of every query, to scratch. A warp takes a query.
KERNEL {
  const i64 heads = p.n[N_HEADS], queries = p.n[N_QUERIES];
  for (i64 row = first_index() / 32; row < p.n[N_BATCHES] * heads * queries; row += index_step() / 32) {
    const i64 batch = row / queries / heads, head = row / queries % heads, t = row % queries;
    const T* result = static_cast<const T*>(p.in[3]) + batch * p.n[N_RESULT] + head * p.n[N_RESULT + 1] + t * p.n[N_RESULT + 2];
    const T* g = static_cast<const T*>(p.in[5]) + batch * p.n[N_G] + head * p.n[N_G + 1] + t * p.n[N_G + 2];
    float sum = 0;
    for (i64 i = threadIdx.x % 32; i < p.n[N_VALUE_SIZE]; i += 32) sum = fmaf(widen(g[i]), widen(result[i]), sum);
    sum = warp_reduce(sum, Sum());
    if (threadIdx.x % 32 == 0) store<float>(p.scratch, row, sum);
  }
}
