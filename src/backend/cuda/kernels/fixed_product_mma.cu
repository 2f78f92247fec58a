// Matrix products of a 16-bit dtype T on tensor cores, after mma.cu and batches.cu: every result is one chain of m16n8k16 products along k, from the first
// to the last, whatever the tile is. A warp does 16 MI rows and 8 NI columns, a block WM x WN warps, TK of k at once, STAGES of them held.
// A_ROWS: a is stored row by row (else column by column), B_ROWS the same of b; both only say how elements lie in shared memory.
// R: dtype of the result, bias and addend; BIAS_IN, ADDEND_IN: their numbers, or -1. n: as of matmul.cu.
constexpr int TM = 16 * MI * WM, TN = 8 * NI * WN, THREADS = 32 * WM * WN;
constexpr int A_INNER = A_ROWS ? TK : TM, A_OUTER = A_ROWS ? TM : TK, B_INNER = B_ROWS ? TN : TK, B_OUTER = B_ROWS ? TK : TN;
// The pitches are odd numbers of 16 bytes: eight rows lie in different banks for ldmatrix.
constexpr int A_PITCH = 2 * A_INNER + 16, B_PITCH = 2 * B_INNER + 16, A_BYTES = A_OUTER * A_PITCH, STAGE = A_BYTES + B_OUTER * B_PITCH;

__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most STAGES - 2 groups of this thread are under way.
__device__ inline void wait_for_oldest() { asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory"); }

// A matrix: `outer` stored rows of `inner` elements.
struct Stored {
  const T* data;
  i64 outer, inner, outer_step, inner_step;
  bool whole;  // eight neighbours can be read at once
  __device__ Stored(const void* from, i64 at, i64 count, i64 length, i64 step, i64 within)
      : data(static_cast<const T*>(from) + at), outer(count), inner(length), outer_step(step), inner_step(within) {
    whole = within == 1 && length % 8 == 0 && (count < 2 || step % 8 == 0) && reinterpret_cast<u64>(data) % 16 == 0;
  }
};

// Starts to bring OUTER rows of INNER elements from (row, column) on, zeros where there is nothing.
template <int OUTER, int INNER>
__device__ inline void fetch(u32 tile, const Stored& from, i64 row, i64 column) {
  constexpr int CHUNKS = INNER / 8, PITCH = 2 * INNER + 16;
  if (from.whole) {
#pragma unroll
    for (int k = threadIdx.x; k < OUTER * CHUNKS; k += THREADS) {
      const int r = k / CHUNKS, c = k % CHUNKS * 8;
      const bool there = row + r < from.outer && column + c < from.inner;
      copy_16(tile + r * PITCH + 2 * c, there ? from.data + (row + r) * from.outer_step + column + c : from.data, there);
    }
    return;
  }
#pragma unroll 1
  for (int k = threadIdx.x; k < OUTER * CHUNKS; k += THREADS) {
    const int r = k / CHUNKS, c = k % CHUNKS * 8;
    u32 pair[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const i64 j = column + c + 2 * i;
      const T* at = from.data + (row + r) * from.outer_step + j * from.inner_step;
      const u32 low = row + r < from.outer && j < from.inner ? at[0].bits : 0u;
      const u32 high = row + r < from.outer && j + 1 < from.inner ? at[from.inner_step].bits : 0u;
      pair[i] = high << 16 | low;
    }
    store_16(tile + r * PITCH + 2 * c, pair);
  }
}

// Writes two neighbours of a row, the second if `both`.
__device__ inline void finish(const Params& p, i64 at, i64 column, float first, float second, bool both, bool packs) {
#if BIAS_IN >= 0
  first += load<R>(p.in[BIAS_IN], column);
  if (both) second += load<R>(p.in[BIAS_IN], column + 1);
#endif
#if ADDEND_IN >= 0
  first += load<R>(p.in[ADDEND_IN], at);
  if (both) second += load<R>(p.in[ADDEND_IN], at + 1);
#endif
  if (packs) {
    Pack<R, 2> pack;
    pack.v[0] = narrow<R>(first);
    pack.v[1] = narrow<R>(second);
    *reinterpret_cast<Pack<R, 2>*>(static_cast<R*>(p.out[0]) + at) = pack;
  } else {
    store<R>(p.out[0], at, first);
    if (both) store<R>(p.out[0], at + 1, second);
  }
}

// acc += the products of a step; `a_tile`, `b_tile`: this lane's addresses.
__device__ inline void add_products(float (&acc)[MI][NI][4], u32 a_tile, u32 b_tile) {
#pragma unroll
  for (int at = 0; at < TK; at += 16) {
    u32 left[MI][4];
#pragma unroll
    for (int i = 0; i < MI; ++i) {
      if (A_ROWS) {
        load_matrices(left[i], a_tile + 16 * i * A_PITCH + 2 * at);
      } else {
        load_transposed(left[i], a_tile + at * A_PITCH + 32 * i);
      }
    }
#pragma unroll
    for (int j = 0; j < NI; j += 2) {
      u32 right[4];
      if (B_ROWS) {
        load_transposed(right, b_tile + at * B_PITCH + 16 * j);
      } else {
        load_matrices(right, b_tile + 8 * j * B_PITCH + 2 * at);
      }
#pragma unroll
      for (int i = 0; i < MI; ++i) {
        multiply_add(Tag<T>(), acc[i][j], left[i], right[0], right[1]);
        multiply_add(Tag<T>(), acc[i][j + 1], left[i], right[2], right[3]);
      }
    }
  }
}

// Writes the results of a warp, which begin at (row, column).
__device__ inline void write_tile(const Params& p, const float (&acc)[MI][NI][4], i64 batch, i64 row, i64 column, bool packs) {
  const i64 m = p.n[0], n = p.n[1];
#pragma unroll
  for (int i = 0; i < MI; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const i64 r = row + 16 * i + 8 * half + lane() / 4;
      if (r >= m) continue;
#pragma unroll
      for (int j = 0; j < NI; ++j) {
        const i64 c = column + 8 * j + lane() % 4 * 2;
        if (c < n) finish(p, (batch * m + r) * n + c, c, acc[i][j][2 * half], acc[i][j][2 * half + 1], c + 1 < n, packs);
      }
    }
  }
}

extern "C" __global__ void __launch_bounds__(THREADS) run(const __grid_constant__ Params p) {
  extern __shared__ uint4 shared[];
  const u32 tiles = shared_address(shared);
  const i64 m = p.n[0], n = p.n[1], k = p.n[2];
  const i64 down = (m + TM - 1) / TM, across = (n + TN - 1) / TN, steps = (k + TK - 1) / TK;
  const int warp = threadIdx.x / 32, warp_row = warp % WM * (16 * MI), warp_column = warp / WM * (8 * NI);
  // The two ways in which the lanes' addresses lie on a 16 x 16 piece: rows 0 .. 15 of its left half, then of its right half; or rows
  // 0 .. 7 of both halves, then rows 8 .. 15.
  const int tall_row = lane() % 16, tall_column = lane() / 16 * 8, wide_row = lane() % 8 + lane() / 16 * 8, wide_column = lane() / 8 % 2 * 8;
  const u32 a_lane = A_ROWS ? (warp_row + tall_row) * A_PITCH + 2 * tall_column : wide_row * A_PITCH + 2 * (warp_row + wide_column);
  const u32 b_lane = B_ROWS ? tall_row * B_PITCH + 2 * (warp_column + tall_column) : (warp_column + wide_row) * B_PITCH + 2 * wide_column;
  const bool packs = n % 2 == 0 && reinterpret_cast<u64>(p.out[0]) % (2 * sizeof(R)) == 0;
  for (i64 task = blockIdx.x; task < down * across * p.n[3]; task += gridDim.x) {
    const i64 batch = task / (down * across), row = task % down * TM, column = task / down % across * TN;
    const Batch at(p, batch);
    const Stored a(p.in[0], at.left, A_ROWS ? m : k, A_ROWS ? k : m, p.n[A_ROWS ? 5 : 6], p.n[A_ROWS ? 6 : 5]);
    const Stored b(p.in[1], at.right, B_ROWS ? k : n, B_ROWS ? n : k, p.n[B_ROWS ? 7 : 8], p.n[B_ROWS ? 8 : 7]);
    const auto fetch_step = [&](i64 step) {
      if (step < steps) {
        const u32 to = tiles + static_cast<u32>(step % STAGES) * STAGE;
        fetch<A_OUTER, A_INNER>(to, a, A_ROWS ? row : step * TK, A_ROWS ? step * TK : row);
        fetch<B_OUTER, B_INNER>(to + A_BYTES, b, B_ROWS ? step * TK : column, B_ROWS ? column : step * TK);
      }
      commit_copies();  // an empty group too: groups are counted
    };
    float acc[MI][NI][4];
#pragma unroll
    for (int i = 0; i < MI * NI * 4; ++i) acc[i / (NI * 4)][i / 4 % NI][i % 4] = 0;
    __syncthreads();
    for (int s = 0; s < STAGES - 1; ++s) fetch_step(s);
#pragma unroll 1
    for (i64 step = 0; step < steps; ++step) {
      wait_for_oldest();
      __syncthreads();
      fetch_step(step + STAGES - 1);
      const u32 a_tile = tiles + static_cast<u32>(step % STAGES) * STAGE + a_lane;
      const u32 b_tile = tiles + static_cast<u32>(step % STAGES) * STAGE + A_BYTES + b_lane;
      add_products(acc, a_tile, b_tile);
    }
    write_tile(p, acc, batch, row + warp_row, column + warp_column, packs);
  }
}
