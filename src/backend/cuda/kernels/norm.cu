// rms_norm, layer_norm (CENTER, with bias) and group_norm. T: dtype of the data, E: of eps. n: rows, count, groups, size.
// A row has `count` elements; row r is group r % groups; GROUPED: `size` neighbours have one weight and bias (else 1).
template <int N>
__device__ inline void norm(const Params& p) {
  const i64 count = p.n[1], channels = count / p.n[3];
  const float eps = static_cast<float>(load<E>(p.in[CENTER ? 3 : 2], 0)), size = static_cast<float>(count);
  for (i64 row = first_row(); row < p.n[0]; row += row_step()) {
    const T* x = static_cast<const T*>(p.in[0]) + row * count;
    T* out = static_cast<T*>(p.out[0]) + row * count;
    const i64 first = row % p.n[2] * channels;
    const T* weight = static_cast<const T*>(p.in[1]) + first;
    const T* bias = static_cast<const T*>(p.in[CENTER ? 2 : 1]) + first;
    float v[N], w[N], b[N], mean = 0, squares = 0;
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
  const bool whole = p.n[1] % PACKED<T> == 0 && is_aligned(p.in[0]) && is_aligned(p.out[0]);
  if (whole && (GROUPED || (is_aligned(p.in[1]) && is_aligned(p.in[CENTER ? 2 : 1])))) {
    norm<PACKED<T>>(p);
  } else {
    norm<1>(p);
  }
}
