// one_hot: T, INDEX: dtypes of result and indices. n: rows, classes.
KERNEL {
  const i64 classes = p.n[1];
  for (i64 row = first_index(); row < p.n[0]; row += index_step()) {
    const i64 index = load<INDEX>(p.in[0], row);
    if (index < 0 || index >= classes) fail(p, index);
  }
  for (i64 k = first_index(); k < p.n[0] * classes; k += index_step()) {
    const i64 row = k / classes;
    store<T>(p.out[0], k, load<INDEX>(p.in[0], row) == k - row * classes ? 1.0f : 0.0f);
  }
}
