// sdpa of few queries, after attention.cu, last step: joins what sdpa_decode left of each stretch of keys, and the sink. A block takes a
// query of a head.
KERNEL {
  const i64 heads = p.n[N_HEADS], queries = p.n[N_QUERIES], group = heads / p.n[N_KV_HEADS], size = p.n[N_VALUE_SIZE];
  const i64 stretches = p.n[N_STRETCHES], row_blocks = p.n[N_ROW_BLOCKS];
  for (i64 task = blockIdx.x; task < p.n[N_BATCHES] * heads * queries; task += gridDim.x) {
    const i64 head = task / queries, row = head % group * queries + task % queries;  // head / group counts key heads over the batch
    const i64 block = (head / group * row_blocks + row / ROWS) * stretches, distance = ROWS * (size + 2);
    const float* part = static_cast<const float*>(p.scratch) + block * distance + row % ROWS * (size + 2);
    const float sink = sink_of(p, head % heads);
    float best = sink, all = 0;
    for (i64 s = 0; s < stretches; ++s) best = larger(best, part[s * distance + size]);
    const bool sees = best != -infinity();
    if (SINKS && sees) all = expf(sink - best);
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
