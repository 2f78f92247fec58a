// The counter-based random numbers behind every draw, to be put before kernels.
struct Words {
  u32 v[4];
};
// Philox4x32-10: the key is the seed, the counter the number of the block.
__device__ inline Words philox(u64 seed, u64 block) {
  Words c = {{static_cast<u32>(block), static_cast<u32>(block >> 32), 0, 0}};
  u32 k0 = static_cast<u32>(seed), k1 = static_cast<u32>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const u32 high0 = __umulhi(0xD2511F53u, c.v[0]), low0 = 0xD2511F53u * c.v[0];
    const u32 high1 = __umulhi(0xCD9E8D57u, c.v[2]), low1 = 0xCD9E8D57u * c.v[2];
    c = {{high1 ^ c.v[1] ^ k0, low1, high0 ^ c.v[3] ^ k1, low0}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}
// Element 2 block + i of random_bits.
__device__ inline u64 bits64(const Words& words, int i) {
  return static_cast<u64>(words.v[2 * i]) | static_cast<u64>(words.v[2 * i + 1]) << 32;
}
