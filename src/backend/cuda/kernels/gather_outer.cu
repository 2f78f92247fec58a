// gather_outer: a, b, chosen -> of each expert the sum of a^T b over its rows, in the order that group_rows.cu left in scratch. T: dtype. A
// block makes tiles of 64 x 64 of one expert's result. n: slots, choices of a row, of a row of a, of a row of b, m, n, experts.
__device__ inline i64 row_of(const Params& p, i64 slot, i64 each) { return each == 1 ? slot / p.n[1] : slot; }

KERNEL {
  __shared__ float left[16][65], right[16][65];
  const i64 m = p.n[4], n = p.n[5], experts = p.n[6];
  const i32* const starts = static_cast<const i32*>(p.scratch);
  const i32* const order = starts + experts + 1;
  const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
  const i64 row_tiles = (m + 63) / 64, column_tiles = (n + 63) / 64;
  for (i64 t = blockIdx.x; t < experts * row_tiles * column_tiles; t += gridDim.x) {
    const i64 expert = t / column_tiles / row_tiles, row = t / column_tiles % row_tiles * 64, column = t % column_tiles * 64;
    const i64 end = starts[expert + 1];
    float sums[4][4] = {};
    for (i64 piece = starts[expert]; piece < end; piece += 16) {
      for (int i = threadIdx.x; i < 1024; i += 256) {
        const int c = i % 64, r = i / 64;
        const i64 slot = piece + r < end ? order[piece + r] : -1;
        left[r][c] = slot >= 0 && row + c < m ? load<T>(p.in[0], row_of(p, slot, p.n[2]) * m + row + c) : 0.0f;
        right[r][c] = slot >= 0 && column + c < n ? load<T>(p.in[1], row_of(p, slot, p.n[3]) * n + column + c) : 0.0f;
      }
      __syncthreads();
      for (int q = 0; q < 16; ++q) {
        float a[4], b[4];
        for (int i = 0; i < 4; ++i) a[i] = left[q][ty * 4 + i];
        for (int j = 0; j < 4; ++j) b[j] = right[q][tx + j * 16];
        for (int i = 0; i < 4; ++i) {
          for (int j = 0; j < 4; ++j) sums[i][j] = fmaf(a[i], b[j], sums[i][j]);
        }
      }
      __syncthreads();
    }
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) {
        const i64 r = row + ty * 4 + i, c = column + tx + j * 16;
        if (r < m && c < n) store<T>(p.out[0], (expert * m + r) * n + c, sums[i][j]);
      }
    }
  }
}
