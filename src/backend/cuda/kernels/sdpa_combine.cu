// sdpa of few queries, after attention.cu, last step: joins what sdpa_decode left of each stretch of keys. A block takes a query of a head.
KERNEL {
  const i64 heads = p.n[1], queries = p.n[3], group = heads / p.n[2], stretches = p.n[26], row_blocks = p.n[27], size = p.n[6];
  for (i64 task = blockIdx.x; task < p.n[0] * heads * queries; task += gridDim.x) {
    const i64 head = task / queries, row = head % group * queries + task % queries;  // head / group counts key heads over the batch
    const i64 block = (head / group * row_blocks + row / ROWS) * stretches, distance = ROWS * (size + 2);
    const float* part = static_cast<const float*>(p.scratch) + block * distance + row % ROWS * (size + 2);
    float best = -infinity(), all = 0;
    for (i64 s = 0; s < stretches; ++s) best = larger(best, part[s * distance + size]);
    const bool sees = best != -infinity();
    for (i64 s = 0; s < stretches && sees; ++s) {
      const float top = part[s * distance + size];
      if (top != -infinity()) all = fmaf(expf(top - best), part[s * distance + size + 1], all);
    }
    if (p.out[1] && threadIdx.x == 0) store<float>(p.out[1], task, sees ? best + logf(all) : best);
    if (!p.out[0]) continue;
    for (i64 column = threadIdx.x; column < size; column += blockDim.x) {
      float sum = 0;
      for (i64 s = 0; s < stretches && sees; ++s) {
        const float top = part[s * distance + size];
        if (top != -infinity()) sum = fmaf(expf(top - best), part[s * distance + column], sum);
      }
      store<T>(p.out[0], task * size + column, sees ? sum / all : 0.0f);
    }
  }
}
