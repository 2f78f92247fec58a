// What the attention kernels on tensor cores share, after attention.cu and mma.cu: T is bf16 or f16, D and DV are at most 256, MASKED is 0.
// WIDE: whole tiles of all operands do not fit in the shared memory of a block. A block has 4 warps; warp w holds rows 16 w .. 16 w + 15 of
// a left tile of 64 rows.
enum { MMA_THREADS = 128 };
#define ATTENTION_MMA(BLOCKS) extern "C" __global__ void __launch_bounds__(MMA_THREADS, BLOCKS) run(const __grid_constant__ Params p)

constexpr float LOG2_E = 1.4426950408889634f;

// A tile of 64 rows in shared memory. The pitch is an odd number of 16 bytes: eight rows lie in different banks for ldmatrix.
template <int SIZE>
struct HalfTile {
  static constexpr int PITCH = 2 * SIZE + 16, BYTES = TILE * PITCH;
};

// Starts to bring COUNT rows into a tile of SIZE columns, zeros where there is nothing. There after wait_copies and a barrier.
template <int SIZE, int COUNT = TILE>
__device__ inline void fetch_half(u32 tile, const Rows& rows) {
  constexpr int CHUNKS = SIZE / 8;
  const bool whole = rows.size % 8 == 0 && (rows.count < 2 || rows.step % 8 == 0) && reinterpret_cast<u64>(rows.data) % 16 == 0;
  if (whole) {
    constexpr int AT_ONCE = MMA_THREADS / CHUNKS;  // rows
    const int r = static_cast<int>(threadIdx.x) / CHUNKS, c = static_cast<int>(threadIdx.x) % CHUNKS * 8;
    if (AT_ONCE * CHUNKS < MMA_THREADS && r >= AT_ONCE) return;
    const T* from = rows.data + r * rows.step + c;
    const i64 jump = AT_ONCE * rows.step;
    const int count = c < rows.size ? rows.count : 0;
#pragma unroll
    for (int n = 0; n < COUNT; n += AT_ONCE) {
      if (n + AT_ONCE <= COUNT || n + r < COUNT) {
        copy_16(tile + (n + r) * HalfTile<SIZE>::PITCH + 2 * c, from, (!BEGINS || n + r >= rows.skipped) && n + r < count);
      }
      from += jump;
    }
    return;
  }
#pragma unroll 1
  for (int k = threadIdx.x; k < COUNT * CHUNKS; k += MMA_THREADS) {
    const int r = k / CHUNKS, c = k % CHUNKS * 8;
    u32 pair[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const T* from = rows.data + r * rows.step + c + 2 * i;
      const u32 low = rows.has(r) && c + 2 * i < rows.size ? from[0].bits : 0u;
      const u32 high = rows.has(r) && c + 2 * i + 1 < rows.size ? from[1].bits : 0u;
      pair[i] = high << 16 | low;
    }
    store_16(tile + r * HalfTile<SIZE>::PITCH + 2 * c, pair);
  }
}

// Where a lane's address of a 16 x 16 piece lies: as a left operand, or transposed as a right one (matrices: upper left, lower left,
// upper right, lower right) ...
template <int SIZE>
__device__ inline u32 left_offset() { return lane() % 16 * HalfTile<SIZE>::PITCH + lane() / 16 * 16; }
// ... and as a right operand whose columns are the rows of the tile (upper left, upper right, lower left, lower right).
template <int SIZE>
__device__ inline u32 right_offset() { return (lane() % 8 + lane() / 16 * 8) * HalfTile<SIZE>::PITCH + lane() / 8 % 2 * 16; }

__device__ inline float exp2_fast(float v) {
  asm("ex2.approx.ftz.f32 %0, %0;" : "+f"(v));
  return v;
}

// tanh of v / (2 log2 e): no more than a rounding of 1 away from it.
__device__ inline float tanh_fast(float v) {
  float part = exp2_fast(v) + 1.0f;
  asm("rcp.approx.ftz.f32 %0, %0;" : "+f"(part));
  return fmaf(-2.0f, part, 1.0f);
}

// A score in units of log 2 is `scale` times a product, or with a cap `scale` times what `bend` makes of it.
struct Scores {
  float scale, inner;
  __device__ explicit Scores(const Seen& seen)
      : scale((CAPPED ? seen.cap : seen.scale) * LOG2_E), inner(CAPPED ? 2 * LOG2_E * seen.scale / seen.cap : 0.0f) {}
  template <int COUNT>
  __device__ void bend(float (&dots)[COUNT][4]) const {
#pragma unroll
    for (int k = 0; CAPPED && k < 4 * COUNT; ++k) dots[k / 4][k % 4] = tanh_fast(dots[k / 4][k % 4] * inner);
  }
};

template <int COUNT>
__device__ inline void clear(float (&acc)[COUNT][4]) {
#pragma unroll
  for (int k = 0; k < 4 * COUNT; ++k) acc[k / 4][k % 4] = 0;
}

// acc += a piece of 16 rows and 16 columns times the same columns of 8 COUNT rows of a tile. `right`: address with right_offset.
template <int SIZE, int COUNT>
__device__ inline void add_dots(float (&acc)[COUNT][4], const u32 (&a)[4], u32 right) {
#pragma unroll
  for (int n = 0; n < COUNT / 2; ++n) {
    u32 b[4];
    load_matrices(b, right + n * 16 * HalfTile<SIZE>::PITCH);
    multiply_add(Tag<T>(), acc[2 * n], a, b[0], b[1]);
    multiply_add(Tag<T>(), acc[2 * n + 1], a, b[2], b[3]);
  }
}

// acc = 16 rows of a tile times 8 COUNT rows of another, all columns. Addresses with left_offset and right_offset.
template <int SIZE, int COUNT>
__device__ inline void dots_of(float (&acc)[COUNT][4], u32 left, u32 right) {
  clear(acc);
#pragma unroll
  for (int k = 0; k < SIZE / 16; ++k) {
    u32 a[4];
    load_matrices(a, left + 32 * k);
    add_dots<SIZE>(acc, a, right + 32 * k);
  }
}

// sum += w, rounded to T, times 8 COUNT rows of a tile: a result of m16n8k16 lies as a left operand wants it. Address with left_offset.
template <int SIZE, int COUNT>
__device__ inline void add_weighted(float (&sum)[SIZE / 8][4], const float (&w)[COUNT][4], u32 rows) {
#pragma unroll
  for (int k = 0; k < COUNT / 2; ++k) {
    const u32 a[4] = {pack_pair(Tag<T>(), w[2 * k][0], w[2 * k][1]), pack_pair(Tag<T>(), w[2 * k][2], w[2 * k][3]),
                      pack_pair(Tag<T>(), w[2 * k + 1][0], w[2 * k + 1][1]), pack_pair(Tag<T>(), w[2 * k + 1][2], w[2 * k + 1][3])};
#pragma unroll
    for (int n = 0; n < SIZE / 16; ++n) {
      u32 b[4];
      load_transposed(b, rows + k * 16 * HalfTile<SIZE>::PITCH + 32 * n);
      multiply_add(Tag<T>(), sum[2 * n], a, b[0], b[1]);
      multiply_add(Tag<T>(), sum[2 * n + 1], a, b[2], b[3]);
    }
  }
}

// The rows of the left tile that a thread holds: half 0 or 1.
__device__ inline int held_row(int half) { return static_cast<int>(threadIdx.x / 32) * 16 + lane() / 4 + 8 * half; }
// The column of number i of piece n.
__device__ inline int held_column(int n, int i) { return 8 * n + lane() % 4 * 2 + i % 2; }

// The byte of a tile at which the rows of this thread's warp begin.
template <int SIZE>
__device__ inline u32 warp_offset() { return threadIdx.x / 32 * 16 * HalfTile<SIZE>::PITCH; }

// Over the 4 lanes that hold a row.
template <class F>
__device__ inline float reduce_4(float v, F f) {
  v = f(v, __shfl_xor_sync(0xffffffffu, v, 2));
  return f(v, __shfl_xor_sync(0xffffffffu, v, 1));
}

// Puts `value` in place of what the rows of this thread, of queries from `first` on, have of keys from `key` on that they do not see.
template <int COUNT>
__device__ inline void hide(float (&s)[COUNT][4], const Seen& seen, i64 first, i64 key, float value) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const Span keys = seen.keys_of(first + held_row(half));
    const int begin = static_cast<int>(smaller(keys.begin - key, static_cast<i64>(TILE)));
    const int end = static_cast<int>(smaller(keys.end - key, static_cast<i64>(TILE)));
#pragma unroll
    for (int n = 0; n < COUNT; ++n) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int column = held_column(n, e);
        if (column >= end || (BEGINS && column < begin)) s[n][2 * half + e] = value;
      }
    }
  }
}

// Puts 0 in place of what the rows of this thread, of keys from `first` on, have of queries from `query` on that do not see them.
template <int COUNT>
__device__ inline void hide_queries(float (&w)[COUNT][4], const Seen& seen, i64 query, i64 first) {
#pragma unroll
  for (int n = 0; n < COUNT; ++n) {
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const Span keys = seen.keys_of(query + held_column(n, e));
      const int begin = static_cast<int>(smaller(keys.begin - first, static_cast<i64>(TILE)));
      const int end = static_cast<int>(smaller(keys.end - first, static_cast<i64>(TILE)));
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        if (held_row(half) >= end || (BEGINS && held_row(half) < begin)) w[n][2 * half + e] = 0;
      }
    }
  }
}

// Numbers `column` and the next one of those that lie STEP apart; column is even.
template <int STEP>
__device__ inline float2 pair_of(const float* from, int column) {
  if (STEP == 1) return *reinterpret_cast<const float2*>(from + column);
  return make_float2(from[column * STEP], from[(column + 1) * STEP]);
}

// Takes scores into the largest of each row so far and into the sums of exponentials and the result, which are relative to that one; leaves
// exponentials in place of the scores.
template <int COUNT, int SIZE>
__device__ inline void take_scores(float (&s)[COUNT][4], float (&top)[2], float (&sum)[2], float (&result)[SIZE][4]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float best = top[half];
    // A NaN is passed over here; its weight makes the sum NaN.
#pragma unroll
    for (int n = 0; n < COUNT; ++n) best = fmaxf(best, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
    best = fmaxf(best, __shfl_xor_sync(0xffffffffu, best, 2));
    best = fmaxf(best, __shfl_xor_sync(0xffffffffu, best, 1));
    const float base = best == -infinity() ? 0.0f : best, shrink = exp2_fast(top[half] - base);
    top[half] = best;
    sum[half] *= shrink;
#pragma unroll
    for (int n = 0; n < COUNT; ++n) {
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; ++i) {
        s[n][i] = exp2_fast(s[n][i] - base);
        sum[half] += s[n][i];
      }
    }
#pragma unroll
    for (int n = 0; n < SIZE; ++n) {
      result[n][2 * half] *= shrink;
      result[n][2 * half + 1] *= shrink;
    }
  }
}

// Writes factor[half] * sum to rows [0, count) of `size` elements.
template <int SIZE>
__device__ inline void store_halves(void* out, i64 first_row, i64 count, i64 size, const float (&sum)[SIZE / 8][4],
                                    const float (&factor)[2]) {
  if (!out) return;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    if (held_row(half) >= count) continue;
    T* to = static_cast<T*>(out) + (first_row + held_row(half)) * size;
#pragma unroll
    for (int n = 0; n < SIZE / 8; ++n) {
      const int column = held_column(n, 0);
      const float low = sum[n][2 * half] * factor[half], high = sum[n][2 * half + 1] * factor[half];
      if (size % 2 == 0) {
        if (column < size) *reinterpret_cast<u32*>(to + column) = pack_pair(Tag<T>(), low, high);
      } else {
        if (column < size) to[column] = narrow<T>(low);
        if (column + 1 < size) to[column + 1] = narrow<T>(high);
      }
    }
  }
}
