// Implements BufferPool.
#include "tensor/buffer_pool.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "base/human_size.h"
#include "lazuli/memory.h"
#include "tensor/device_memory.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LAZULI_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define LAZULI_ASAN 1
#endif
#ifdef LAZULI_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) (static_cast<void>(address), static_cast<void>(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) (static_cast<void>(address), static_cast<void>(size))
#endif

namespace lazuli {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kExactLimit = 4096;
constexpr size_t kMapThreshold = size_t{1} << 20;
constexpr size_t kHugePage = size_t{2} << 20;

/// Pages from the system, aligned to a huge page where the block holds one. Null when there are none.
void* map_pages(size_t bytes) {
  const bool huge = bytes >= kHugePage;
  const size_t span = huge ? bytes + kHugePage : bytes;
  void* base = mmap(nullptr, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  if (!huge) return base;
  auto* begin = static_cast<std::byte*>(base);
  const size_t head = (kHugePage - reinterpret_cast<uintptr_t>(base) % kHugePage) % kHugePage;
  if (head != 0) munmap(begin, head);
  munmap(begin + head + bytes, kHugePage - head);
  // Advice only: a kernel without huge pages refuses it and nothing is lost.
  static_cast<void>(madvise(begin + head, bytes, MADV_HUGEPAGE));
  return begin + head;
}

}  // namespace

void* BufferPool::system_allocate(size_t bytes) const {
  if (memory_ != nullptr) return memory_->allocate(bytes);
  return bytes >= kMapThreshold ? map_pages(bytes) : std::aligned_alloc(kAlignment, bytes);
}

void BufferPool::system_free(void* data, size_t bytes) const {
  if (memory_ != nullptr) {
    memory_->release(data);
  } else if (bytes >= kMapThreshold) {
    munmap(data, bytes);
  } else {
    std::free(data);
  }
}

/// A Buffer with its place in a free list; object and memory stay together while cached.
struct BufferPool::Block final : Buffer {
  Block(BufferPool* pool, void* data, size_t size_class, Release on_release)
      : Buffer(data, 0, Device{}, on_release), pool_(pool), size_class_(size_class) {}
  BufferPool* pool_;
  Block* next_ = nullptr;
  size_t size_class_;
};

class BufferPool::Guard {
 public:
  explicit Guard(const BufferPool& pool) : pool_(pool) { pool_.lock(); }
  ~Guard() { pool_.unlock(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  const BufferPool& pool_;
};

BufferPool& BufferPool::host() {
  static BufferPool* pool = new BufferPool(nullptr);
  return *pool;
}

BufferPool& BufferPool::of(Device device) {
  if (on_host(device)) return host();
  static std::array<std::atomic<BufferPool*>, 64> pools{};
  static std::mutex opening;
  if (device.index < 0 || device.index >= static_cast<int>(pools.size()))
    throw DeviceError("device " + to_string(device) + " is not there");
  std::atomic<BufferPool*>& pool = pools[static_cast<size_t>(device.index)];
  if (BufferPool* made = pool.load(std::memory_order_acquire)) return *made;
  DeviceMemory* const memory = &DeviceMemory::of(device);
  const std::lock_guard lock(opening);
  if (pool.load() == nullptr) pool.store(new BufferPool(memory));
  return *pool.load();
}

BufferPool::BufferPool(DeviceMemory* memory) : memory_(memory) {
  stats_.budget_bytes = std::numeric_limits<size_t>::max();
  if (memory != nullptr) {
    system_bytes_ = limit_ = memory->total_bytes();
    return;
  }
  struct sysinfo info {};
  if (sysinfo(&info) == 0) {
    system_bytes_ = (info.totalram + info.totalswap) * info.mem_unit;
    limit_ = info.totalram * info.mem_unit / 2;
  } else {
    system_bytes_ = std::numeric_limits<size_t>::max();
    limit_ = size_t{1} << 30;
  }
  // A child forked while another thread holds the lock would wait for it for ever.
  pthread_atfork([] { host().lock(); }, [] { host().unlock(); }, [] { host().unlock(); });
}

void BufferPool::lock() const {
  int spins = 0;
  while (locked_.exchange(true, std::memory_order_acquire)) {
    while (locked_.load(std::memory_order_relaxed)) {
      // The holder may have lost its core.
      if (++spins % 256 == 0) sched_yield();
    }
  }
}

size_t BufferPool::class_of(size_t bytes) {
  if (bytes <= kExactLimit) return (std::max<size_t>(bytes, 1) - 1) / kAlignment;
  const auto log2 = static_cast<size_t>(std::bit_width(bytes - 1)) - 1;
  const size_t step = (bytes - 1 - (size_t{1} << log2)) >> (log2 - 2);
  return kExactClasses + (log2 - 12) * 4 + step;
}

size_t BufferPool::capacity_of(size_t size_class) {
  if (size_class < kExactClasses) return (size_class + 1) * kAlignment;
  const size_t log2 = (size_class - kExactClasses) / 4 + 12;
  const size_t step = (size_class - kExactClasses) % 4;
  return (size_t{1} << log2) + ((step + 1) << (log2 - 2));
}

void BufferPool::count_live(size_t bytes, size_t capacity) {
  live_capacity_ += capacity;
  stats_.live_bytes += bytes;
  stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.live_bytes);
}

BufferPool::Block* BufferPool::take(size_t size_class, size_t bytes) {
  const Guard guard(*this);
  SizeClass& slot = classes_[size_class];
  slot.last_use = ++clock_;
  Block* block = slot.free;
  // Beyond the budget, which may have been lowered since, `reserve` says why there is none.
  if (block == nullptr || live_capacity_ + capacity_of(size_class) > stats_.budget_bytes) return nullptr;
  slot.free = block->next_;
  stats_.cached_bytes -= capacity_of(size_class);
  count_live(bytes, capacity_of(size_class));
  return block;
}

void BufferPool::reserve(size_t bytes, size_t capacity) {
  Block* evicted = nullptr;
  {
    const Guard guard(*this);
    const size_t budget = stats_.budget_bytes;
    if (capacity > budget || live_capacity_ > budget - capacity) {
      throw OutOfMemory(fmt::format("allocate: needs {}, but {} of the limit of {} are in use", human_bytes(bytes),
                                    human_bytes(live_capacity_), human_bytes(budget)));
    }
    // Counted at once, so that two threads do not both pass.
    count_live(bytes, capacity);
    if (stats_.cached_bytes > budget - live_capacity_) evicted = evict_locked(budget - live_capacity_);
  }
  destroy_list(evicted);
}

BufferPool::Block* BufferPool::make(size_t size_class, size_t bytes) {
  const size_t capacity = capacity_of(size_class);
  reserve(bytes, capacity);
  void* data = system_allocate(capacity);
  if (data == nullptr) {
    trim();
    data = system_allocate(capacity);
  }
  auto* block = data == nullptr ? nullptr : new (std::nothrow) Block(this, data, size_class, &BufferPool::recycle);
  const Guard guard(*this);
  if (block == nullptr) {
    live_capacity_ -= capacity;
    stats_.live_bytes -= bytes;
    if (data != nullptr) system_free(data, capacity);
    throw OutOfMemory(fmt::format("allocate: needs {}, which the system does not have left", human_bytes(bytes)));
  }
  ++stats_.system_allocations;
  return block;
}

BufferRef BufferPool::allocate(size_t bytes, Device device) {
  if (bytes > system_bytes_ || bytes > capacity_of(kClasses - 1)) {
    throw OutOfMemory(fmt::format("allocate: needs {}, more than the {} of this machine", human_bytes(bytes), human_bytes(system_bytes_)));
  }
  const size_t size_class = class_of(bytes);
  Block* block = take(size_class, bytes);
  if (block == nullptr) {
    block = make(size_class, bytes);
  } else if (memory_ == nullptr) {
    ASAN_UNPOISON_MEMORY_REGION(block->data_, capacity_of(size_class));
  }
  block->bytes_ = bytes;
  block->device_ = device;
  block->refs_.store(1, std::memory_order_relaxed);
  return BufferRef(block);
}

void BufferPool::recycle(Buffer* buffer) {
  auto* block = static_cast<Block*>(buffer);
  BufferPool& pool = *block->pool_;
  const size_t capacity = capacity_of(block->size_class_);
  if (pool.memory_ == nullptr) ASAN_POISON_MEMORY_REGION(block->data_, capacity);
  Block* evicted = nullptr;
  {
    const Guard guard(pool);
    SizeClass& slot = pool.classes_[block->size_class_];
    slot.last_use = ++pool.clock_;
    block->next_ = slot.free;
    slot.free = block;
    pool.stats_.live_bytes -= block->bytes_;
    pool.live_capacity_ -= capacity;
    pool.stats_.cached_bytes += capacity;
    if (pool.stats_.cached_bytes > pool.limit_) evicted = pool.evict_locked(pool.limit_);
  }
  pool.destroy_list(evicted);
}

BufferPool::Block* BufferPool::evict_locked(size_t limit) {
  Block* evicted = nullptr;
  while (stats_.cached_bytes > limit) {
    SizeClass* oldest = nullptr;
    for (SizeClass& c : classes_) {
      if (c.free != nullptr && (oldest == nullptr || c.last_use < oldest->last_use)) oldest = &c;
    }
    while (oldest->free != nullptr && stats_.cached_bytes > limit) {
      Block* block = oldest->free;
      oldest->free = block->next_;
      stats_.cached_bytes -= capacity_of(block->size_class_);
      block->next_ = evicted;
      evicted = block;
    }
  }
  return evicted;
}

void BufferPool::destroy_list(Block* list) const {
  while (list != nullptr) {
    Block* next = list->next_;
    const size_t capacity = capacity_of(list->size_class_);
    if (memory_ == nullptr) ASAN_UNPOISON_MEMORY_REGION(list->data_, capacity);
    system_free(list->data_, capacity);
    delete list;
    list = next;
  }
}

size_t BufferPool::rounded(size_t bytes) {
  const size_t largest = capacity_of(kClasses - 1);
  return bytes > largest ? bytes : capacity_of(class_of(bytes));
}

size_t BufferPool::in_use() const {
  const Guard guard(*this);
  return live_capacity_;
}

PoolStats BufferPool::stats() const {
  const Guard guard(*this);
  return stats_;
}

void BufferPool::reset_peak() {
  const Guard guard(*this);
  stats_.peak_bytes = stats_.live_bytes;
}

void BufferPool::set_limit(size_t bytes) {
  Block* evicted = nullptr;
  {
    const Guard guard(*this);
    limit_ = bytes;
    evicted = evict_locked(bytes);
  }
  destroy_list(evicted);
}

void BufferPool::set_budget(size_t bytes) {
  Block* evicted = nullptr;
  {
    const Guard guard(*this);
    stats_.budget_bytes = bytes;
    evicted = evict_locked(bytes - std::min(bytes, live_capacity_));
  }
  destroy_list(evicted);
}

void BufferPool::trim() {
  Block* evicted = nullptr;
  {
    const Guard guard(*this);
    evicted = evict_locked(0);
  }
  destroy_list(evicted);
}

MemoryStats memory_stats(Device device) {
  const PoolStats s = BufferPool::of(device).stats();
  return {s.live_bytes, s.peak_bytes, s.cached_bytes, s.system_allocations, s.budget_bytes};
}

size_t allocated_bytes(size_t bytes) { return BufferPool::rounded(bytes); }

bool fits_memory(const MemoryNeed& need, Device device) {
  const size_t limit = BufferPool::of(device).stats().budget_bytes, in_use = BufferPool::of(device).in_use();
  return in_use <= limit && need.total() <= limit - in_use;
}

void require_memory(std::string_view who, const MemoryNeed& need, Device device) {
  if (fits_memory(need, device)) return;
  const size_t limit = BufferPool::of(device).stats().budget_bytes;
  const size_t in_use = BufferPool::of(device).in_use();
  std::string parts;
  const std::pair<const char*, size_t> named[] = {{"in use", in_use},
                                                  {"weights", need.weights},
                                                  {"arguments", need.arguments},
                                                  {"workspace", need.workspace},
                                                  {"results", need.results}};
  for (const auto& [name, bytes] : named) {
    if (bytes > 0) parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", name, human_bytes(bytes));
  }
  throw OutOfMemory(fmt::format("{} needs {} ({}), limit {}", who, human_bytes(in_use + need.total()), parts, human_bytes(limit)));
}

void set_memory_limit(size_t bytes, Device device) { BufferPool::of(device).set_budget(bytes); }

BufferRef allocate_buffer(size_t bytes, Device device) { return BufferPool::of(device).allocate(bytes, device); }

}  // namespace lazuli
