// The draw of a token (backend/sample.h), in five launches: what they share. T: dtype of the logits; LENGTH: of the length; STAGE: 0
// sample_penalise.cu, 1 to 3 sample_cut.cu, 4 sample_draw.cu. Sums are of integers, so their order does not matter.
// n: logits, ids, logits a block takes (a multiple of 256), blocks, all of a row; rows; bytes of scratch memory for each. A block has 256
// threads. Rows know nothing of each other.
#define THREADS 256
#define BUCKETS 2048
#define WHOLE 1099511627776ull  // the mass of the highest logit, 2^40

// What stages tell each other.
struct State {
  u32 highest;   // the bits of the highest logit
  u32 none;      // 1: there is nothing to draw
  u32 rank;      // what is known of the rank of the last one kept
  u32 ties;      // how many of that rank are kept
  u64 count;     // kept of lower ranks
  u64 mass;      // their mass
  u64 limit;     // top_p's
  u32 arrived[4];  // blocks that are done, by stage
};

// The row that this block draws for. The last dimension of the grid holds what does not fit in the second, and may pass the end.
__device__ inline i64 row_of() { return static_cast<i64>(blockIdx.z) * gridDim.y + blockIdx.y; }

// Scratch memory of this row, all parts aligned to 8 bytes.
struct Memory {
  State* state;
  u64* masses;  // of buckets, stage by stage
  u64* best;    // of each block: rank and id of its highest logit; 0: it has a NaN
  u64* above;   // of each block: mass of what is kept below the last rank
  u32* counts;  // of buckets, stage by stage
  u32* ties;    // of each block: logits of the last rank
  float* values;
};
__device__ inline Memory memory_of(const Params& p) {
  Memory m;
  char* at = static_cast<char*>(p.scratch) + row_of() * p.n[5];
  m.state = reinterpret_cast<State*>(at);
  m.masses = reinterpret_cast<u64*>(at + 64);
  m.best = m.masses + 3 * BUCKETS;
  m.above = m.best + p.n[3];
  m.counts = reinterpret_cast<u32*>(m.above + p.n[3]);
  m.ties = m.counts + 3 * BUCKETS;
  m.values = reinterpret_cast<float*>(m.ties + p.n[3]);
  return m;
}

struct Rules {
  float temperature, top_p, min_p, penalty;
  i64 top_k, context, first;
  u64 seed;
};
__device__ inline Rules rules_of(const Params& p) {
  const float* r = static_cast<const float*>(p.in[3]) + row_of() * 4;
  const i64* c = static_cast<const i64*>(p.in[4]) + row_of() * 4;
  Rules rules = {0.0f, r[1], r[2], r[3], c[0], c[1], c[2], static_cast<u64>(c[3])};
  if (r[0] > 0.0f) rules.temperature = r[0] < 3.402823466e38f ? r[0] : 3.402823466e38f;
  return rules;
}

__device__ inline u32 rank_of(float v) {
  const u32 bits = __float_as_uint(v + 0.0f);
  return (bits >> 31) != 0 ? bits : ~bits ^ 0x80000000u;
}
__device__ inline float value_of(u32 rank) {
  return __uint_as_float((rank >> 31) != 0 ? rank : ~(rank ^ 0x80000000u));
}
__device__ inline u64 mass_of(float v, float highest, double temperature) {
  if (v == highest) return WHOLE;
  const double whole = static_cast<double>(WHOLE);
  return static_cast<u64>(__double2ll_rn(exp((static_cast<double>(v) - static_cast<double>(highest)) / temperature) * whole));
}

__device__ inline void set_token(const Params& p, i32 token) { static_cast<i32*>(p.out[0])[row_of()] = token; }

struct Least {
  __device__ u64 operator()(u64 a, u64 b) const { return a < b ? a : b; }
};

// The sum of the threads before this one; `total` becomes that of all.
__device__ inline u64 sum_before(u64 v, u64* total) {
  __shared__ u64 part[THREADS / 32];
  const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  u64 up_to = v;
  for (u32 d = 1; d < 32; d *= 2) {
    const u64 other = __shfl_up_sync(0xffffffffu, up_to, d);
    if (lane >= d) up_to += other;
  }
  __syncthreads();
  if (lane == 31) part[warp] = up_to;
  __syncthreads();
  u64 before = up_to - v, all = 0;
  for (u32 w = 0; w < THREADS / 32; ++w) {
    if (w < warp) before += part[w];
    all += part[w];
  }
  *total = all;
  return before;
}

#if STAGE > 0
// Whether this block is the last one of the stage; then it sees what the others wrote.
__device__ inline bool is_last(const Params& p, State* state) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicAdd(&state->arrived[STAGE - 1], 1u) + 1u == static_cast<u32>(p.n[3]);
  __syncthreads();
  if (last) __threadfence();
  return last;
}
#endif
