// What kernels on rows share, no kernel itself. SHARE: who does a row: 1 a thread, 32 a warp, 0 a block. ANY_ADDRESS: rows are cut in packs
// wherever they lie, so that the order of their sums does not depend on it.
constexpr int SHARING = SHARE == 0 ? 1 : SHARE;
__device__ inline i64 lane() { return SHARE == 0 ? threadIdx.x : threadIdx.x % SHARING; }
__device__ inline i64 lanes() { return SHARE == 0 ? blockDim.x : SHARING; }
__device__ inline i64 first_row() { return SHARE == 0 ? blockIdx.x : first_index() / SHARING; }
__device__ inline i64 row_step() { return SHARE == 0 ? gridDim.x : index_step() / SHARING; }
// Over the threads that share a row; every one gets the result.
template <class V, class F>
__device__ inline V row_reduce(V v, F f, V rest) {
  if (SHARE == 1) return v;
  return SHARE == 32 ? warp_reduce(v, f) : block_reduce(v, f, rest);
}
__device__ inline float row_sum(float v) { return row_reduce(v, Sum(), 0.0f); }

__device__ inline bool at_whole_packs(const void* data) { return reinterpret_cast<u64>(data) % 16 == 0; }
__device__ inline bool is_aligned(const void* data) { return ANY_ADDRESS || at_whole_packs(data); }

// N neighbours at a multiple of N elements from an aligned address, 16 bytes at a time.
template <int N, class A>
__device__ inline void read(const A* from, float (&v)[N]) {
  if (ANY_ADDRESS && N > 1 && !at_whole_packs(from)) {
#pragma unroll
    for (int k = 0; k < N; ++k) v[k] = widen(from[k]);
    return;
  }
  constexpr int WHOLE = 16 / sizeof(A), STEP = N < WHOLE ? N : WHOLE;
#pragma unroll
  for (int k = 0; k < N; k += STEP) {
    const Pack<A, STEP> pack = *reinterpret_cast<const Pack<A, STEP>*>(from + k);
#pragma unroll
    for (int i = 0; i < STEP; ++i) v[k + i] = widen(pack.v[i]);
  }
}
template <int N, class A>
__device__ inline void write(A* to, const float (&v)[N]) {
  if (ANY_ADDRESS && N > 1 && !at_whole_packs(to)) {
#pragma unroll
    for (int k = 0; k < N; ++k) to[k] = narrow<A>(v[k]);
    return;
  }
  Pack<A, N> pack;
#pragma unroll
  for (int i = 0; i < N; ++i) pack.v[i] = narrow<A>(v[i]);
  if constexpr (sizeof(pack) == 16) {
    // In assembly: the compiler would store some packs number by number.
    const u32* words = reinterpret_cast<const u32*>(&pack);
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(words[0]), "r"(words[1]), "r"(words[2]), "r"(words[3]) : "memory");
  } else {
    *reinterpret_cast<Pack<A, N>*>(to) = pack;
  }
}
// Elements of an A that 16 bytes hold.
template <class A>
constexpr int PACKED = 16 / sizeof(A);
