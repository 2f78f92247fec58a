// The same as low_rank.cu without a base, on tensor cores (after mma.cu): out = bias + scale * (t @ b), bound by writing out. B is bf16; t is
// f32 and goes in as the sum of two bf16 numbers, so that next to nothing of it is lost. n: as for low_rank.cu, the rank at most 16 STEPS.
// A block of 8 warps does 128 rows by 256 columns, a warp 16 rows of them. Lane l holds of t rows l / 4 and l / 4 + 8. The columns of b are
// dealt to the products so that a lane's eight results of four products are neighbours.
enum { ROWS = 128, COLUMNS = 256, RANKS = 16 * STEPS, PITCH = RANKS + 8, THREADS = 256 };

// What rounding left; of what is not finite nothing.
__device__ inline B remainder(float v, B lead) { return narrow<B>(isfinite(widen(lead)) ? v - widen(lead) : 0.0f); }

// Two neighbours of t as the pairs of their leading and of their remaining parts.
__device__ inline void split(const float* t, int rank, int ranks, bool inside, u32& lead, u32& rest) {
  float v[2];
  v[0] = inside && rank < ranks ? t[rank] : 0.0f;
  v[1] = inside && rank + 1 < ranks ? t[rank + 1] : 0.0f;
  const B l0 = narrow<B>(v[0]), l1 = narrow<B>(v[1]);
  lead = static_cast<u32>(l1.bits) << 16 | l0.bits;
  rest = static_cast<u32>(remainder(v[1], l1).bits) << 16 | remainder(v[0], l0).bits;
}

// Brings columns [column, column + COLUMNS) of b, zeros where there is nothing.
__device__ inline void fetch(const Params& p, unsigned short (&tile)[COLUMNS][PITCH], i64 column) {
  const i64 n = p.n[1], ranks = p.n[2], rank_stride = p.n[5], column_stride = p.n[6];
  const B* b = static_cast<const B*>(p.in[B_IN]);
  const bool aligned = reinterpret_cast<u64>(b) % 16 == 0;
  if (aligned && rank_stride == 1 && column_stride % 8 == 0 && ranks % 8 == 0) {
#pragma unroll
    for (int e = threadIdx.x; e < COLUMNS * RANKS / 8; e += THREADS) {
      const int r = e % (RANKS / 8) * 8, c = e / (RANKS / 8);
      Pack<B, 8> eight = {};
      if (r < ranks && column + c < n) eight = *reinterpret_cast<const Pack<B, 8>*>(b + r + (column + c) * column_stride);
      *reinterpret_cast<Pack<B, 8>*>(&tile[c][r]) = eight;
    }
    return;
  }
  if (aligned && column_stride == 1 && rank_stride % 8 == 0 && n % 8 == 0) {
#pragma unroll
    for (int e = threadIdx.x; e < COLUMNS * RANKS / 8; e += THREADS) {
      const int r = e / (COLUMNS / 8), c = e % (COLUMNS / 8) * 8;
      Pack<B, 8> eight = {};
      if (r < ranks && column + c < n) eight = *reinterpret_cast<const Pack<B, 8>*>(b + r * rank_stride + column + c);
#pragma unroll
      for (int k = 0; k < 8; ++k) tile[c + k][r] = eight.v[k].bits;
    }
    return;
  }
  for (int e = threadIdx.x; e < COLUMNS * RANKS; e += THREADS) {
    const int r = e / COLUMNS, c = e % COLUMNS;
    tile[c][r] = r < ranks && column + c < n ? b[r * rank_stride + (column + c) * column_stride].bits : 0;
  }
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
    // In assembly: the compiler would store some of them one by one.
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(out), "r"(pack_pair(Tag<T>(), y[0], y[1])),
                 "r"(pack_pair(Tag<T>(), y[2], y[3])), "r"(pack_pair(Tag<T>(), y[4], y[5])), "r"(pack_pair(Tag<T>(), y[6], y[7]))
                 : "memory");
    return;
  }
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    if (column + k < n) out[k] = narrow<T>(y[k]);
  }
}

KERNEL {
  __shared__ alignas(16) unsigned short b[COLUMNS][PITCH];
  const i64 rows = p.n[0], n = p.n[1];
  const int ranks = static_cast<int>(p.n[2]), group = lane() / 4, quad = lane() % 4;
  const u32 across = static_cast<u32>((n + COLUMNS - 1) / COLUMNS);
  const i64 upper = static_cast<i64>(blockIdx.x / across) * ROWS + threadIdx.x / 32 * 16 + group;
  const i64 column = static_cast<i64>(blockIdx.x % across) * COLUMNS;
  const float* t = reinterpret_cast<const float*>(static_cast<const char*>(p.scratch) + p.n[4]);
  const float scale = static_cast<float>(load<SCALE>(p.in[SCALE_IN], 0));
  const bool packs = n % 8 == 0 && reinterpret_cast<u64>(p.out[0]) % (8 * sizeof(T)) == 0;
  fetch(p, b, column);
  u32 lead[STEPS][4], rest[STEPS][4];
#pragma unroll
  for (int step = 0; step < STEPS; ++step) {
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      const i64 row = upper + part % 2 * 8;
      split(t + row * ranks, step * 16 + part / 2 * 8 + 2 * quad, ranks, row < rows, lead[step][part], rest[step][part]);
    }
  }
  __syncthreads();
#pragma unroll 2
  for (int first = 0; first < COLUMNS && column + first < n; first += 32) {
    float sum[4][4] = {};
#pragma unroll
    for (int step = 0; step < STEPS; ++step) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const unsigned short* from = b[first + group / 2 * 8 + 2 * j + group % 2] + step * 16 + 2 * quad;
        const u32 b0 = *reinterpret_cast<const u32*>(from), b1 = *reinterpret_cast<const u32*>(from + 8);
        multiply_add(Tag<B>(), sum[j], lead[step], b0, b1);
        multiply_add(Tag<B>(), sum[j], rest[step], b0, b1);
      }
    }
    float y[8], z[8];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      y[2 * j] = sum[j][0];
      y[2 * j + 1] = sum[j][1];
      z[2 * j] = sum[j][2];
      z[2 * j + 1] = sum[j][3];
    }
    write_eight(p, upper, column + first + quad * 8, scale, y, packs);
    write_eight(p, upper + 8, column + first + quad * 8, scale, z, packs);
  }
}
