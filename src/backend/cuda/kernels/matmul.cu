// Matrix products of any dtype and strides, after batches.cu, for what the library does not take. A, B, R: dtypes; ACC: float or i64.
// n: m, n, k, batches, batch rank; strides of a (row, column), of b; batch dims; batch strides of a; of b. A block does a tile of 16 x 16.
KERNEL {
  __shared__ ACC left[16][17], right[16][17];
  const i64 m = p.n[0], n = p.n[1], k = p.n[2];
  const int row = threadIdx.x / 16, column = threadIdx.x % 16;
  const i64 tiles_n = (n + 15) / 16, tiles = (m + 15) / 16 * tiles_n;
  for (i64 t = blockIdx.x; t < tiles * p.n[3]; t += gridDim.x) {
    const i64 batch = t / tiles, i = t % tiles / tiles_n * 16 + row, j = t % tiles_n * 16 + column;
    const Batch at(p, batch);
    ACC sum = 0;
    for (i64 first = 0; first < k; first += 16) {
      left[row][column] = i < m && first + column < k ? load<A>(p.in[0], at.left + i * p.n[5] + (first + column) * p.n[6]) : 0;
      right[row][column] = first + row < k && j < n ? load<B>(p.in[1], at.right + (first + row) * p.n[7] + j * p.n[8]) : 0;
      __syncthreads();
      for (int q = 0; q < 16; ++q) sum += left[row][q] * right[q][column];
      __syncthreads();
    }
    if (i < m && j < n) store<R>(p.out[0], (batch * m + i) * n + j, sum);
  }
}
