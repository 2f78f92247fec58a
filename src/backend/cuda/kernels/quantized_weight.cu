// The numbers of a stored weight, row-major, from its parts. S, T: dtypes of scales and result. n: count, columns.
// Without BLOCK: integers beside their scales, BITS 8, or 4: two in a byte, the first in the low half, less 8. With BLOCK: blocks of so many
// numbers in BLOCK_BYTES bytes; the other names are the members of QuantFormat (lazuli/quant_format.h), numbers of kinds those of QuantNumber.
#ifdef BLOCK
#if HAS_CODEBOOK
__device__ const float codebook[] = CODEBOOK;
#endif

// The bits of code e.
template <int BITS, int RUN>
__device__ inline int bits_at(const u8* bytes, int e) {
  constexpr int per_byte = 8 / BITS;
  return (bytes[e / (RUN * per_byte) * RUN + e % RUN] >> (BITS * (e / RUN % per_byte))) & ((1 << BITS) - 1);
}

// Number g of the scales or minima of 6 bits in 12 bytes.
__device__ inline int six_bits_at(const u8* bytes, int g, bool minimum) {
  if (g < 4) return bytes[g + (minimum ? 4 : 0)] & 63;
  const int rest = bytes[g + 4];
  return (minimum ? rest >> 4 : rest & 15) | (bytes[g - (minimum ? 0 : 4)] >> 6) << 4;
}

template <int KIND, int AT, int GROUP>
__device__ inline float number_at(const u8* block, int e) {
  const int g = e / GROUP;
  if (KIND == REAL) {
    f16 v;
    v.bits = static_cast<unsigned short>(block[AT + 2 * g] | block[AT + 2 * g + 1] << 8);
    return widen(v);
  }
  if (KIND == EXPONENT) {
    const u32 v = block[AT + g];
    return v == 255 ? not_a_number() : __uint_as_float(v == 0 ? 0x00400000u : v << 23);
  }
  if (KIND == BYTE) return static_cast<float>(static_cast<i8>(block[AT + g]));
  if (KIND == SIX_BITS || KIND == SIX_BITS_MINIMUM) return static_cast<float>(six_bits_at(block + AT, g, KIND == SIX_BITS_MINIMUM));
  return 1.0f;
}

// Products and sums are rounded one by one, as on every device.
__device__ inline float number_of(const void* parts, i64 at) {
  const u8* block = static_cast<const u8*>(parts) + at / BLOCK * BLOCK_BYTES;
  const int e = static_cast<int>(at % BLOCK);
  int code = bits_at<LOW_BITS, LOW_RUN>(block + LOW_AT, e);
#if HIGH_BITS
  code |= bits_at<HIGH_BITS, HIGH_RUN>(block + HIGH_AT, e) << LOW_BITS;
#endif
#if IS_SIGNED
  code = static_cast<i8>(code);
#endif
#if HAS_CODEBOOK
  const float value = codebook[code];
#else
  const float value = static_cast<float>(code - OFFSET);
#endif
  const float scale = __fmul_rn(number_at<SUPER_KIND, SUPER_AT, SUPER_GROUP>(block, e), number_at<SCALE_KIND, SCALE_AT, SCALE_GROUP>(block, e));
  const float v = __fmul_rn(scale, value);
#if MINIMUM_KIND
  return __fsub_rn(v, __fmul_rn(number_at<SUPER_MINIMUM_KIND, SUPER_MINIMUM_AT, SUPER_MINIMUM_GROUP>(block, e),
                                number_at<MINIMUM_KIND, MINIMUM_AT, MINIMUM_GROUP>(block, e)));
#else
  return v;
#endif
}

KERNEL {
  T* out = static_cast<T*>(p.out[0]);
  for (i64 k = first_index(); k < p.n[0]; k += index_step()) out[k] = narrow<T>(number_of(p.in[0], k));
}
#else
KERNEL {
  const i64 pairs = (p.n[0] + 1) / 2, columns = p.n[1];
  T* out = static_cast<T*>(p.out[0]);
  for (i64 j = first_index(); j < pairs; j += index_step()) {
    const i64 at = 2 * j;
#if BITS == 4
    const int both = static_cast<const u8*>(p.in[0])[j];
    const float scale = load<S>(p.in[1], at / 32);
    out[at] = narrow<T>(static_cast<float>((both & 15) - 8) * scale);
    out[at + 1] = narrow<T>(static_cast<float>((both >> 4) - 8) * scale);
#else
    const i8* q = static_cast<const i8*>(p.in[0]);
    out[at] = narrow<T>(static_cast<float>(q[at]) * load<S>(p.in[1], at / columns));
    if (at + 1 < p.n[0]) out[at + 1] = narrow<T>(static_cast<float>(q[at + 1]) * load<S>(p.in[1], (at + 1) / columns));
#endif
  }
}
#endif
