// cross_entropy_backward: logits, targets, smoothing, lse, g -> g (exp(logits - lse) - wanted). T: dtype of logits, I: of targets, S: of
// smoothing. n: rows, classes, ignored target. CAP_AT: number of the operand that caps logits, of dtype CAP; 0: there is none. With one the
// gradient is that of the logits before it.
template <int N>
__device__ inline void cross_entropy_backward(const Params& p) {
  const i64 count = p.n[1];
  const double smoothing = static_cast<double>(load<S>(p.in[2], 0)), spread = smoothing / static_cast<double>(count);
#if CAP_AT
  const float cap = static_cast<float>(load<CAP>(p.in[CAP_AT], 0));
#endif
  const float others = static_cast<float>(spread), hit = static_cast<float>(spread + (1 - smoothing));
  for (i64 row = first_row(); row < p.n[0]; row += row_step()) {
    const T* x = static_cast<const T*>(p.in[0]) + row * count;
    T* out = static_cast<T*>(p.out[0]) + row * count;
    const i64 target = load<I>(p.in[1], row);
    bool used = target != p.n[2];
    if (used && (target < 0 || target >= count)) {
      if (lane() == 0) fail(p, target);
      used = false;
    }
    const float lse = load<float>(p.in[3], row), g = load<float>(p.in[4], row);
    for (i64 i = lane() * N; i < count; i += lanes() * N) {
      float v[N];
      read<N>(x + i, v);
#pragma unroll
      for (int k = 0; k < N; ++k) {
#if CAP_AT
        const float part = tanhf(v[k] / cap), logit = cap * part;
#else
        const float logit = v[k];
#endif
        v[k] = used ? g * (expf(logit - lse) - (i + k == target ? hit : others)) : 0.0f;
#if CAP_AT
        v[k] *= 1 - part * part;
#endif
      }
      write<N>(out + i, v);
    }
  }
}

KERNEL {
  if (p.n[1] % PACKED<T> == 0 && is_aligned(p.in[0]) && is_aligned(p.out[0])) {
    cross_entropy_backward<PACKED<T>>(p);
  } else {
    cross_entropy_backward<1>(p);
  }
}
