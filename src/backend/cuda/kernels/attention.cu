// What the attention kernels share, no kernel itself: products of tiles of 64 rows through shared memory, and what a query sees.
// T: dtype of q, k, v, result, g; D, DV: sizes of keys and of values, rounded up to 16. MASKED: 0, 1 (bool), 2 (numbers of dtype M).
// CAUSAL, HAS_LEFT, HAS_RIGHT: windows, of which CAUSAL has the width 0 and the others lie in n; CAPPED, SINKS, FIRST_KEY: operands of
// attention that are given; LENGTH_BY_ROW: each batch entry has a length of its own. X_AT is the number of an operand; SCALE, CAP and SINK
// are dtypes. PAGED: keys and values lie in pages of PAGE tokens, a multiple of 64, each a block of a pool of N_POOL. sdpa.cc names the
// numbers of n: N_BATCHES to N_VALUE_SIZE; N_Q, N_K, N_V, N_RESULT, N_G: strides of batch (or block), head and token; N_MASK: four strides;
// N_LEFT and N_RIGHT.
// A block has 256 threads, 16 x 16: thread (y, x) holds rows 4 y .. 4 y + 3 of a left tile against rows x, x + 16, x + 32, x + 48 of a
// right one.
constexpr int TILE = 64;
constexpr int DOT_PITCH = 36;       // 32 columns at once; the pitches keep 16-byte reads free of bank conflicts
constexpr int WEIGHT_PITCH = 68;    // 64 columns
constexpr bool BEGINS = HAS_LEFT || FIRST_KEY;  // queries may not see the first keys
enum { TILE_THREADS = 256 };
// BLOCKS: of them an SM shall hold, which bounds the registers.
#define ATTENTION(BLOCKS) extern "C" __global__ void __launch_bounds__(TILE_THREADS, BLOCKS) run(const __grid_constant__ Params p)

struct Tiles {
  alignas(16) float left[TILE * DOT_PITCH];
  alignas(16) float right[TILE * WEIGHT_PITCH];
  alignas(16) float weights[TILE * WEIGHT_PITCH];
};

// At most 64 rows of an operand: tokens `token` to `end` of which those from `begin` on are there, the others are zeros.
struct Rows {
  const T* data;
  i64 step;
  int skipped, count, size;
  bool packs;  // four neighbours can be read at once
  __device__ Rows(const void* operand, const i64* strides, i64 batch, i64 head, i64 token, i64 end, i64 columns, i64 begin = 0)
      : data(static_cast<const T*>(operand) + batch * strides[0] + head * strides[1] + token * strides[2]),
        step(strides[2]),
        skipped(static_cast<int>(!BEGINS || begin < token ? 0 : smaller(begin - token, static_cast<i64>(TILE)))),
        count(static_cast<int>(end - token < 0 ? 0 : end - token < TILE ? end - token : TILE)),
        size(static_cast<int>(columns)),
        packs(columns % 4 == 0 && (count < 2 || step % 4 == 0) && reinterpret_cast<u64>(data) % (4 * sizeof(T)) == 0) {}
  __device__ bool has(int r) const { return (!BEGINS || r >= skipped) && r < count; }
};

#if PAGED
// The same of keys or values in the block that holds keys `token` to `token` + 63; -1: no row is there.
__device__ inline Rows rows_of_block(const void* operand, const i64* strides, i64 block, i64 head, i64 token, i64 end, i64 columns,
                                     i64 begin) {
  const i64 place = static_cast<u32>(token) % PAGE, before = token - place;
  return Rows(operand, strides, block < 0 ? 0 : block, head, place, block < 0 ? 0 : end - before, columns, begin - before);
}
// A kernel's keys or values of the batch entry that `seen` has entered.
#define KEY_ROWS(OPERAND, STRIDES, HEAD, TOKEN, END, COLUMNS, BEGIN) \
  rows_of_block(OPERAND, STRIDES, seen.block(p, TOKEN), HEAD, TOKEN, END, COLUMNS, BEGIN)
#else
#define KEY_ROWS(OPERAND, STRIDES, HEAD, TOKEN, END, COLUMNS, BEGIN) Rows(OPERAND, STRIDES, batch, HEAD, TOKEN, END, COLUMNS, BEGIN)
#endif

// Columns [first, first + WIDTH) of 64 rows as floats, zeros where there is nothing.
template <int WIDTH, int PITCH>
__device__ inline void fetch(float* tile, const Rows& rows, int first) {
#pragma unroll 4
  for (int k = threadIdx.x; k < TILE * (WIDTH / 4); k += TILE_THREADS) {
    const int r = k / (WIDTH / 4), c = k % (WIDTH / 4) * 4, column = first + c;
    float4 v = make_float4(0, 0, 0, 0);
    if (rows.has(r) && column < rows.size) {
      const T* from = rows.data + r * rows.step + column;
      if (rows.packs) {
        const Pack<T, 4> pack = *reinterpret_cast<const Pack<T, 4>*>(from);
        v = make_float4(widen(pack.v[0]), widen(pack.v[1]), widen(pack.v[2]), widen(pack.v[3]));
      } else {
        v.x = widen(from[0]);
        if (column + 1 < rows.size) v.y = widen(from[1]);
        if (column + 2 < rows.size) v.z = widen(from[2]);
        if (column + 3 < rows.size) v.w = widen(from[3]);
      }
    }
    *reinterpret_cast<float4*>(tile + r * PITCH + c) = v;
  }
}

__device__ inline float4 four(const float* from) { return *reinterpret_cast<const float4*>(from); }
__device__ inline float dot_on(float4 a, float4 b, float sum) {
  return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

// acc[i][j] = the product of row 4 y + i of a and row x + 16 j of b. Begins with a barrier.
template <int SIZE>
__device__ inline void dots(float (&acc)[4][4], Tiles& tiles, const Rows& a, const Rows& b) {
  constexpr int WIDTH = SIZE < 32 ? SIZE : 32;
  const int y = threadIdx.x / 16, x = threadIdx.x % 16;
#pragma unroll
  for (int k = 0; k < 16; ++k) acc[k / 4][k % 4] = 0;
#pragma unroll 1
  for (int first = 0; first < SIZE; first += WIDTH) {
    __syncthreads();
    fetch<WIDTH, DOT_PITCH>(tiles.left, a, first);
    fetch<WIDTH, DOT_PITCH>(tiles.right, b, first);
    __syncthreads();
#pragma unroll 4
    for (int c = 0; c < WIDTH; c += 4) {
      float4 u[4], v[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        u[i] = four(tiles.left + (4 * y + i) * DOT_PITCH + c);
        v[i] = four(tiles.right + (x + 16 * i) * DOT_PITCH + c);
      }
#pragma unroll
      for (int k = 0; k < 16; ++k) acc[k / 4][k % 4] = dot_on(u[k / 4], v[k % 4], acc[k / 4][k % 4]);
    }
  }
}

// The columns of a product that a thread holds: PER neighbours in each piece of WIDTH columns.
template <int SIZE>
struct Columns {
  static constexpr int WIDTH = SIZE <= 16 ? 16 : SIZE <= 32 || (SIZE % 64 != 0 && SIZE % 64 <= 32) ? 32 : 64;
  static constexpr int PER = WIDTH / 16, PIECES = (SIZE + WIDTH - 1) / WIDTH, COUNT = PIECES * PER;
  __device__ static int at(int k) { return k / PER * WIDTH + static_cast<int>(threadIdx.x % 16) * PER + k % PER; }
};

// sum[i][c] += the product of row 4 y + i of tiles.weights (64 x 64) and column Columns::at(c) of b. Begins with a barrier.
template <int SIZE>
__device__ inline void add_product(float (&sum)[4][Columns<SIZE>::COUNT], Tiles& tiles, const Rows& b) {
  using Held = Columns<SIZE>;
  constexpr int WIDTH = Held::WIDTH, PER = Held::PER, PITCH = WIDTH + 4;
  const int y = threadIdx.x / 16, x = threadIdx.x % 16;
#pragma unroll
  for (int piece = 0; piece < Held::PIECES; ++piece) {
    __syncthreads();
    fetch<WIDTH, PITCH>(tiles.right, b, piece * WIDTH);
    __syncthreads();
#pragma unroll 2
    for (int k = 0; k < TILE; k += 4) {
      float4 w[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) w[i] = four(tiles.weights + (4 * y + i) * WEIGHT_PITCH + k);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const Pack<float, PER> v = *reinterpret_cast<const Pack<float, PER>*>(tiles.right + (k + j) * PITCH + x * PER);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float weight = j == 0 ? w[i].x : j == 1 ? w[i].y : j == 2 ? w[i].z : w[i].w;
#pragma unroll
          for (int c = 0; c < PER; ++c) sum[i][piece * PER + c] = fmaf(weight, v.v[c], sum[i][piece * PER + c]);
        }
      }
    }
  }
}

// Puts a thread's part of a 64 x 64 tile where add_product reads it.
__device__ inline void put_weights(Tiles& tiles, const float (&v)[4][4]) {
  const int y = threadIdx.x / 16, x = threadIdx.x % 16;
#pragma unroll
  for (int k = 0; k < 16; ++k) tiles.weights[(4 * y + k / 4) * WEIGHT_PITCH + x + 16 * (k % 4)] = v[k / 4][k % 4];
}

// Writes rows [0, count) of the tile of sums to rows of `size` elements.
template <int SIZE>
__device__ inline void store_rows(void* out, i64 first_row, i64 count, i64 size, const float (&sum)[4][Columns<SIZE>::COUNT]) {
  if (!out) return;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int row = 4 * static_cast<int>(threadIdx.x / 16) + i;
    if (row >= count) continue;
#pragma unroll
    for (int c = 0; c < Columns<SIZE>::COUNT; ++c) {
      const int column = Columns<SIZE>::at(c);
      if (column < size) store<T>(out, (first_row + row) * size + column, sum[i][c]);
    }
  }
}

// Numbers [begin, end).
struct Span {
  i64 begin, end;
  __device__ bool has(i64 j) const { return (!BEGINS || j >= begin) && j < end; }
};

// What the queries of a batch entry see, and what becomes of their scores.
struct Seen {
  i64 queries, length = 0, left = 0, right = 0;
  const i32* first_keys = nullptr;
#if PAGED
  const i32* blocks = nullptr;
#endif
  float scale, cap = 0;
  __device__ explicit Seen(const Params& p) : queries(p.n[N_QUERIES]), scale(static_cast<float>(load<SCALE>(p.in[SCALE_AT], 0))) {
#if CAPPED
    cap = static_cast<float>(load<CAP>(p.in[CAP_AT], 0));
#endif
#if HAS_LEFT
    left = p.n[N_LEFT];
#endif
#if HAS_RIGHT
    right = p.n[N_RIGHT];
#endif
    if (!LENGTH_BY_ROW) read_length(p, 0);
  }
  // What follows is asked about this entry.
  __device__ void enter(const Params& p, i64 batch) {
    if (LENGTH_BY_ROW) read_length(p, batch);
#if FIRST_KEY
    first_keys = static_cast<const i32*>(p.in[FIRST_KEY_AT]) + batch * queries;
#endif
#if PAGED
    blocks = static_cast<const i32*>(p.in[BLOCKS_AT]) + batch * (p.n[N_KEYS] / PAGE);
#endif
  }
  __device__ void read_length(const Params& p, i64 row) {
    length = load<i32>(p.in[LENGTH_AT], row);
    if (length >= 0 && length <= p.n[N_KEYS]) return;
    if (threadIdx.x == 0) fail(p, length);
    length = 0;
  }
#if PAGED
  // What holds key j of the batch entry; -1: no block of the pool.
  __device__ i64 block(const Params& p, i64 j) const {
    const i64 number = blocks[static_cast<u32>(j) / PAGE];
    if (number >= 0 && number < p.n[N_POOL]) return number;
    fail(p, number);
    return -1;
  }
#endif
  // Query t sees keys before this one ...
  __device__ i64 limit(i64 t) const {
    if (t >= queries) return 0;
    return CAUSAL || HAS_RIGHT ? larger(0ll, smaller(length, length - queries + t + right + 1)) : length;
  }
  // ... from this one on.
  __device__ i64 begin(i64 t) const {
    i64 first = HAS_LEFT ? larger(0ll, length - queries + t - left) : 0;
#if FIRST_KEY
    if (t < queries) first = larger(first, static_cast<i64>(first_keys[t]));
#endif
    return first;
  }
  __device__ Span keys_of(i64 t) const { return {begin(t), limit(t)}; }
  // The lowest and the highest first key of queries [first, first + COUNT), of which one is there at least. A warp asks at once.
  struct Begins {
    i64 least, most;
  };
  template <int COUNT = TILE>
  __device__ Begins begins(i64 first) const {
    const i64 end = smaller(first + COUNT, queries);
#if FIRST_KEY
    int least = 0x7fffffff, most = 0;
    for (i64 t = first + threadIdx.x % 32; t < end; t += 32) {
      const int at = static_cast<int>(begin(t));
      least = at < least ? at : least;
      most = at > most ? at : most;
    }
    return {__reduce_min_sync(0xffffffffu, least), __reduce_max_sync(0xffffffffu, most)};
#else
    return {begin(first), begin(end - 1)};
#endif
  }
  // Queries that the windows let see one of 64 keys from `first` on, the first one down to a multiple of COUNT.
  template <int COUNT = TILE>
  __device__ Span queries_of(i64 first) const {
    if (first >= length) return {queries, queries};
    const i64 from = CAUSAL || HAS_RIGHT ? larger(0ll, first - length + queries - right) / COUNT * COUNT : 0;
    return {from, HAS_LEFT ? smaller(queries, smaller(first + TILE, length) - length + queries + left) : queries};
  }
  // The score of query t of a head and key j; -infinity where it does not see it.
  __device__ float score(const Params& p, i64 batch, i64 head, i64 t, i64 j, const Span& keys, float dot) const {
    if (!keys.has(j)) return -infinity();
#if MASKED
    const i64* strides = p.n + N_MASK;
    const i64 at = batch * strides[0] + head * strides[1] + t * strides[2] + j * strides[3];
#endif
#if MASKED == 1
    if (!load<bool>(p.in[MASK_AT], at)) return -infinity();
#elif MASKED == 2
    const float added = static_cast<float>(load<M>(p.in[MASK_AT], at));
    return CAPPED ? cap * tanhf(dot * scale / cap) + added : fmaf(dot, scale, added);
#endif
    return CAPPED ? cap * tanhf(dot * scale / cap) : dot * scale;
  }
  // How a score changes with its product.
  __device__ float slope(float dot) const {
    const float part = CAPPED ? tanhf(dot * scale / cap) : 0.0f;
    return CAPPED ? scale * fmaf(-part, part, 1.0f) : scale;
  }
};

// With what the largest score of a row of a head begins, which then has the weight 1.
__device__ inline float sink_of(const Params& p, i64 head) {
#if SINKS
  return load<SINK>(p.in[SINKS_AT], head);
#else
  return -infinity();
#endif
}

// Over the 16 threads that hold a row.
template <class F>
__device__ inline float reduce_16(float v, F f) {
#pragma unroll
  for (int d = 8; d > 0; d /= 2) v = f(v, __shfl_xor_sync(0xffffffffu, v, d));
  return v;
}

// Takes a row's next 64 scores, of which a thread holds 4, into the row's largest one so far and into the sum of exponentials and the
// result, which are relative to that one; leaves exponentials in place of the scores. `best`: the largest of `top` and the thread's scores.
template <int COUNT>
__device__ inline void take_scores(float (&s)[4], float best, float& top, float& sum, float (&result)[COUNT]) {
  best = reduce_16(best, Larger());
  const float base = best == -infinity() ? 0.0f : best, shrink = expf(top - base);
  top = best;
  sum *= shrink;
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    s[j] = expf(s[j] - base);
    sum += s[j];
  }
#pragma unroll
  for (int c = 0; c < COUNT; ++c) result[c] *= shrink;
}
