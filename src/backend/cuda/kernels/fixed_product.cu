// Matrix products of floats, after batches.cu, where every result is one chain of fused multiply-adds along k, from the first to the last, whatever the tile
// is. A, B: dtypes; R: of the result, bias and addend; BIAS_IN, ADDEND_IN: their numbers, or -1; A_ROWS, B_ROWS: neighbouring threads read
// along rows of a, of b. n: as of matmul.cu. A block of 256 threads does 16 HELD rows and 64 columns, a thread HELD by 4 of them.
constexpr int TM = 16 * HELD, TN = 64, TK = 16;

struct Tile {
  float a[TK][TM + 4];
  alignas(16) float b[TK][TN + 4];
};

KERNEL {
  __shared__ Tile tile;
  const i64 m = p.n[0], n = p.n[1], k = p.n[2];
  const i64 down = (m + TM - 1) / TM, across = (n + TN - 1) / TN;
  const int my_row = threadIdx.x / 16 * HELD, my_column = threadIdx.x % 16 * 4;
  for (i64 task = blockIdx.x; task < down * across * p.n[3]; task += gridDim.x) {
    const i64 batch = task / (down * across), row = task % down * TM, column = task / down % across * TN;
    const Batch matrices(p, batch);
    float sum[HELD][4] = {};
    for (i64 first = 0; first < k; first += TK) {
      __syncthreads();
#pragma unroll
      for (int e = threadIdx.x; e < TM * TK; e += 256) {
        const int r = A_ROWS ? e / TK : e % TM, q = A_ROWS ? e % TK : e / TM;
        const bool there = row + r < m && first + q < k;
        tile.a[q][r] = there ? load<A>(p.in[0], matrices.left + (row + r) * p.n[5] + (first + q) * p.n[6]) : 0.0f;
      }
#pragma unroll
      for (int e = threadIdx.x; e < TN * TK; e += 256) {
        const int q = B_ROWS ? e / TN : e % TK, c = B_ROWS ? e % TN : e / TK;
        const bool there = first + q < k && column + c < n;
        tile.b[q][c] = there ? load<B>(p.in[1], matrices.right + (first + q) * p.n[7] + (column + c) * p.n[8]) : 0.0f;
      }
      __syncthreads();
#pragma unroll
      for (int q = 0; q < TK; ++q) {
        const Pack<float, 4> right = *reinterpret_cast<const Pack<float, 4>*>(&tile.b[q][my_column]);
#pragma unroll
        for (int i = 0; i < HELD; ++i) {
          const float left = tile.a[q][my_row + i];
#pragma unroll
          for (int j = 0; j < 4; ++j) sum[i][j] = fmaf(left, right.v[j], sum[i][j]);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < HELD; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const i64 r = row + my_row + i, c = column + my_column + j, at = (batch * m + r) * n + c;
        if (r >= m || c >= n) continue;
        float v = sum[i][j];
#if BIAS_IN >= 0
        v += load<R>(p.in[BIAS_IN], c);
#endif
#if ADDEND_IN >= 0
        v += load<R>(p.in[ADDEND_IN], at);
#endif
        store<R>(p.out[0], at, v);
      }
    }
  }
}
