// arange: start + k * step. T: dtype of the result. n: start, step, count.
KERNEL {
  for (i64 k = first_index(); k < p.n[2]; k += index_step()) store<T>(p.out[0], k, p.n[0] + k * p.n[1]);
}
