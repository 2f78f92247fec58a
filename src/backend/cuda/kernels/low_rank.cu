// out = base + bias + scale * (t @ b). T: dtype of the result; B, BIAS, SCALE: of the operands numbered B_IN, BIAS_IN (-1: none), SCALE_IN;
// HAS_BASE. base (rows, n) and t (rows, rank) are f32 in scratch memory. n: rows, n, rank, offsets in bytes of base and t, strides of b's
// rank and column, strides of bias' row and column. A block of 256 threads does a tile of 64 by 64, a thread 4 by 4 of it.
#define TILE 64
#define STEP 16
#define PITCH (TILE + 4)

struct Tile {
  alignas(16) float t[STEP][PITCH];  // transposed: t[r][row]
  alignas(16) float b[STEP][PITCH];
};

__device__ inline void load_step(const Params& p, Tile& tile, const float* t, i64 row, i64 column, i64 rank) {
  const i64 rows = p.n[0], n = p.n[1], ranks = p.n[2], rank_stride = p.n[5], column_stride = p.n[6];
  const bool along_rank = rank_stride == 1 && column_stride != 1;
#pragma unroll
  for (int i = 0; i < TILE * STEP / 256; ++i) {
    const int e = static_cast<int>(threadIdx.x) + i * 256;
    const int r = e % STEP, at = e / STEP;
    tile.t[r][at] = row + at < rows && rank + r < ranks ? t[(row + at) * ranks + rank + r] : 0.0f;
    const int br = along_rank ? r : e / TILE, bc = along_rank ? at : e % TILE;
    const bool inside = rank + br < ranks && column + bc < n;
    tile.b[br][bc] = inside ? static_cast<float>(load<B>(p.in[B_IN], (rank + br) * rank_stride + (column + bc) * column_stride)) : 0.0f;
  }
}

__device__ inline void finish_row(const Params& p, i64 row, i64 column, float scale, const float (&sum)[4], bool packs) {
  const i64 n = p.n[1];
  float y[4];
#pragma unroll
  for (int c = 0; c < 4; ++c) y[c] = scale * sum[c];
#if BIAS_IN >= 0
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    if (column + c < n) y[c] += static_cast<float>(load<BIAS>(p.in[BIAS_IN], row * p.n[7] + (column + c) * p.n[8]));
  }
#endif
#if HAS_BASE
  const float* base = reinterpret_cast<const float*>(static_cast<const char*>(p.scratch) + p.n[3]) + row * n + column;
  if (packs) {
    const Pack<float, 4> four = *reinterpret_cast<const Pack<float, 4>*>(base);
#pragma unroll
    for (int c = 0; c < 4; ++c) y[c] += four.v[c];
  } else {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      if (column + c < n) y[c] += base[c];
    }
  }
#endif
  T* out = static_cast<T*>(p.out[0]) + row * n + column;
  if (packs) {
    Pack<T, 4> four;
#pragma unroll
    for (int c = 0; c < 4; ++c) four.v[c] = narrow<T>(y[c]);
    *reinterpret_cast<Pack<T, 4>*>(out) = four;
  } else {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      if (column + c < n) out[c] = narrow<T>(y[c]);
    }
  }
}

KERNEL {
  __shared__ Tile tile;
  const i64 rows = p.n[0], n = p.n[1], ranks = p.n[2];
  const i64 across = (n + TILE - 1) / TILE, tiles = (rows + TILE - 1) / TILE * across;
  const float* t = reinterpret_cast<const float*>(static_cast<const char*>(p.scratch) + p.n[4]);
  const float scale = static_cast<float>(load<SCALE>(p.in[SCALE_IN], 0));
  const int my_row = threadIdx.x / 16 * 4, my_column = threadIdx.x % 16 * 4;
  const bool aligned = n % 4 == 0 && reinterpret_cast<u64>(p.out[0]) % (4 * sizeof(T)) == 0 &&
                       (!HAS_BASE || (reinterpret_cast<u64>(p.scratch) + static_cast<u64>(p.n[3])) % 16 == 0);
  for (i64 k = blockIdx.x; k < tiles; k += gridDim.x) {
    const i64 row = k / across * TILE, column = k % across * TILE;
    float sum[4][4] = {};
    for (i64 rank = 0; rank < ranks; rank += STEP) {
      __syncthreads();
      load_step(p, tile, t, row, column, rank);
      __syncthreads();
#pragma unroll
      for (int r = 0; r < STEP; ++r) {
        const Pack<float, 4> a = *reinterpret_cast<const Pack<float, 4>*>(&tile.t[r][my_row]);
        const Pack<float, 4> b = *reinterpret_cast<const Pack<float, 4>*>(&tile.b[r][my_column]);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#pragma unroll
          for (int j = 0; j < 4; ++j) sum[i][j] = fmaf(a.v[i], b.v[j], sum[i][j]);
        }
      }
    }
    if (column + my_column >= n) continue;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (row + my_row + i < rows) finish_row(p, row + my_row + i, column + my_column, scale, sum[i], aligned);
    }
  }
}
