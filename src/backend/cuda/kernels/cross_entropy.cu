// cross_entropy: logits, targets, smoothing -> loss, log-sum-exp a row. T: dtype of logits, I: of targets, S: of smoothing. n: rows,
// classes, ignored target. CAP_AT: number of the operand that caps logits, of dtype CAP; 0: there is none.
#if CAP_AT
// cap * tanh(v / cap) in place of each logit.
template <int N>
__device__ inline void cap_logits(float (&v)[N], float cap) {
#pragma unroll
  for (int k = 0; k < N; ++k) v[k] = cap * tanhf(v[k] / cap);
}
#endif

template <int N>
__device__ inline void cross_entropy(const Params& p) {
  const i64 count = p.n[1];
  const double smoothing = static_cast<double>(load<S>(p.in[2], 0));
#if CAP_AT
  const float cap = static_cast<float>(load<CAP>(p.in[CAP_AT], 0));
#endif
  for (i64 row = first_row(); row < p.n[0]; row += row_step()) {
    const T* x = static_cast<const T*>(p.in[0]) + row * count;
    // One pass: the sum is relative to the largest so far; `all` is the plain sum of logits.
    float v[N], top = -infinity(), sum = 0, all = 0;
    for (i64 i = lane() * N; i < count; i += lanes() * N) {
      read<N>(x + i, v);
#if CAP_AT
      cap_logits(v, cap);
#endif
      float best = top;
#pragma unroll
      for (int k = 0; k < N; ++k) best = larger(best, v[k]);
      const float base = best == -infinity() ? 0.0f : best;
      if (best != top) sum *= expf(top - base);
#pragma unroll
      for (int k = 0; k < N; ++k) {
        sum += expf(v[k] - base);
        all += v[k];
      }
      top = best;
    }
    const float best = row_reduce(top, Larger(), -infinity());
    sum = row_sum(top == -infinity() ? 0.0f : sum * expf(top - best));
    const bool finite = best != infinity() && best != -infinity();
    const float log_sum = finite ? logf(sum) : 0.0f;
    const bool smooth = smoothing != 0;
    all = smooth ? row_sum(all) : 0.0f;
    if (lane() != 0) continue;
    if (p.out[1]) store<float>(p.out[1], row, best + log_sum);
    if (!p.out[0]) continue;
    const i64 target = load<I>(p.in[1], row);
    float loss = 0;
    if (target != p.n[2]) {
      if (target < 0 || target >= count) {
        fail(p, target);
        continue;
      }
      float hit[1] = {widen(x[target])};
#if CAP_AT
      cap_logits(hit, cap);
#endif
      loss = static_cast<float>(1 - smoothing) * (best - hit[0] + log_sum);
      if (smooth) loss += static_cast<float>(smoothing) * (best - all / static_cast<float>(count) + log_sum);
    }
    store<float>(p.out[0], row, loss);
  }
}

KERNEL {
  if (p.n[1] % PACKED<T> == 0 && is_aligned(p.in[0])) {
    cross_entropy<PACKED<T>>(p);
  } else {
    cross_entropy<1>(p);
  }
}
