// The same as low_rank.cu without a base, on tensor cores (after mma.cu): out = bias + scale * (t @ b), bound by writing out. B is bf16; t is
// f32 and goes in as the sum of two bf16 numbers, so that next to nothing of it is lost. n: as for low_rank.cu. A block of 8 warps does 128
// rows by 64 columns, a warp 16 rows of them. Products are m16n8k16: lane l holds of t rows l / 4 and l / 4 + 8 and of a result columns
// 2 (l % 4) and the next. The columns of b are dealt to the products so that a lane's eight results of four products are neighbours.
enum { ROWS = 128, COLUMNS = 64, STEP = 16, PITCH = STEP + 8 };

// What rounding left; of what is not finite nothing.
__device__ inline B remainder(float v, B lead) { return narrow<B>(isfinite(widen(lead)) ? v - widen(lead) : 0.0f); }

// Two neighbours of t as the pairs of their leading and of their remaining parts.
__device__ inline void split(const float* t, i64 rank, i64 ranks, bool inside, u32& lead, u32& rest) {
  float v[2];
  v[0] = inside && rank < ranks ? t[rank] : 0.0f;
  v[1] = inside && rank + 1 < ranks ? t[rank + 1] : 0.0f;
  const B l0 = narrow<B>(v[0]), l1 = narrow<B>(v[1]);
  lead = static_cast<u32>(l1.bits) << 16 | l0.bits;
  rest = static_cast<u32>(remainder(v[1], l1).bits) << 16 | remainder(v[0], l0).bits;
}

__device__ inline void write_eight(const Params& p, i64 row, i64 column, float scale, float (&y)[8], bool packs) {
  const i64 rows = p.n[0], n = p.n[1];
  if (row >= rows || column >= n) return;
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    y[k] *= scale;
#if BIAS_IN >= 0
    if (column + k < n) y[k] += static_cast<float>(load<BIAS>(p.in[BIAS_IN], row * p.n[7] + (column + k) * p.n[8]));
#endif
  }
  T* out = static_cast<T*>(p.out[0]) + row * n + column;
  if (packs) {
    Pack<T, 8> pack;
#pragma unroll
    for (int k = 0; k < 8; ++k) pack.v[k] = narrow<T>(y[k]);
    *reinterpret_cast<Pack<T, 8>*>(out) = pack;
    return;
  }
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    if (column + k < n) out[k] = narrow<T>(y[k]);
  }
}

KERNEL {
  __shared__ alignas(16) unsigned short b[COLUMNS][PITCH];
  const i64 rows = p.n[0], n = p.n[1], ranks = p.n[2], rank_stride = p.n[5], column_stride = p.n[6];
  const i64 across = (n + COLUMNS - 1) / COLUMNS, tiles = (rows + ROWS - 1) / ROWS * across;
  const float* t = reinterpret_cast<const float*>(static_cast<const char*>(p.scratch) + p.n[4]);
  const float scale = static_cast<float>(load<SCALE>(p.in[SCALE_IN], 0));
  const int group = lane() / 4, quad = lane() % 4;
  const bool packs = n % 8 == 0 && reinterpret_cast<u64>(p.out[0]) % (8 * sizeof(T)) == 0;
  const bool along_rank = rank_stride == 1 && column_stride != 1;
  for (i64 k = blockIdx.x; k < tiles; k += gridDim.x) {
    const i64 upper = k / across * ROWS + threadIdx.x / 32 * 16 + group, column = k % across * COLUMNS;
    float sum[2][4][4] = {};
    for (i64 rank = 0; rank < ranks; rank += STEP) {
      __syncthreads();
#pragma unroll
      for (int i = 0; i < COLUMNS * STEP / 256; ++i) {
        const int e = static_cast<int>(threadIdx.x) + i * 256;
        const int r = along_rank ? e % STEP : e / COLUMNS, c = along_rank ? e / STEP : e % COLUMNS;
        const bool inside = rank + r < ranks && column + c < n;
        b[c][r] = inside ? static_cast<const B*>(p.in[B_IN])[(rank + r) * rank_stride + (column + c) * column_stride].bits : 0;
      }
      __syncthreads();
      u32 lead[4], rest[4];
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const i64 row = upper + part % 2 * 8;
        split(t + row * ranks, rank + part / 2 * 8 + 2 * quad, ranks, row < rows, lead[part], rest[part]);
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const unsigned short* from = b[half * 32 + group / 2 * 8 + 2 * j + group % 2];
          const u32 b0 = *reinterpret_cast<const u32*>(from + 2 * quad), b1 = *reinterpret_cast<const u32*>(from + 8 + 2 * quad);
          multiply_add(Tag<B>(), sum[half][j], lead, b0, b1);
          multiply_add(Tag<B>(), sum[half][j], rest, b0, b1);
        }
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float y[8], z[8];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        y[2 * j] = sum[half][j][0];
        y[2 * j + 1] = sum[half][j][1];
        z[2 * j] = sum[half][j][2];
        z[2 * j + 1] = sum[half][j][3];
      }
      write_eight(p, upper, column + half * 32 + quad * 8, scale, y, packs);
      write_eight(p, upper + 8, column + half * 32 + quad * 8, scale, z, packs);
    }
  }
}
