// Checks sizes for people: three digits and the unit that fits.
#include "base/human_size.h"

#include <gtest/gtest.h>

#include <utility>

namespace lazuli {
namespace {

TEST(HumanSize, HasThreeDigitsAndTheUnitThatFits) {
  for (const auto& [bytes, text] : {std::pair(0.0, "0 B"),
                                    {1, "1 B"},
                                    {999, "999 B"},
                                    {999.4, "999 B"},
                                    {999.5, "1.00 kB"},
                                    {1000, "1.00 kB"},
                                    {9990, "9.99 kB"},
                                    {10000, "10.0 kB"},
                                    {99900, "99.9 kB"},
                                    {100000, "100 kB"},
                                    {999400, "999 kB"},
                                    {999500, "1.00 MB"},
                                    {31.8e6, "31.8 MB"},
                                    {2.5e9, "2.50 GB"},
                                    {1e12, "1.00 TB"},
                                    {5e15, "5000 TB"}}) {
    EXPECT_EQ(human_bytes(bytes), text);
  }
  for (const auto& [count, text] :
       {std::pair(7.0, "7"), {999, "999"}, {1500, "1.50 k"}, {15.9e6, "15.9 M"}, {3e9, "3.00 G"}, {4e12, "4.00 T"}}) {
    EXPECT_EQ(human_count(count), text);
  }
}

}  // namespace
}  // namespace lazuli
