// The last launch of sample, after philox.cu: masses of what is kept, block by block, and the token that the draw's point lies in.
// A logit that is drawn with some mass.
struct Candidate {
  u64 mass;
  bool tied;  // of the last rank: only the first ones are kept
};

struct Drawing {
  float highest;
  u32 rank;
  double temperature, least;

  __device__ Candidate operator()(float v) const {
    const u32 r = rank_of(v);
    const bool kept = v == highest || static_cast<double>(v) - static_cast<double>(highest) >= least;
    if (r > rank || !kept) return {0, false};
    return {mass_of(v, highest, temperature), r == rank};
  }
};

// Element i of a list that other blocks wrote, or nothing behind its end.
template <class V>
__device__ inline u64 at(const volatile V* list, i64 i, i64 count) { return i < count ? static_cast<u64>(list[i]) : 0ull; }

// What of `there` ties is kept when `before` came before.
__device__ inline u64 kept_ties(u64 before, u64 there, u64 ties) {
  return before >= ties ? 0ull : Least()(there, ties - before);
}

// By the last block: the block of logits that the point lies in, then the logit.
__device__ inline void pick(const Params& p, const Memory& m, const Rules& rules, const Drawing& drawing, u64 ties) {
  __shared__ i64 chosen;
  __shared__ u64 rest, tied_before;
  const u64 each = mass_of(value_of(drawing.rank), drawing.highest, drawing.temperature);
  u64 total = 0, ties_seen = 0, sum = 0, count = 0;
  if (threadIdx.x == 0) {
    chosen = 0;
    rest = tied_before = 0;
    set_token(p, 0);
  }
  for (i64 tile = 0; tile < p.n[3]; tile += THREADS) {
    const i64 b = tile + threadIdx.x;
    const u64 there = at(m.ties, b, p.n[3]);
    const u64 before = ties_seen + sum_before(there, &count);
    sum_before(at(m.above, b, p.n[3]) + kept_ties(before, there, ties) * each, &sum);
    ties_seen += count;
    total += sum;
  }
  // Philox number `draw` of the seed: its 53 leading bits as a part of 2^53.
  const u64 draw = static_cast<u64>(load<LENGTH>(p.in[2], row_of()) - rules.first);
  const u64 point = __umul64hi(bits64(philox(rules.seed, draw / 2), static_cast<int>(draw % 2)) & ~2047ull, total);
  u64 passed = 0;
  ties_seen = 0;
  for (i64 tile = 0; tile < p.n[3]; tile += THREADS) {
    const i64 b = tile + threadIdx.x;
    const u64 there = at(m.ties, b, p.n[3]);
    const u64 before = ties_seen + sum_before(there, &count);
    const u64 mass = at(m.above, b, p.n[3]) + kept_ties(before, there, ties) * each;
    const u64 first = passed + sum_before(mass, &sum);
    if (point >= first && point - first < mass) {
      chosen = b;
      rest = point - first;
      tied_before = before;
    }
    ties_seen += count;
    passed += sum;
  }
  __syncthreads();
  const i64 begin = chosen * p.n[2], end = smaller(begin + p.n[2], p.n[0]);
  const u64 left = rest;
  ties_seen = tied_before;
  passed = 0;
  for (i64 tile = begin; tile < end; tile += THREADS) {
    const i64 i = tile + threadIdx.x;
    Candidate c = {0, false};
    if (i < end) c = drawing(m.values[i]);
    const u64 before = ties_seen + sum_before(c.tied ? 1 : 0, &count);
    const u64 mass = c.tied && before >= ties ? 0ull : c.mass;
    const u64 first = passed + sum_before(mass, &sum);
    if (left >= first && left - first < mass) set_token(p, static_cast<i32>(i));
    ties_seen += count;
    passed += sum;
    if (left < passed) return;
  }
}

KERNEL {
  if (row_of() >= p.n[4]) return;
  const Memory m = memory_of(p);
  if (m.state->none != 0) return;
  const Rules rules = rules_of(p);
  const Drawing drawing{__uint_as_float(m.state->highest), m.state->rank, static_cast<double>(rules.temperature),
                        log(static_cast<double>(rules.min_p))};
  const i64 begin = blockIdx.x * p.n[2], end = smaller(begin + p.n[2], p.n[0]);
  u64 above = 0, tied = 0;
  for (i64 i = begin + threadIdx.x; i < end; i += THREADS) {
    const Candidate c = drawing(m.values[i]);
    if (c.tied) {
      ++tied;
    } else {
      above += c.mass;
    }
  }
  above = block_reduce(above, Sum(), 0ull);
  tied = block_reduce(tied, Sum(), 0ull);
  if (threadIdx.x == 0) {
    m.above[blockIdx.x] = above;
    m.ties[blockIdx.x] = static_cast<u32>(tied);
  }
  if (is_last(p, m.state)) pick(p, m, rules, drawing, m.state->ties);
}
