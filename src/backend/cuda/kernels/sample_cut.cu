// Launches 1 to 3 of sample find where top_k and top_p cut the order of the ranks: its first 11 bits, the next 11, the last 10. Without
// a cut they end at once.
#define BITS (STAGE == 3 ? 10 : 11)
#define SHIFT (STAGE == 1 ? 21 : STAGE == 2 ? 10 : 0)

// Every block of stage 1 looks for itself. False: there is nothing more to do.
__device__ inline bool start(const Params& p, const Memory& m, const Rules& rules, bool cuts, float* highest) {
  u64 best = ~0ull;
  for (i64 k = threadIdx.x; k < p.n[3]; k += THREADS) best = Least()(best, m.best[k]);
  best = block_reduce(best, Least(), ~0ull);
  const bool draws = best != 0 && rules.temperature > 0.0f;
  *highest = value_of(static_cast<u32>(best >> 32));
  if (first_index() == 0) {
    m.state->highest = __float_as_uint(*highest);
    m.state->none = draws ? 0u : 1u;
    m.state->rank = ~0u;
    m.state->ties = static_cast<u32>(p.n[0]);
    if (!draws) set_token(p, best == 0 ? -1 : static_cast<i32>(static_cast<u32>(best)));
  }
  return draws && cuts;
}

__device__ inline void count_block(const Params& p, const Memory& m, float highest, bool by_mass, u64* masses, u32* counts) {
  for (u32 k = threadIdx.x; k < BUCKETS; k += THREADS) {
    masses[k] = 0;
    counts[k] = 0;
  }
  __syncthreads();
  const i64 begin = blockIdx.x * p.n[2], end = smaller(begin + p.n[2], p.n[0]);
#if STAGE > 1
  const u32 known = m.state->rank;
#endif
  for (i64 i = begin + threadIdx.x; i < end; i += THREADS) {
    const float v = m.values[i];
    const u32 rank = rank_of(v);
#if STAGE > 1
    if (rank >> (SHIFT + BITS) != known) continue;
#endif
    const u32 k = rank >> SHIFT & ((1u << BITS) - 1u);
    atomicAdd(&counts[k], 1u);
    if (by_mass) atomicAdd(&masses[k], mass_of(v, highest, 1.0));
  }
  __syncthreads();
  for (u32 k = threadIdx.x; k < BUCKETS; k += THREADS) {
    if (counts[k] == 0) continue;
    atomicAdd(&m.counts[(STAGE - 1) * BUCKETS + k], counts[k]);
    if (by_mass) atomicAdd(&m.masses[(STAGE - 1) * BUCKETS + k], masses[k]);
  }
}

// By the last block: the bucket where what is kept ends.
__device__ inline void descend(const Params& p, const Memory& m, const Rules& rules) {
  constexpr u32 EACH = BUCKETS / THREADS;
  const volatile u32* counts = m.counts + (STAGE - 1) * BUCKETS + threadIdx.x * EACH;
  const volatile u64* masses = m.masses + (STAGE - 1) * BUCKETS + threadIdx.x * EACH;
  u64 count = 0, mass = 0, all = 0, total = 0;
  for (u32 k = 0; k < EACH; ++k) {
    count += counts[k];
    mass += masses[k];
  }
  const u64 own_count = count, own_mass = mass;
  count = sum_before(count, &all);
  mass = sum_before(mass, &total);
#if STAGE == 1
  u64 limit = ~0ull;
  if (rules.top_p < 1.0f) {
    const double part = ceil(static_cast<double>(rules.top_p) * static_cast<double>(total));
    limit = static_cast<u64>(part > 1.0 ? part : 1.0);
  }
#else
  const u64 limit = m.state->limit;
  count += m.state->count;
  mass += m.state->mass;
#endif
  const u64 n = static_cast<u64>(p.n[0]), top = static_cast<u64>(rules.top_k);
  const u64 most = rules.top_k > 0 && top < n ? top : n;
  const u32 known = m.state->rank;
  __syncthreads();
  // Only one thread's buckets hold the end.
  if (count >= most || mass >= limit || (count + own_count < most && mass + own_mass < limit)) return;
  u32 k = 0;
  while (k + 1 < EACH && count + counts[k] < most && mass + masses[k] < limit) {
    count += counts[k];
    mass += masses[k];
    ++k;
  }
  m.state->rank = (STAGE == 1 ? 0u : known << BITS) | (threadIdx.x * EACH + k);
  m.state->count = count;
  m.state->mass = mass;
  m.state->limit = limit;
#if STAGE == 3
  const u64 there = counts[k], each = there == 0 ? 0 : masses[k] / there;
  u64 ties = Least()(there, most - count);
  if (each > 0) ties = Least()(ties, (limit - mass + each - 1) / each);
  m.state->ties = static_cast<u32>(ties);
#endif
}

KERNEL {
  __shared__ u64 masses[BUCKETS];
  __shared__ u32 counts[BUCKETS];
  if (row_of() >= p.n[4]) return;
  const Memory m = memory_of(p);
  const Rules rules = rules_of(p);
  const bool by_mass = rules.top_p < 1.0f;
  const bool cuts = by_mass || (rules.top_k > 0 && rules.top_k < p.n[0]);
#if STAGE == 1
  float highest = 0.0f;
  if (!start(p, m, rules, cuts, &highest)) return;
#else
  if (m.state->none != 0 || !cuts) return;
  const float highest = __uint_as_float(m.state->highest);
#endif
  count_block(p, m, highest, by_mass, masses, counts);
  if (is_last(p, m.state)) descend(p, m, rules);
}
