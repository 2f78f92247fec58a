// Tests of the checked arithmetic.
#include "base/checked.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace lazuli {
namespace {

TEST(Checked, ReportsOverflowAndKeepsOtherResults) {
  EXPECT_EQ(checked_add<uint64_t>(UINT64_MAX - 1, 1), UINT64_MAX);
  EXPECT_FALSE(checked_add<uint64_t>(UINT64_MAX, 1));
  EXPECT_FALSE(checked_sub<uint64_t>(1, 2));
  EXPECT_EQ(checked_mul<int64_t>(int64_t{1} << 31, int64_t{1} << 31), int64_t{1} << 62);
  EXPECT_FALSE(checked_mul<int64_t>(int64_t{1} << 32, int64_t{1} << 31));
}

TEST(Checked, CastRefusesWhatDoesNotFit) {
  EXPECT_EQ(checked_cast<int8_t>(127), 127);
  EXPECT_FALSE(checked_cast<int8_t>(128));
  EXPECT_FALSE(checked_cast<uint32_t>(-1));
  EXPECT_FALSE(checked_cast<int64_t>(UINT64_MAX));
}

TEST(Checked, RoundsUpToPowersOfTwo) {
  EXPECT_EQ(checked_round_up<uint64_t>(0, 8), 0U);
  EXPECT_EQ(checked_round_up<uint64_t>(9, 8), 16U);
  EXPECT_FALSE(checked_round_up<uint64_t>(UINT64_MAX, 8));
}

}  // namespace
}  // namespace lazuli
