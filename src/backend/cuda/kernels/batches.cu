// What products of batches share, no kernel itself. n: as of matmul.cu.
struct Batch {
  i64 left = 0, right = 0;  // where its matrices begin, in elements
  __device__ Batch(const Params& p, i64 batch) {
    const i64 rank = p.n[4];
    for (i64 axis = rank - 1; axis >= 0; --axis) {
      const i64 c = batch % p.n[9 + axis];
      batch /= p.n[9 + axis];
      left += c * p.n[9 + rank + axis];
      right += c * p.n[9 + 2 * rank + axis];
    }
  }
};
