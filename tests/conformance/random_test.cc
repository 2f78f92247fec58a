// Checks the random numbers that all backends share.
#include "backend/random.h"

#include <gtest/gtest.h>

namespace lazuli {
namespace {

using Words = std::array<uint32_t, 4>;

// Known answers of the Random123 library.
TEST(Random, PhiloxGivesThePublishedNumbers) { EXPECT_EQ(philox(0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8})); }

TEST(Random, ElementsAreLanesOfBlocks) {
  for (uint64_t k = 0; k < 16; ++k) EXPECT_EQ(random_word(42, k), philox(42, k / 4)[k % 4]);
  EXPECT_NE(random_word(42, 0), random_word(43, 0));
  EXPECT_NE(random_word(42, 0), random_word(42 + (uint64_t{1} << 32), 0));
}

TEST(Random, UniformNeverReachesOne) {
  for (DType t : {DType::f32, DType::bf16, DType::f16}) {
    const float largest = uniform_from(~uint32_t{0}, uniform_bits(t));
    EXPECT_LT(t == DType::bf16 ? static_cast<float>(bf16(largest)) : t == DType::f16 ? static_cast<float>(f16(largest)) : largest, 1.0f);
    EXPECT_EQ(uniform_from(0, uniform_bits(t)), 0.0f);
  }
}

TEST(Random, NormalHasMeanZeroAndVarianceOne) {
  double sum = 0, squares = 0;
  constexpr uint64_t pairs = 100000;
  for (uint64_t j = 0; j < pairs; ++j) {
    for (double v : normal_from(random_word(7, 2 * j), random_word(7, 2 * j + 1))) {
      sum += v;
      squares += v * v;
    }
  }
  EXPECT_NEAR(sum / (2 * pairs), 0.0, 0.01);
  EXPECT_NEAR(squares / (2 * pairs), 1.0, 0.01);
}

TEST(Random, DropoutKeepsAllAtZeroAndNoneAtOne) {
  EXPECT_TRUE(dropout_keeps(0, 0.0f));
  EXPECT_FALSE(dropout_keeps(~uint32_t{0}, 1.0f));
}

}  // namespace
}  // namespace lazuli
