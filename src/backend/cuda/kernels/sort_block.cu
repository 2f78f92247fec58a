// Sorts pieces of rows in shared memory: all of a short row, the first runs of a merge sort, or the candidates of topk. T: dtype of x;
// WIDE_KEY: T has 64 bits; DESCENDING; SIZE: items that a block sorts, a power of two, with SIZE / 2 threads; FIRST: reads x, else items in
// scratch memory; FINAL: writes the results, else items. n: rows, items of a row, inner, pieces of a row, items kept of a piece, items of a
// row that are written, first item read, first item written, elements of a row of x.
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

__device__ inline u64 ordered(float v) {
  if (v != v) return 0xffffffffu;  // last in either direction
  const u32 bits = v == 0 ? 0 : __float_as_uint(v);
  const u32 key = bits >> 31 ? ~bits : bits | 0x80000000u;
  return DESCENDING ? ~key : key;
}
__device__ inline u64 ordered(i64 v) {
#if WIDE_KEY
  const u64 key = static_cast<u64>(v) ^ 0x8000000000000000ull;
#else
  const u32 key = static_cast<u32>(static_cast<i32>(v)) ^ 0x80000000u;
#endif
  return DESCENDING ? ~key : key;
}

// Result j of a row: the value and where it was. Rows lie along an axis with `inner` elements below it.
__device__ inline void write_result(const Params& p, i64 row, i64 inner, i64 count, i64 kept, i64 j, u32 index) {
  const i64 outer = row / inner, below = row - outer * inner;
  const i64 to = (outer * kept + j) * inner + below;
  if (p.out[0] != nullptr) static_cast<T*>(p.out[0])[to] = static_cast<const T*>(p.in[0])[(outer * count + index) * inner + below];
  if (p.out[1] != nullptr) static_cast<i32*>(p.out[1])[to] = static_cast<i32>(index);
}

// The SIZE items in shared memory, by bitonic sorting. Items are never equal, so the order is stable.
__device__ inline void sort_items(Item* items) {
  for (u32 width = 2; width <= SIZE; width *= 2) {
    for (u32 gap = width / 2; gap > 0; gap /= 2) {
      __syncthreads();
      for (u32 k = threadIdx.x; k < SIZE / 2; k += blockDim.x) {
        const u32 low = 2 * k - (k & (gap - 1)), high = low + gap;
        const Item a = items[low], b = items[high];
        if (before(b, a) == ((low & width) == 0)) {
          items[low] = b;
          items[high] = a;
        }
      }
    }
  }
  __syncthreads();
}

KERNEL {
  __shared__ Item items[SIZE];
  const i64 count = p.n[1], inner = p.n[2], pieces = p.n[3], kept = p.n[4];
#if !FIRST || !FINAL
  Item* scratch = static_cast<Item*>(p.scratch);
#endif
  for (i64 task = blockIdx.x; task < p.n[0] * pieces; task += gridDim.x) {
    const i64 row = task / pieces, piece = task % pieces, first = piece * SIZE;
    const i64 n = count - first < SIZE ? count - first : SIZE;
    for (i64 k = threadIdx.x; k < SIZE; k += blockDim.x) {
      Item v = item(0xffffffffffffffffull, 0xffffffffu);
#if FIRST
      const i64 below = row % inner, base = (row / inner * count + first) * inner + below;
      if (k < n) v = item(ordered(load<T>(p.in[0], base + k * inner)), static_cast<u32>(first + k));
#else
      if (k < n) v = scratch[p.n[6] + row * count + first + k];
#endif
      items[k] = v;
    }
    sort_items(items);
    for (i64 k = threadIdx.x; k < n && k < kept; k += blockDim.x) {
#if FINAL
      write_result(p, row, inner, p.n[8], kept, k, index_of(items[k]));
#else
      scratch[p.n[7] + row * p.n[5] + piece * kept + k] = items[k];
#endif
    }
    __syncthreads();
  }
}
