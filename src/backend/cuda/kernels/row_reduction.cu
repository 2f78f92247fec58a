// logsumexp, var and argmax over any axes of strided x. OP: 0, 1, 2; T: dtype of x, R: of the result; KEPT, FOLDED: numbers of dims.
// n: results, elements of each, degrees of freedom taken off (var), then dims and strides of the kept axes, then of the folded ones.
template <int RANK>
__device__ inline i64 offset_of(const i64* dims, i64 k) {
  i64 offset = 0;
#pragma unroll
  for (int d = RANK - 1; d > 0; --d) {
    const i64 upper = k / dims[d];
    offset += (k - upper * dims[d]) * dims[RANK + d];
    k = upper;
  }
  return RANK == 0 ? 0 : offset + k * dims[RANK];
}

// Of the folded elements of one result.
struct Folded {
  const T* x;
  const i64* dims;
  i64 count;
  __device__ auto operator[](i64 i) const { return widen(x[offset_of<FOLDED>(dims, i)]); }
};

__device__ inline float log_sum_exp(const Folded& x) {
  float top = -infinity(), sum = 0;
  for (i64 i = lane(); i < x.count; i += lanes()) top = larger(top, static_cast<float>(x[i]));
  top = row_reduce(top, Larger(), -infinity());
  for (i64 i = lane(); i < x.count; i += lanes()) sum += expf(static_cast<float>(x[i]) - top);
  sum = row_sum(sum);
  return top == infinity() || top == -infinity() ? top : top + logf(sum);
}

// In two passes.
__device__ inline float variance(const Folded& x, i64 taken) {
  const float count = static_cast<float>(x.count);
  float mean = 0, squares = 0;
  for (i64 i = lane(); i < x.count; i += lanes()) mean += static_cast<float>(x[i]);
  mean = row_sum(mean) / count;
  for (i64 i = lane(); i < x.count; i += lanes()) {
    const float d = static_cast<float>(x[i]) - mean;
    squares = fmaf(d, d, squares);
  }
  return row_sum(squares) / static_cast<float>(larger(x.count - taken, 0ll));
}

// The first of equals; NaN counts as the largest.
__device__ inline i64 first_largest(const Folded& x) {
  constexpr i64 NONE = 9223372036854775807ll;
  using V = decltype(x[0]);
  V best = static_cast<V>(0);
  i64 at = NONE;
  for (i64 i = lane(); i < x.count; i += lanes()) {
    const V v = x[i];
    if (at == NONE || (best == best && (v != v || v > best))) {
      best = v;
      at = i;
    }
  }
  if (at == NONE) best = x.count == 0 ? best : x[0];
  const V top = row_reduce(best, Larger(), best);
  return row_reduce(best == top || (best != best && top != top) ? at : NONE, Smaller(), NONE);
}

KERNEL {
  for (i64 row = first_row(); row < p.n[0]; row += row_step()) {
    const Folded x{static_cast<const T*>(p.in[0]) + offset_of<KEPT>(p.n + 3, row), p.n + 3 + 2 * KEPT, p.n[1]};
#if OP == 0
    const float result = log_sum_exp(x);
#elif OP == 1
    const float result = variance(x, p.n[2]);
#else
    const i64 result = first_largest(x);
#endif
    if (lane() == 0) store<R>(p.out[0], row, result);
  }
}
