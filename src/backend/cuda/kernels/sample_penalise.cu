// The first launch of sample: penalised logits, and the highest of each block.
__device__ inline void mark_recent(const Params& p, const Rules& rules, i64 begin, i64 end, u32* marks) {
  const i64 words = (p.n[2] + 31) / 32;
  for (i64 k = threadIdx.x; k < words; k += THREADS) marks[k] = 0;
  __syncthreads();
  const i64 length = smaller(larger(load<LENGTH>(p.in[2], row_of()), 0ll), p.n[1]);
  const i64 count = smaller(larger(rules.context, 0ll), length);
  const i32* ids = static_cast<const i32*>(p.in[1]) + row_of() * p.n[1];
  for (i64 k = length - count + threadIdx.x; k < length; k += THREADS) {
    const i64 id = ids[k];
    if (id >= begin && id < end) atomicOr(&marks[(id - begin) / 32], 1u << (id - begin) % 32);
  }
  __syncthreads();
}

KERNEL {
  __shared__ u32 marks[1024];
  if (row_of() >= p.n[4]) return;
  const Memory m = memory_of(p);
  const Rules rules = rules_of(p);
  const i64 begin = blockIdx.x * p.n[2], end = smaller(begin + p.n[2], p.n[0]);
  for (i64 k = first_index(); k < 3 * BUCKETS; k += index_step()) {
    m.masses[k] = 0;
    m.counts[k] = 0;
  }
  if (first_index() == 0) *m.state = State{};
  const bool penalises = rules.penalty != 1.0f;
  if (penalises) mark_recent(p, rules, begin, end, marks);
  u64 best = ~0ull;
  bool bad = false;
  for (i64 i = begin + threadIdx.x; i < end; i += THREADS) {
    float v = static_cast<float>(load<T>(p.in[0], row_of() * p.n[0] + i));
    bad = bad || v != v;
    if (penalises && (marks[(i - begin) / 32] >> (i - begin) % 32 & 1u) != 0) {
      v = v < 0.0f ? v * rules.penalty : __fdiv_rn(v, rules.penalty);
    }
    m.values[i] = v;
    best = Least()(best, static_cast<u64>(rank_of(v)) << 32 | static_cast<u64>(i));
  }
  best = block_reduce(bad ? 0ull : best, Least(), ~0ull);
  if (threadIdx.x == 0) m.best[blockIdx.x] = best;
}
