// softmax, log_softmax, scaled_softmax over one axis of row-major x. T: dtype of x and result; LOG, SCALED; PRE, POST: dtypes of the factors.
// n: rows, count, inner. A block does one row; a row of 32 columns and less of a last axis would fit a warp, but such rows are rare.
KERNEL {
  const i64 count = p.n[1], inner = p.n[2];
  const float pre = SCALED ? static_cast<float>(load<PRE>(p.in[1], 0)) : 1.0f;
  const float post = SCALED ? static_cast<float>(load<POST>(p.in[2], 0)) : 1.0f;
  for (i64 row = blockIdx.x; row < p.n[0]; row += gridDim.x) {
    const i64 first = row / inner * count * inner + row % inner;
    float top = -infinity();
    for (i64 j = threadIdx.x; j < count; j += blockDim.x) top = larger(top, load<T>(p.in[0], first + j * inner) * pre);
    top = block_reduce(top, Larger(), -infinity());
    float sum = 0;
    for (i64 j = threadIdx.x; j < count; j += blockDim.x) sum += expf(load<T>(p.in[0], first + j * inner) * pre - top);
    sum = block_reduce(sum, Sum(), 0.0f);
    for (i64 j = threadIdx.x; j < count; j += blockDim.x) {
      const float v = load<T>(p.in[0], first + j * inner) * pre - top;
      store<T>(p.out[0], first + j * inner, LOG ? v - logf(sum) : expf(v) / sum * post);
    }
  }
}
