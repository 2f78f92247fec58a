// Checks the placement of intermediates: nothing overlaps what is alive beside it, memory is used again, and both ways of placing (few
// storages by size, many by time) keep to that.
#include "plan/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace lazuli {
namespace {

/// The most that is placed by size (placement.cc: kQuadraticLimit).
constexpr size_t kBySize = 4000;

Storage storage(int64_t bytes, int32_t first_wave, int32_t last_wave) {
  Storage s;
  s.bytes = bytes;
  s.first_wave = first_wave;
  s.last_wave = last_wave;
  return s;
}

int64_t place(std::vector<Storage>& storages) {
  std::vector<Storage*> all;
  for (Storage& s : storages) all.push_back(&s);
  return lazuli::place(std::move(all));
}

/// The most bytes that are alive in one wave: no placement takes less.
int64_t alive_at_most(const std::vector<Storage>& storages) {
  int64_t most = 0;
  for (const Storage& at : storages) {
    int64_t alive = 0;
    for (const Storage& s : storages) alive += s.first_wave <= at.first_wave && s.last_wave >= at.first_wave ? align_up(s.bytes) : 0;
    most = std::max(most, alive);
  }
  return most;
}

void expect_no_overlap(const std::vector<Storage>& storages, int64_t end) {
  std::vector<const Storage*> by_offset;
  for (const Storage& s : storages) by_offset.push_back(&s);
  std::sort(by_offset.begin(), by_offset.end(), [](const Storage* a, const Storage* b) { return a->offset < b->offset; });
  for (size_t k = 0; k < by_offset.size(); ++k) {
    const Storage& s = *by_offset[k];
    ASSERT_EQ(s.offset % 64, 0);
    ASSERT_GE(s.offset, 0);
    ASSERT_LE(s.offset + s.bytes, end);
    for (size_t next = k + 1; next < by_offset.size() && by_offset[next]->offset < s.offset + s.bytes; ++next) {
      const Storage& other = *by_offset[next];
      ASSERT_TRUE(other.last_wave < s.first_wave || other.first_wave > s.last_wave)
          << s.bytes << " bytes at " << s.offset << " in waves " << s.first_wave << " to " << s.last_wave << ", " << other.bytes << " at "
          << other.offset << " in waves " << other.first_wave << " to " << other.last_wave;
    }
  }
}

std::vector<Storage> random_storages(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Storage> storages;
  for (size_t k = 0; k < count; ++k) {
    const auto first = static_cast<int32_t>(random() % (count / 4 + 1)), length = static_cast<int32_t>(random() % 8);
    storages.push_back(storage(static_cast<int64_t>(1 + random() % 5000), first, first + length));
  }
  return storages;
}

TEST(Placement, NothingOverlapsWhatIsAliveBesideIt) {
  for (size_t count : {size_t{1}, size_t{2}, size_t{50}, kBySize, kBySize + 1}) {
    SCOPED_TRACE(count);
    std::vector<Storage> storages = random_storages(count, static_cast<uint32_t>(count));
    const int64_t end = place(storages), least = alive_at_most(storages);
    expect_no_overlap(storages, end);
    EXPECT_GE(end, least);
    // Gaps cost something, but most memory is used again.
    EXPECT_LE(end, 2 * least);
  }
}

/// `repeats` times a chain: each value is read by the next wave only. Two lie beside each other in every wave.
std::vector<Storage> chain(size_t count, int64_t bytes) {
  std::vector<Storage> storages;
  for (size_t k = 0; k < count; ++k) storages.push_back(storage(bytes, static_cast<int32_t>(k), static_cast<int32_t>(k) + 1));
  return storages;
}

TEST(Placement, AChainTakesTwoOfItsValues) {
  for (size_t count : {size_t{10}, kBySize, kBySize + 1}) {
    std::vector<Storage> storages = chain(count, 100);
    EXPECT_EQ(place(storages), 256) << count;
    expect_no_overlap(storages, 256);
  }
}

TEST(Placement, AStorageIsFreeOnlyAfterItsLastWave) {
  for (size_t more : {size_t{0}, kBySize}) {
    // Filling up to the other way of placing, in waves of its own.
    std::vector<Storage> storages = {storage(64, 0, 1), storage(64, 1, 1), storage(64, 2, 2)};
    for (size_t k = 0; k < more; ++k) storages.push_back(storage(64, static_cast<int32_t>(10 + k), static_cast<int32_t>(10 + k)));
    EXPECT_EQ(place(storages), 128) << more;
    EXPECT_NE(storages[0].offset, storages[1].offset) << more;
    expect_no_overlap(storages, 128);
  }
}

/// Storages that begin all at once and die so that pieces of free memory meet, before one as large as all of them together.
std::vector<Storage> pieces_that_meet(const std::vector<size_t>& order_of_death, size_t filling) {
  std::vector<Storage> storages;
  for (size_t k = 0; k < order_of_death.size(); ++k) storages.push_back(storage(64, 0, 0));
  for (size_t k = 0; k < order_of_death.size(); ++k) storages[order_of_death[k]].last_wave = static_cast<int32_t>(k + 1);
  const auto after = static_cast<int32_t>(order_of_death.size() + 2);
  storages.push_back(storage(static_cast<int64_t>(64 * order_of_death.size()), after, after));
  for (size_t k = 0; k < filling; ++k) storages.push_back(storage(64, after + 1, after + 1));
  return storages;
}

TEST(Placement, FreePiecesThatMeetAreOne) {
  for (const auto& order : std::vector<std::vector<size_t>>{{0, 1, 2, 3}, {3, 2, 1, 0}, {0, 2, 1, 3}, {1, 3, 0, 2}}) {
    std::vector<Storage> storages = pieces_that_meet(order, kBySize);
    const int64_t end = place(storages);
    expect_no_overlap(storages, end);
    EXPECT_EQ(storages[order.size()].offset, 0) << "the large one fits where the four were";
  }
}

TEST(Placement, ByTimeTheSmallestPieceThatFitsIsTaken) {
  // Free after wave 1: 256 bytes at 0 and 128 at 320, which are apart; 128 are asked for first, then 256.
  std::vector<Storage> storages = {storage(256, 0, 0), storage(64, 0, 9),  storage(128, 0, 0),
                                   storage(64, 0, 9),  storage(128, 2, 3), storage(256, 2, 3)};
  for (size_t k = 0; k < kBySize; ++k) storages.push_back(storage(64, static_cast<int32_t>(10 + k), static_cast<int32_t>(10 + k)));
  EXPECT_EQ(place(storages), 512);
  EXPECT_EQ(storages[4].offset, storages[2].offset);
  EXPECT_EQ(storages[5].offset, storages[0].offset);
}

TEST(Placement, TheRestOfAPieceIsFreeToo) {
  std::vector<Storage> storages = {storage(192, 0, 0), storage(64, 1, 2), storage(128, 2, 2)};
  for (size_t k = 0; k < kBySize; ++k) storages.push_back(storage(64, static_cast<int32_t>(10 + k), static_cast<int32_t>(10 + k)));
  EXPECT_EQ(place(storages), 192);
  expect_no_overlap(storages, 192);
}

TEST(Placement, NothingTakesNothing) {
  std::vector<Storage> none;
  EXPECT_EQ(place(none), 0);
  EXPECT_EQ(align_up(0), 0);
  EXPECT_EQ(align_up(1), 64);
  EXPECT_EQ(align_up(64), 64);
  EXPECT_EQ(align_up(65), 128);
}

}  // namespace
}  // namespace lazuli
