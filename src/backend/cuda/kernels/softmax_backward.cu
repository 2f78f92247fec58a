// softmax_backward: y, g -> (g - sum(g * y)) * y over one axis. T, G: their dtypes. n: rows, count, inner. A block does one row.
KERNEL {
  const i64 count = p.n[1], inner = p.n[2];
  for (i64 row = blockIdx.x; row < p.n[0]; row += gridDim.x) {
    const i64 first = row / inner * count * inner + row % inner;
    float dot = 0;
    for (i64 j = threadIdx.x; j < count; j += blockDim.x) dot += load<G>(p.in[1], first + j * inner) * load<T>(p.in[0], first + j * inner);
    dot = block_reduce(dot, Sum(), 0.0f);
    for (i64 j = threadIdx.x; j < count; j += blockDim.x) {
      const i64 k = first + j * inner;
      store<T>(p.out[0], k, (load<G>(p.in[1], k) - dot) * load<T>(p.in[0], k));
    }
  }
}
