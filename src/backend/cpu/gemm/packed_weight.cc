#include "backend/cpu/gemm/packed_weight.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "backend/cpu/gemm/gemm_pieces.h"
#include "base/pages.h"
#include "base/system_info.h"
#include "lazuli/memory.h"
#include "tensor/device_memory.h"

namespace lazuli::cpu {

namespace {

constexpr uintptr_t kPage = 4096, kHugePage = size_t{2} << 20;

/// Entries by address. Looked up by every large product, without a lock; a free place ends a search, a place that was left does not.
class Table {
 public:
  PackedWeight* find(const void* key) const {
    for (size_t i = place(key), n = 0; n < kSlots; i = (i + 1) % kSlots, ++n) {
      const void* const found = slots_[i].key.load(std::memory_order_acquire);
      if (found == key) return slots_[i].weight.load(std::memory_order_acquire);
      if (found == nullptr) return nullptr;
    }
    return nullptr;
  }
  bool insert(const void* key, PackedWeight* weight) {
    std::lock_guard lock(mutex_);
    if (used_ >= kSlots / 2 || find(key) != nullptr) return false;
    size_t i = place(key);
    while (taken(i)) i = (i + 1) % kSlots;
    slots_[i].weight.store(weight, std::memory_order_release);
    slots_[i].key.store(key, std::memory_order_release);
    ++used_;
    return true;
  }
  void erase(const void* key) {
    std::lock_guard lock(mutex_);
    size_t i = place(key);
    while (slots_[i].key.load(std::memory_order_relaxed) != key) i = (i + 1) % kSlots;
    --used_;
    // Places that were left before a free one need not be searched.
    const bool last = slots_[(i + 1) % kSlots].key.load(std::memory_order_relaxed) == nullptr;
    slots_[i].key.store(last ? nullptr : &left_, std::memory_order_release);
    while (last) {
      i = (i + kSlots - 1) % kSlots;
      if (slots_[i].key.load(std::memory_order_relaxed) != &left_) break;
      slots_[i].key.store(nullptr, std::memory_order_release);
    }
  }

 private:
  static constexpr size_t kSlots = 8192;
  struct Slot {
    std::atomic<const void*> key{nullptr};
    std::atomic<PackedWeight*> weight{nullptr};
  };
  static size_t place(const void* key) { return (reinterpret_cast<uintptr_t>(key) / 64 * 0x9E3779B97F4A7C15u >> 40) % kSlots; }
  bool taken(size_t i) const {
    const void* const key = slots_[i].key.load(std::memory_order_relaxed);
    return key != nullptr && key != &left_;
  }

  std::mutex mutex_;
  size_t used_ = 0;
  char left_ = 0;
  std::array<Slot, kSlots> slots_;
};

// Never destroyed: tensors may outlive main.
Table& table() {
  static auto* const weights = new Table;
  return *weights;
}

}  // namespace

PackedWeight::PackedWeight(const float* values, int64_t rows, int64_t columns, bool in_file)
    : values_(values), rows_(rows), columns_(columns), in_file_(in_file) {
  const int64_t floats = std::max(round_up(rows, kPanel) * columns, rows * round_up(columns, kPanel));
  mapped_bytes_ = static_cast<size_t>(floats) * sizeof(float) + kHugePage;
  void* const mapped = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return;
  // Aligned, so that whole large pages fit in; what lies before is given back.
  const auto begin = reinterpret_cast<uintptr_t>(mapped), aligned = (begin + kHugePage - 1) / kHugePage * kHugePage;
  if (aligned > begin) munmap(mapped, aligned - begin);
  // Nothing beyond the panels: a large page there would be memory for nothing.
  const uintptr_t end = begin + mapped_bytes_, needed = (aligned + static_cast<size_t>(floats) * sizeof(float) + kPage - 1) / kPage * kPage;
  if (end > needed) munmap(reinterpret_cast<void*>(needed), end - needed);
  mapped_bytes_ = needed - aligned;
  panels_ = reinterpret_cast<float*>(aligned);
  static_cast<void>(madvise(panels_, mapped_bytes_, MADV_HUGEPAGE));
  states_ = std::make_unique<std::atomic<State>[]>(static_cast<size_t>(divide_up(std::max(rows, columns), kPanel)));
}

PackedWeight::~PackedWeight() {
  if (panels_ != nullptr) munmap(panels_, mapped_bytes_);
}

PackedWeight* PackedWeight::find(const void* values, int64_t rows, int64_t columns) {
  PackedWeight* const w = table().find(values);
  return w != nullptr && w->rows_ == rows && w->columns_ == columns ? w : nullptr;
}

bool PackedWeight::enter() { return table().insert(values_, this); }
void PackedWeight::leave() { table().erase(values_); }

void PackedWeight::count(By by, int64_t rows) {
  if (this->by() != By::nothing) return;
  const int64_t before = seen_.fetch_add(rows, std::memory_order_relaxed);
  if (before < kRowsBefore || weighed_.exchange(true, std::memory_order_relaxed)) return;
  // Of no use where it would push other things out of memory.
  if (memory_available() / 2 < mapped_bytes_) return;
  left_.store(divide_up(by == By::rows ? rows_ : columns_, kPanel), std::memory_order_relaxed);
  by_.store(by, std::memory_order_release);
}

int64_t PackedWeight::panel_floats() const { return kPanel * (by() == By::rows ? columns_ : rows_); }

bool PackedWeight::claim(int64_t k) {
  State empty = State::empty;
  return states_[static_cast<size_t>(k)].compare_exchange_strong(empty, State::claimed, std::memory_order_acquire);
}

void PackedWeight::fill_done(int64_t k) {
  states_[static_cast<size_t>(k)].store(State::done, std::memory_order_release);
  if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1 && in_file_) {
    drop_pages(values_, static_cast<size_t>(rows_ * columns_) * sizeof(float));
  }
}

namespace {

/// The weight's memory under a name of its own, with what belongs to it.
class WeightBuffer : public Buffer {
 public:
  WeightBuffer(const Tensor& weight, bool in_file)
      : Buffer(const_cast<void*>(weight.raw()), weight.nbytes(), weight.device(), &destroy),
        memory_(weight.buffer()),
        packed_(static_cast<const float*>(weight.raw()), weight.dim(0), weight.dim(1), in_file),
        entered_(packed_.has_room() && packed_.enter()) {
    constant_ = true;
  }
  ~WeightBuffer() override {
    if (entered_) packed_.leave();
  }
  bool entered() const { return entered_; }

 private:
  static void destroy(Buffer* buffer) { delete buffer; }

  BufferRef memory_;
  PackedWeight packed_;
  bool entered_;
};

}  // namespace

Tensor keep_panels(const Tensor& weight, bool in_file) {
  if (!on_host(weight.device()) || weight.dtype() != DType::f32 || weight.rank() != 2 || !weight.is_contiguous() ||
      weight.numel() < threshold::kept::kFewestFloats) {
    return weight;
  }
  if (!in_file && !fits_memory({.weights = 2 * weight.nbytes() + memory_stats().live_bytes})) return weight;
  auto* const buffer = new WeightBuffer(weight, in_file);
  BufferRef owner(buffer);
  if (!buffer->entered()) return weight;
  return {weight.dtype(), weight.shape(), std::move(owner)};
}

}  // namespace lazuli::cpu
