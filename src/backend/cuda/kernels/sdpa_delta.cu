// The first step of sdpa_backward, after attention.cu: sum(g * result) of every query, to scratch. A warp takes a query.
KERNEL {
  const i64 heads = p.n[1], queries = p.n[3];
  for (i64 row = first_index() / 32; row < p.n[0] * heads * queries; row += index_step() / 32) {
    const i64 batch = row / queries / heads, head = row / queries % heads, t = row % queries;
    const T* result = static_cast<const T*>(p.in[3]) + batch * p.n[20] + head * p.n[21] + t * p.n[22];
    const T* g = static_cast<const T*>(p.in[5]) + batch * p.n[23] + head * p.n[24] + t * p.n[25];
    float sum = 0;
    for (i64 i = threadIdx.x % 32; i < p.n[6]; i += 32) sum = fmaf(widen(g[i]), widen(result[i]), sum);
    sum = warp_reduce(sum, Sum());
    if (threadIdx.x % 32 == 0) store<float>(p.scratch, row, sum);
  }
}
