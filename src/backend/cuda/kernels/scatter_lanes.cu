// scatter_add and scatter_along_add into lanes: out (outer, count, inner) += updates (outer, many, inner) along the middle axis. T, INDEX:
// dtypes; ALONG: indices are like updates, else (many). WARP: a warp does a lane, else a thread. n: outer, many, count, inner.
// Every element gets its updates in the order of the indices.
__device__ inline bool in_range(const Params& p, i64 index) {
  if (index >= 0 && index < p.n[2]) return true;
  fail(p, index);
  return false;
}

// Of one lane.
struct Lane {
  i64 updates, out, inner;
  __device__ Lane(const Params& p, i64 lane) : inner(p.n[3]) {
    const i64 outer = lane / inner, at = lane % inner;
    updates = outer * p.n[1] * inner + at;
    out = outer * p.n[2] * inner + at;
  }
  __device__ i64 index(const Params& p, i64 j) const { return load<INDEX>(p.in[1], ALONG ? updates + j * inner : j); }
  __device__ auto update(const Params& p, i64 j) const { return load<T>(p.in[2], updates + j * inner); }
  template <class V>
  __device__ void add(const Params& p, i64 index, V v) const {
    const i64 k = out + index * inner;
    store<T>(p.out[0], k, load<T>(p.out[0], k) + v);
  }
};

KERNEL {
  const i64 lanes = p.n[0] * p.n[3], many = p.n[1];
#if WARP
  const u32 me = threadIdx.x % 32;
  for (i64 l = first_index() / 32; l < lanes; l += index_step() / 32) {
    const Lane lane(p, l);
    for (i64 base = 0; base < many; base += 32) {
      const i64 j = base + me;
      const i64 index = j < many ? lane.index(p, j) : 0;
      const bool adds = j < many && in_range(p, index);
      const auto v = adds ? lane.update(p, j) : decltype(lane.update(p, j))();
      // Equal indices take turns, the first one first.
      const u64 key = adds ? static_cast<u64>(index) : ~static_cast<u64>(me);
      const u32 turn = __popc(__match_any_sync(0xffffffffu, key) & ((1u << me) - 1));
      for (u32 now = 0; __any_sync(0xffffffffu, turn >= now); ++now) {
        if (adds && turn == now) lane.add(p, index, v);
        __syncwarp();
      }
    }
  }
#else
  for (i64 l = first_index(); l < lanes; l += index_step()) {
    const Lane lane(p, l);
    for (i64 j = 0; j < many; ++j) {
      const i64 index = lane.index(p, j);
      if (in_range(p, index)) lane.add(p, index, lane.update(p, j));
    }
  }
#endif
}
