// The weight of quantized_linear as numbers: (n, k) row-major from integers and a scale for each row (BITS 8) or for each 32 of a row
// (BITS 4: two in a byte, the first in the low half, less 8). S, T: dtypes of scales and result. n: count, k.
KERNEL {
  const i64 pairs = (p.n[0] + 1) / 2;
  T* out = static_cast<T*>(p.out[0]);
  for (i64 j = first_index(); j < pairs; j += index_step()) {
    const i64 at = 2 * j;
#if BITS == 4
    const int both = static_cast<const u8*>(p.in[0])[j];
    const float scale = load<S>(p.in[1], at / 32);
    out[at] = narrow<T>(static_cast<float>((both & 15) - 8) * scale);
    out[at + 1] = narrow<T>(static_cast<float>((both >> 4) - 8) * scale);
#else
    const i64 columns = p.n[1];
    const i8* q = static_cast<const i8*>(p.in[0]);
    out[at] = narrow<T>(static_cast<float>(q[at]) * load<S>(p.in[1], at / columns));
    if (at + 1 < p.n[0]) out[at + 1] = narrow<T>(static_cast<float>(q[at + 1]) * load<S>(p.in[1], (at + 1) / columns));
#endif
  }
}
