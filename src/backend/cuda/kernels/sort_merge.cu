// Merges neighbouring sorted runs of every row's items. T: dtype of x; WIDE_KEY: T has 64 bits; FINAL: writes the results, else items.
// n: rows, items of a row, inner, length of a run, items of a row that are wanted, first item read, first item written.
// A block of 256 threads makes TILE items of the output.
#define TILE 1024
#define EACH (TILE / 256)
// An element in the form that is compared: a number that grows in the wanted order, then where the element was.
#if WIDE_KEY
struct Item {
  u64 key;
  u32 index;
};
__device__ inline Item item(u64 key, u32 index) { return {key, index}; }
__device__ inline u32 index_of(const Item& a) { return a.index; }
__device__ inline bool before(const Item& a, const Item& b) { return a.key != b.key ? a.key < b.key : a.index < b.index; }
#else
typedef u64 Item;
__device__ inline Item item(u64 key, u32 index) { return key << 32 | index; }
__device__ inline u32 index_of(Item a) { return static_cast<u32>(a); }
__device__ inline bool before(Item a, Item b) { return a < b; }
#endif

// Result j of a row: the value and where it was. Rows lie along an axis with `inner` elements below it.
__device__ inline void write_result(const Params& p, i64 row, i64 inner, i64 count, i64 kept, i64 j, u32 index) {
  const i64 outer = row / inner, below = row - outer * inner;
  const i64 to = (outer * kept + j) * inner + below;
  if (p.out[0] != nullptr) static_cast<T*>(p.out[0])[to] = static_cast<const T*>(p.in[0])[(outer * count + index) * inner + below];
  if (p.out[1] != nullptr) static_cast<i32*>(p.out[1])[to] = static_cast<i32>(index);
}

// How many of the first `taken` items of the merged runs come from a.
__device__ inline i64 split(const Item* a, i64 a_count, const Item* b, i64 b_count, i64 taken) {
  i64 low = taken > b_count ? taken - b_count : 0, high = taken < a_count ? taken : a_count;
  while (low < high) {
    const i64 mid = (low + high) / 2;
    if (before(a[mid], b[taken - 1 - mid])) {
      low = mid + 1;
    } else {
      high = mid;
    }
  }
  return low;
}

KERNEL {
  __shared__ Item items[TILE];
  __shared__ i64 ends[2];
  const i64 count = p.n[1], run = p.n[3], wanted = p.n[4];
  const i64 tiles = (wanted + TILE - 1) / TILE;
  for (i64 task = blockIdx.x; task < p.n[0] * tiles; task += gridDim.x) {
    // Runs are multiples of TILE long, so a tile lies in one pair of runs.
    const i64 row = task / tiles, first = task % tiles * TILE, pair = first / (2 * run) * (2 * run);
    const Item* a = static_cast<const Item*>(p.scratch) + p.n[5] + row * count + pair;
    const i64 a_count = count - pair < run ? count - pair : run, rest = count - pair - a_count, b_count = rest < run ? rest : run;
    const Item* b = a + a_count;
    const i64 begin = first - pair, most = a_count + b_count - begin, n = most < TILE ? most : TILE;
    if (threadIdx.x < 2) ends[threadIdx.x] = split(a, a_count, b, b_count, threadIdx.x == 0 ? begin : begin + n);
    __syncthreads();
    const i64 a_first = ends[0], a_n = ends[1] - a_first, b_first = begin - a_first, b_n = n - a_n;
    for (i64 k = threadIdx.x; k < n; k += 256) items[k] = k < a_n ? a[a_first + k] : b[b_first + k - a_n];
    __syncthreads();
    const i64 mine = threadIdx.x * EACH < n ? threadIdx.x * EACH : n;
    i64 i = split(items, a_n, items + a_n, b_n, mine), j = mine - i;
    Item merged[EACH];
#pragma unroll
    for (int e = 0; e < EACH; ++e) {
      if (mine + e >= n) break;
      const bool left = j >= b_n || (i < a_n && before(items[i], items[a_n + j]));
      merged[e] = left ? items[i++] : items[a_n + j++];
    }
    __syncthreads();
#pragma unroll
    for (int e = 0; e < EACH; ++e) {
      if (mine + e < n) items[mine + e] = merged[e];
    }
    __syncthreads();
    for (i64 k = threadIdx.x; k < n; k += 256) {
#if FINAL
      if (first + k < wanted) write_result(p, row, p.n[2], count, wanted, first + k, index_of(items[k]));
#else
      static_cast<Item*>(p.scratch)[p.n[6] + row * count + first + k] = items[k];
#endif
    }
    __syncthreads();
  }
}
