// gather_matmul: x, w, chosen -> rows times the matrices that they chose. T: dtype. TRANSPOSED: w is (experts, n, k), else (experts, k, n). FEW:
// a warp makes an element, its lanes along k, and reads the choice itself; else a block makes tiles of 64 rows of one expert and 64 columns, in
// the order that group_rows.cu left in scratch. n: slots, choices of a row, choices of a row of x, k, n, experts.
__device__ inline i64 row_of_x(const Params& p, i64 slot) { return p.n[2] == 1 ? slot / p.n[1] : slot; }

#if FEW
KERNEL {
  const i64 slots = p.n[0], k = p.n[3], n = p.n[4], experts = p.n[5], lane = threadIdx.x % 32;
  for (i64 item = first_index() / 32; item < slots * n; item += index_step() / 32) {
    const i64 slot = item / n, column = item - slot * n, expert = load<i32>(p.in[2], slot);
    if (expert < 0 || expert >= experts) {
      fail(p, expert);
      continue;
    }
    const T* x = static_cast<const T*>(p.in[0]) + row_of_x(p, slot) * k;
    const T* w = static_cast<const T*>(p.in[1]) + (expert * n + column) * k;
    float sum = 0;
    for (i64 i = lane; i < k; i += 32) sum = fmaf(widen(x[i]), widen(w[i]), sum);
    sum = warp_reduce(sum, Sum());
    if (lane == 0) store<T>(p.out[0], item, sum);
  }
}
#else
KERNEL {
  __shared__ float left[16][65], right[16][65];
  __shared__ i32 slots_of[64];
  const i64 slots = p.n[0], k = p.n[3], n = p.n[4], experts = p.n[5];
  const i32* const starts = static_cast<const i32*>(p.scratch);
  const i32* const order = starts + experts + 1;
  const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
  const i64 column_tiles = (n + 63) / 64, most_tiles = slots / 64 + (experts < slots ? experts : slots);
  for (i64 t = blockIdx.x; t < most_tiles * column_tiles; t += gridDim.x) {
    // Which rows: tiles of all experts before are counted.
    i64 tile = t / column_tiles, expert = 0;
    for (; expert < experts; ++expert) {
      const i64 own = (starts[expert + 1] - starts[expert] + 63) / 64;
      if (tile < own) break;
      tile -= own;
    }
    if (expert == experts) continue;
    const i64 first = starts[expert] + tile * 64, column = t % column_tiles * 64;
    const i64 rows = starts[expert + 1] - first < 64 ? starts[expert + 1] - first : 64;
    __syncthreads();
    if (threadIdx.x < 64) slots_of[threadIdx.x] = threadIdx.x < rows ? order[first + threadIdx.x] : -1;
    __syncthreads();
    float sums[4][4] = {};
    for (i64 piece = 0; piece < k; piece += 16) {
      for (int i = threadIdx.x; i < 1024; i += 256) {
        const int row = i / 16, q = i % 16;
        const i64 slot = slots_of[row];
        left[q][row] = slot >= 0 && piece + q < k ? load<T>(p.in[0], row_of_x(p, slot) * k + piece + q) : 0.0f;
#if TRANSPOSED
        right[q][row] = column + row < n && piece + q < k ? load<T>(p.in[1], (expert * n + column + row) * k + piece + q) : 0.0f;
#else
        const int c = i % 64, r = i / 64;
        right[r][c] = column + c < n && piece + r < k ? load<T>(p.in[1], (expert * k + piece + r) * n + column + c) : 0.0f;
#endif
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
      const i64 slot = slots_of[ty * 4 + i];
      for (int j = 0; j < 4; ++j) {
        if (slot >= 0 && column + tx + j * 16 < n) store<T>(p.out[0], slot * n + column + tx + j * 16, sums[i][j]);
      }
    }
  }
}
#endif
