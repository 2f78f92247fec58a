// Tests of the buffer pool: alignment, recycling, counters, limits and threads.
#include "tensor/buffer_pool.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "lazuli/memory.h"
#include "support/memory_limit.h"

namespace lazuli {
namespace {

class BufferPoolTest : public testing::Test {
 protected:
  void SetUp() override { pool().trim(); }
  static BufferPool& pool() { return BufferPool::host(); }
};

TEST_F(BufferPoolTest, BlocksAreAlignedAndLargeEnough) {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{64}, size_t{65}, size_t{4096}, size_t{4097}, size_t{5120}, size_t{5121}, size_t{8192},
                       size_t{1000000}, size_t{1} << 20, size_t{3000000}, size_t{1} << 23}) {
    const BufferRef b = allocate_buffer(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(b->data()) % 64, 0U);
    EXPECT_EQ(b->bytes(), bytes);
    std::memset(b->data(), 1, bytes);
  }
}

TEST_F(BufferPoolTest, AWarmAllocationComesFromTheCache) {
  void* first = nullptr;
  {
    const BufferRef b = allocate_buffer(5000);
    first = b->data();
  }
  const uint64_t before = pool().stats().system_allocations;
  for (int i = 0; i < 100; ++i) {
    const BufferRef b = allocate_buffer(4500, {DeviceKind::reference, 0});
    EXPECT_EQ(b->data(), first);
    EXPECT_EQ(b->device().kind, DeviceKind::reference);
    EXPECT_TRUE(b->unique());
  }
  EXPECT_EQ(pool().stats().system_allocations, before);
}

TEST_F(BufferPoolTest, CountsLivePeakAndCachedBytes) {
  const size_t base = pool().stats().live_bytes;
  pool().reset_peak();
  {
    const BufferRef a = allocate_buffer(1000);
    const BufferRef b = allocate_buffer(2000);
    EXPECT_EQ(pool().stats().live_bytes, base + 3000);
  }
  PoolStats s = pool().stats();
  EXPECT_EQ(s.live_bytes, base);
  EXPECT_EQ(s.peak_bytes, base + 3000);
  EXPECT_EQ(s.cached_bytes, 1024U + 2048U);
  pool().reset_peak();
  EXPECT_EQ(pool().stats().peak_bytes, base);
  pool().trim();
  EXPECT_EQ(pool().stats().cached_bytes, 0U);
}

TEST_F(BufferPoolTest, TheLimitBoundsTheCacheAndEvictsTheOldestClass) {
  { const BufferRef old = allocate_buffer(4096); }
  pool().set_limit(10000);
  { const BufferRef a = allocate_buffer(8192); }
  EXPECT_EQ(pool().stats().cached_bytes, 8192U);
  { const BufferRef big = allocate_buffer(100000); }
  EXPECT_LE(pool().stats().cached_bytes, 10000U);
  pool().set_limit(size_t{1} << 30);
}

TEST_F(BufferPoolTest, TheBudgetBoundsWhatIsHeldAndCachedBlocksGoFirst) {
  // Other tests of the process may hold blocks a little larger than what they asked for, so the sizes are large beside that; nothing is
  // written to them.
  constexpr size_t kUnit = size_t{1} << 26;
  const test::KeptMemoryLimit kept;
  pool().trim();
  const size_t before = pool().stats().live_bytes;
  { const BufferRef cached = allocate_buffer(kUnit); }
  set_memory_limit(before + 3 * kUnit);
  {
    const BufferRef half = allocate_buffer(3 * kUnit / 2);
    EXPECT_THROW(allocate_buffer(3 * kUnit), OutOfMemory);
    const BufferRef rest = allocate_buffer(kUnit);
  }
  const BufferRef all = allocate_buffer(5 * kUnit / 2);
  EXPECT_LE(memory_stats().live_bytes + memory_stats().cached_bytes, memory_stats().limit_bytes);
}

TEST_F(BufferPoolTest, ALowerBudgetAppliesToCachedBlocks) {
  constexpr size_t kUnit = size_t{1} << 26;
  const test::KeptMemoryLimit kept;
  pool().trim();
  const size_t before = pool().stats().live_bytes;
  const BufferRef held = allocate_buffer(2 * kUnit);
  { const BufferRef cached = allocate_buffer(kUnit); }
  EXPECT_GE(pool().stats().cached_bytes, kUnit);
  set_memory_limit(before + 2 * kUnit + kUnit / 2);
  EXPECT_LE(pool().stats().cached_bytes, kUnit / 2);
  EXPECT_THROW(allocate_buffer(kUnit), OutOfMemory);
  // Blocks that are given back while more is held than the budget allows.
  set_memory_limit(std::numeric_limits<size_t>::max());
  BufferRef other = allocate_buffer(kUnit);
  set_memory_limit(before + kUnit);
  other = BufferRef();
  EXPECT_THROW(allocate_buffer(kUnit), OutOfMemory);
}

TEST_F(BufferPoolTest, ThreadsDoNotPassTheBudgetTogether) {
  constexpr size_t kUnit = size_t{1} << 26;
  constexpr int kThreads = 4;
  const test::KeptMemoryLimit kept;
  for (int round = 0; round < 200; ++round) {
    pool().trim();
    set_memory_limit(pool().stats().live_bytes + 2 * kUnit + kUnit / 2);
    std::atomic<int> ready{0}, given{0};
    std::vector<BufferRef> held(kThreads);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        ++ready;
        while (ready < kThreads) std::this_thread::yield();
        try {
          held[static_cast<size_t>(t)] = allocate_buffer(kUnit);
          ++given;
        } catch (const OutOfMemory&) {
        }
      });
    }
    for (std::thread& t : threads) t.join();
    ASSERT_EQ(given, 2) << "round " << round;
  }
}

TEST_F(BufferPoolTest, RefusesMoreMemoryThanTheMachineHas) {
  for (size_t bytes : {size_t{1} << 46, size_t{1} << 60, ~size_t{0}}) {
    try {
      allocate_buffer(bytes);
      FAIL();
    } catch (const OutOfMemory& e) {
      EXPECT_NE(std::string(e.what()).find("of this machine"), std::string::npos) << e.what();
    }
  }
}

TEST_F(BufferPoolTest, ThreadsNeverShareABlock) {
  const size_t base = pool().stats().live_bytes;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &wrong] {
      std::vector<BufferRef> held(8);
      for (size_t i = 0; i < 5000; ++i) {
        BufferRef& slot = held[i % held.size()];
        if (slot && *static_cast<int*>(slot->data()) != t) ++wrong;
        slot = allocate_buffer(64 * (1 + i % 5));
        *static_cast<int*>(slot->data()) = t;
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(pool().stats().live_bytes, base);
}

TEST_F(BufferPoolTest, AForkedChildCanAllocate) {
  const BufferRef before = allocate_buffer(100);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    { const BufferRef b = allocate_buffer(100); }
    _exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace lazuli
