// rms_norm, layer_norm (CENTER, with bias) and group_norm. T: dtype of the data, E: of eps. n: rows, count, groups, size. ADD: the rows are
// the sums of the first two operands and are the first result.
// A row has `count` elements; row r is group r % groups; GROUPED: `size` neighbours have one weight and bias (else 1).
constexpr int WEIGHT = ADD ? 2 : 1, BIAS = CENTER ? WEIGHT + 1 : WEIGHT, RESULT = ADD ? 1 : 0;

template <int N>
__device__ inline void norm(const Params& p) {
  const i64 count = p.n[1], channels = count / p.n[3];
  const float eps = static_cast<float>(load<E>(p.in[BIAS + 1], 0)), size = static_cast<float>(count);
  for (i64 row = first_row(); row < p.n[0]; row += row_step()) {
    const T* x = static_cast<const T*>(p.in[0]) + row * count;
    T* out = static_cast<T*>(p.out[RESULT]) + row * count;
    const i64 first = row % p.n[2] * channels;
    const T* weight = static_cast<const T*>(p.in[WEIGHT]) + first;
    const T* bias = static_cast<const T*>(p.in[BIAS]) + first;
    float v[N], w[N], b[N], mean = 0, squares = 0;
#if ADD
    // Each thread reads again what it wrote itself.
    const T* r = static_cast<const T*>(p.in[1]) + row * count;
    T* sum = static_cast<T*>(p.out[0]) + row * count;
    for (i64 i = lane() * N; i < count; i += lanes() * N) {
      read<N>(x + i, v);
      read<N>(r + i, w);
#pragma unroll
      for (int k = 0; k < N; ++k) v[k] += w[k];
      write<N>(sum + i, v);
    }
    x = sum;
    if (p.out[RESULT] == nullptr) continue;
#endif
    if (CENTER) {
      for (i64 i = lane() * N; i < count; i += lanes() * N) {
        read<N>(x + i, v);
#pragma unroll
        for (int k = 0; k < N; ++k) mean += v[k];
      }
      mean = row_sum(mean) / size;
    }
    for (i64 i = lane() * N; i < count; i += lanes() * N) {
      read<N>(x + i, v);
#pragma unroll
      for (int k = 0; k < N; ++k) squares = fmaf(v[k] - mean, v[k] - mean, squares);
    }
    const float scale = 1.0f / sqrtf(row_sum(squares) / size + eps);
    for (i64 i = lane() * N; i < count; i += lanes() * N) {
      read<N>(x + i, v);
      if (GROUPED) {
#pragma unroll
        for (int k = 0; k < N; ++k) {
          const i64 channel = (i + k) / p.n[3];
          w[k] = widen(weight[channel]);
          b[k] = widen(bias[channel]);
        }
      } else {
        read<N>(weight + i, w);
        if (CENTER) read<N>(bias + i, b);
      }
#pragma unroll
      for (int k = 0; k < N; ++k) v[k] = CENTER ? fmaf((v[k] - mean) * scale, w[k], b[k]) : v[k] * scale * w[k];
      write<N>(out + i, v);
    }
  }
}

KERNEL {
  bool whole = p.n[1] % PACKED<T> == 0 && is_aligned(p.in[0]) && is_aligned(p.out[0]);
  if (ADD) whole = whole && is_aligned(p.in[1]) && is_aligned(p.out[RESULT]);
  if (whole && (GROUPED || (is_aligned(p.in[WEIGHT]) && is_aligned(p.in[BIAS])))) {
    norm<PACKED<T>>(p);
  } else {
    norm<1>(p);
  }
}
