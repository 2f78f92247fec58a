#include "backend/cpu/gemm/emulated.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "tensor/half.h"

namespace lazuli::cpu {

Emulated& emulated() {
  static Emulated now;
  return now;
}

namespace {

constexpr int64_t kTileValues = kUnitRows * kUnitSteps;

float value_at(const LimbSource& source, int64_t line, int64_t step) {
  const int64_t at = line * source.line + step * source.step;
  if (source.dtype == DType::bf16) return static_cast<const bf16*>(source.values)[at];
  if (source.dtype == DType::f16) return static_cast<const f16*>(source.values)[at];
  return static_cast<const float*>(source.values)[at];
}

/// A tile of a limb is 16 lines of 32 steps on both sides.
void split(const LimbSource& source, bool, int64_t lines, int64_t k, std::byte* tiles) {
  const int limbs = limbs_of(source.dtype);
  for (int64_t i = 0; i < lines; i += kUnitRows) {
    for (int64_t p = 0; p < k; p += kUnitSteps) {
      for (int64_t at = 0; at < kTileValues; ++at) {
        const int64_t line = i + at / kUnitSteps, step = p + at % kUnitSteps;
        float rest = line < lines && step < k ? value_at(source, line, step) : 0.0F;
        for (int limb = 0; limb < limbs; ++limb) {
          const bf16 part(rest);
          rest -= static_cast<float>(part);
          std::memcpy(tiles + limb * kUnitBytes + at * static_cast<int64_t>(sizeof(bf16)), &part, sizeof(bf16));
        }
      }
      tiles += limbs * kUnitBytes;
    }
  }
}

using Values = std::array<float, kTileValues>;

/// Line by line, or step by step.
void unpack(const std::byte* tile, bool by_steps, Values& out) {
  for (int64_t at = 0; at < kTileValues; ++at) {
    bf16 v;
    std::memcpy(&v, tile + at * static_cast<int64_t>(sizeof(bf16)), sizeof(bf16));
    out[static_cast<size_t>(by_steps ? at % kUnitSteps * kUnitRows + at / kUnitSteps : at)] = static_cast<float>(v);
  }
}

using Square = std::array<float, kUnitRows * kUnitRows>;

void add_product(const Values& a, const Values& b, Square& sums) {
  for (size_t i = 0; i < kUnitRows; ++i) {
    for (size_t p = 0; p < kUnitSteps; ++p) {
      const float x = a[i * kUnitSteps + p];
      for (size_t j = 0; j < kUnitRows; ++j) sums[i * kUnitRows + j] += x * b[p * kUnitRows + j];
    }
  }
}

/// 16 rows times 16 columns. The largest products, of the first limbs, are summed apart from the small ones.
Square multiply_square(const LimbProduct& p, const std::byte* a, const std::byte* b, int64_t chunks) {
  Square small{}, large{};
  Values x{}, y{};
  for (int64_t q = 0; q < chunks; ++q, a += p.a_limbs * kUnitBytes, b += p.b_limbs * kUnitBytes) {
    for (int i = 0; i < p.a_limbs; ++i) {
      unpack(a + i * kUnitBytes, false, x);
      for (int j = 0; j < p.b_limbs && i + j < 3; ++j) {
        unpack(b + j * kUnitBytes, true, y);
        add_product(x, y, i + j == 0 ? large : small);
      }
    }
  }
  for (size_t k = 0; k < small.size(); ++k) small[k] += large[k];
  return small;
}

void multiply(const LimbProduct& p) {
  const int64_t chunks = (p.k + kUnitSteps - 1) / kUnitSteps;
  for (int64_t i = 0; i < p.rows; i += kUnitRows) {
    for (int64_t j = 0; j < p.columns; j += kUnitRows) {
      const Square sums = multiply_square(p, p.a + i / kUnitRows * chunks * p.a_limbs * kUnitBytes,
                                          p.b + j / kUnitRows * chunks * p.b_limbs * kUnitBytes, chunks);
      for (size_t k = 0; k < sums.size(); ++k) {
        float& c = p.c[(i + static_cast<int64_t>(k) / kUnitRows) * p.ldc + j + static_cast<int64_t>(k) % kUnitRows];
        c = p.accumulate ? c + sums[k] : sums[k];
      }
    }
  }
}

void transpose(const float* in, int64_t ldi, int64_t rows, int64_t columns, float* out, int64_t ldo) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) out[c * ldo + r] = in[r * ldi + c];
  }
}

bool any_nan(const float* values, int64_t ld, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r) {
    if (std::any_of(values + r * ld, values + r * ld + columns, [](float v) { return std::isnan(v); })) return true;
  }
  return false;
}

class PlainBlock final : public BlockProduct {
 public:
  explicit PlainBlock(const Shape& shape) : s_(shape) {}
  size_t scratch_bytes() const override { return static_cast<size_t>(s_.columns) * sizeof(float); }
  void run(const void* a, const void* b, float* c, void* scratch) const override {
    std::fill_n(c, s_.rows * s_.columns, 0.0F);
    auto* const line = static_cast<float*>(scratch);
    for (int64_t p = 0; p < s_.k; ++p) {
      const bf16* const from = static_cast<const bf16*>(b) + p * s_.b_row;
      for (int64_t j = 0; j < s_.columns; ++j) line[j] = static_cast<float>(from[j * s_.b_column]);
      for (int64_t i = 0; i < s_.rows; ++i) {
        const auto x = static_cast<float>(static_cast<const bf16*>(a)[i * s_.lda + p]);
        for (int64_t j = 0; j < s_.columns; ++j) c[i * s_.columns + j] += x * line[j];
      }
    }
  }

 private:
  Shape s_;
};

void plain_pack_pairs(const PairSource& source, int64_t k, int64_t columns, float* panel) {
  for (int64_t p = 0; p < k; p += 2) {
    for (int64_t c = 0; c < kPanel; ++c) {
      bf16 pair[2] = {bf16(0.0F), bf16(0.0F)};
      for (int64_t half = 0; half < 2; ++half) {
        if (c < columns && p + half < k) pair[half] = source.values[(p + half) * source.step + c * source.column];
      }
      std::memcpy(panel + p / 2 * kPanel + c, pair, sizeof(pair));
    }
  }
}

template <int kRows>
void plain_pair_tile(const TileArgs& t) {
  const auto halves = [](const float* at) {
    // A bf16 is the upper half of an f32.
    const auto both = std::bit_cast<uint32_t>(*at);
    return std::array<float, 2>{std::bit_cast<float>(both << 16), std::bit_cast<float>(both & 0xffff0000U)};
  };
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t c = 0; c < kPanel; ++c) {
      float* const to = t.c + i * t.ldc + c / kChunk * t.c_chunk + c % kChunk;
      float sum = t.accumulate ? *to : 0.0F;
      for (int64_t p = 0; p < t.k; ++p) {
        const auto a = halves(t.a + p / kChunk * kChunk * kRows + i * kChunk + p % kChunk);
        const auto b = halves(static_cast<const float*>(t.b) + p * t.ldb + c / kChunk * t.b_chunk + c % kChunk);
        sum += a[0] * b[0] + a[1] * b[1];
      }
      *to = sum;
    }
  }
}

template <int... kRow>
PairKernels plain_pairs(std::integer_sequence<int, kRow...>) {
  return {plain_pack_pairs, {nullptr, plain_pair_tile<kRow + 1>...}};
}

}  // namespace

const LimbKernels& plain_limb_kernels() {
  static constexpr LimbKernels kKernels{split, multiply, transpose, any_nan};
  return kKernels;
}

std::shared_ptr<const BlockProduct> plain_block_product(const BlockProduct::Shape& shape) { return std::make_shared<PlainBlock>(shape); }

const PairKernels& plain_pair_kernels() {
  static const PairKernels kernels = plain_pairs(std::make_integer_sequence<int, kMaxTileRows>());
  return kernels;
}

}  // namespace lazuli::cpu
