// rms_norm_backward and layer_norm_backward (CENTER): x, weight, g, eps -> dx. T: dtype of the data, E: of eps. n: rows, count.
// rms, with s = (mean(x^2) + eps)^-1/2: dx = s (w g - x s^2 mean(w g x)).
// layer, with h = (x - mean) s: dx = s (w g - mean(w g) - h mean(w g h)).
template <int N>
__device__ inline void norm_backward(const Params& p) {
  const i64 count = p.n[1];
  const float eps = static_cast<float>(load<E>(p.in[3], 0)), size = static_cast<float>(count);
  const T* weight = static_cast<const T*>(p.in[1]);
  for (i64 row = first_row(); row < p.n[0]; row += row_step()) {
    const T* x = static_cast<const T*>(p.in[0]) + row * count;
    const T* g = static_cast<const T*>(p.in[2]) + row * count;
    T* out = static_cast<T*>(p.out[0]) + row * count;
    float v[N], w[N], slope[N], mean = 0, mean_g = 0, squares = 0, dot = 0;
    if (CENTER) {
      for (i64 i = lane() * N; i < count; i += lanes() * N) {
        read<N>(x + i, v);
        read<N>(weight + i, w);
        read<N>(g + i, slope);
#pragma unroll
        for (int k = 0; k < N; ++k) {
          mean += v[k];
          mean_g = fmaf(w[k], slope[k], mean_g);
        }
      }
      mean = row_sum(mean) / size;
      mean_g = row_sum(mean_g) / size;
    }
    for (i64 i = lane() * N; i < count; i += lanes() * N) {
      read<N>(x + i, v);
      read<N>(weight + i, w);
      read<N>(g + i, slope);
#pragma unroll
      for (int k = 0; k < N; ++k) {
        const float h = v[k] - mean;
        squares = fmaf(h, h, squares);
        dot = fmaf(w[k] * slope[k], h, dot);
      }
    }
    const float scale = 1.0f / sqrtf(row_sum(squares) / size + eps);
    const float pull = scale * scale * (row_sum(dot) / size);
    for (i64 i = lane() * N; i < count; i += lanes() * N) {
      read<N>(x + i, v);
      read<N>(weight + i, w);
      read<N>(g + i, slope);
#pragma unroll
      for (int k = 0; k < N; ++k) {
        const float wg = w[k] * slope[k];  // rounded as in mean_g: nothing is left of a row of one element
        v[k] = scale * fmaf(-(v[k] - mean), pull, wg - mean_g);
      }
      write<N>(out + i, v);
    }
  }
}

// Of rows of one element under rms_norm all but eps s^2 cancels: 1 - x^2 s^2 = eps s^2.
__device__ inline void alone(const Params& p) {
  const float eps = static_cast<float>(load<E>(p.in[3], 0)), weight = load<T>(p.in[1], 0);
  for (i64 i = first_index(); i < p.n[0]; i += index_step()) {
    const float x = load<T>(p.in[0], i), scale = 1.0f / sqrtf(fmaf(x, x, eps));
    store<T>(p.out[0], i, scale * (eps * scale * scale) * weight * load<T>(p.in[2], i));
  }
}

KERNEL {
  if (!CENTER && p.n[1] == 1) {
    alone(p);
  } else if (p.n[1] % PACKED<T> == 0 && is_aligned(p.in[0]) && is_aligned(p.in[1]) && is_aligned(p.in[2]) && is_aligned(p.out[0])) {
    norm_backward<PACKED<T>>(p);
  } else {
    norm_backward<1>(p);
  }
}
