// full: fills memory with 8 bytes that repeat. n: the 8 bytes, the size in bytes.
KERNEL {
  const i64 bytes = p.n[1];
  i64 done = 0;
  if (reinterpret_cast<u64>(p.out[0]) % 16 == 0) {
    Pack<i64, 2> two;
    two.v[0] = two.v[1] = p.n[0];
    done = bytes / 16 * 16;
    for (i64 k = first_index(); k < done / 16; k += index_step()) static_cast<Pack<i64, 2>*>(p.out[0])[k] = two;
  }
  for (i64 k = done + first_index(); k < bytes; k += index_step()) {
    static_cast<u8*>(p.out[0])[k] = static_cast<u8>(static_cast<u64>(p.n[0]) >> 8 * (k % 8));
  }
}
