// Copies between host and device. Large ones go through pinned memory: several threads fill (or empty) pieces while others travel.
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <thread>

#include "backend/cuda/library/crew.h"
#include "backend/cuda/library/driver.h"

namespace lazuli::cuda_library {

namespace {

constexpr size_t kPieceBytes = size_t{2} << 20;
constexpr size_t kSlots = 16;
/// Smaller copies are left to the driver.
constexpr size_t kWorthStaging = size_t{1} << 20;
/// Besides the caller; each holds one slot at a time.
constexpr size_t kMostHelpers = 7;
static_assert(kMostHelpers < kSlots);

CUdeviceptr at(const void* memory, size_t offset) { return reinterpret_cast<CUdeviceptr>(memory) + offset; }

Crew& crew() {
  static auto* const made = new Crew(std::min<size_t>(kMostHelpers, std::max(std::thread::hardware_concurrency(), 1u) - 1));
  return *made;
}

/// One piece of pinned memory.
struct Slot {
  std::byte* memory = nullptr;
  CUevent done = nullptr;  ///< after the last copy from or to it
};

/// What copies of several threads have in common that ends at the first failure.
class Failure {
 public:
  bool any() const { return status_.load(std::memory_order_relaxed) != LZ_OK; }
  /// Of a call on this thread, whose last error it is.
  void keep(int status) {
    const std::lock_guard lock(mutex_);
    if (any()) return;
    text_ = last_error();
    status_ = status;
  }
  /// The status, with its text made the calling thread's last error.
  int report() { return any() ? failed(status_, text_) : LZ_OK; }

 private:
  std::mutex mutex_;
  std::atomic<int> status_{LZ_OK};
  std::string text_;
};

}  // namespace

/// A device's pinned memory and the stream of the copies through it.
class Staging {
 public:
  int open(LzDevice* device) {
    device_ = device;
    LAZULI_TRY(check(driver()->cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "cuStreamCreate"));
    LAZULI_TRY(check(driver()->cuEventCreate(&border_, CU_EVENT_DISABLE_TIMING), "cuEventCreate"));
    // Many threads may wait for them, behind whatever the device has to do before.
    for (Slot& s : slots_)
      LAZULI_TRY(check(driver()->cuEventCreate(&s.done, CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC), "cuEventCreate"));
    void* memory = nullptr;
    LAZULI_TRY(check(driver()->cuMemHostAlloc(&memory, kSlots * kPieceBytes, 0), "cuMemHostAlloc"));
    for (size_t k = 0; k < kSlots; ++k) {
      slots_[k].memory = static_cast<std::byte*>(memory) + k * kPieceBytes;
      give_back(&slots_[k]);
    }
    return LZ_OK;
  }

  int upload(void* to, size_t bytes, LzFill fill, void* context) {
    // Work that was submitted earlier may still use the memory.
    LAZULI_TRY(put_behind(stream_, device_->stream));
    const int status = in_pieces(bytes, [&](Slot& slot, size_t offset, size_t size) -> int {
      LAZULI_TRY(check(driver()->cuEventSynchronize(slot.done), "cuEventSynchronize"));
      fill(context, slot.memory, offset, size);
      LAZULI_TRY(check(driver()->cuMemcpyHtoDAsync(at(to, offset), slot.memory, size, stream_), "cuMemcpyHtoDAsync"));
      return check(driver()->cuEventRecord(slot.done, stream_), "cuEventRecord");
    });
    // After a failure too: pieces may be on their way.
    const int joined = put_behind(device_->stream, stream_);
    return status != LZ_OK ? status : joined;
  }

  int download(void* to, const void* from, size_t bytes) {
    LAZULI_TRY(check(driver()->cuStreamSynchronize(device_->stream), "cuStreamSynchronize"));
    return in_pieces(bytes, [&](Slot& slot, size_t offset, size_t size) -> int {
      LAZULI_TRY(check(driver()->cuMemcpyDtoHAsync(slot.memory, at(from, offset), size, stream_), "cuMemcpyDtoHAsync"));
      LAZULI_TRY(check(driver()->cuEventRecord(slot.done, stream_), "cuEventRecord"));
      LAZULI_TRY(check(driver()->cuEventSynchronize(slot.done), "cuEventSynchronize"));
      std::memcpy(static_cast<std::byte*>(to) + offset, slot.memory, size);
      return LZ_OK;
    });
  }

 private:
  /// What is submitted to `later` from now on runs after what `earlier` has.
  int put_behind(CUstream later, CUstream earlier) {
    const std::lock_guard lock(border_mutex_);
    LAZULI_TRY(check(driver()->cuEventRecord(border_, earlier), "cuEventRecord"));
    return check(driver()->cuStreamWaitEvent(later, border_, 0), "cuStreamWaitEvent");
  }

  /// Calls `move` for every piece, on several threads, each with a slot of its own.
  template <class Move>
  int in_pieces(size_t bytes, const Move& move) {
    std::atomic<size_t> next{0};
    Failure failure;
    crew().run(
        [&] {
          int status = enter(device_);
          while (status == LZ_OK && !failure.any()) {
            const size_t offset = next.fetch_add(kPieceBytes);
            if (offset >= bytes) break;
            Slot* slot = take();
            status = move(*slot, offset, std::min(kPieceBytes, bytes - offset));
            give_back(slot);
          }
          if (status != LZ_OK) failure.keep(status);
        },
        (bytes - 1) / kPieceBytes);
    return failure.report();
  }

  /// The slot that was given back first: its copy is the likeliest to be done.
  Slot* take() {
    std::unique_lock lock(slots_mutex_);
    returned_.wait(lock, [this] { return free_count_ > 0; });
    Slot* slot = free_[first_free_];
    first_free_ = (first_free_ + 1) % kSlots;
    --free_count_;
    return slot;
  }

  void give_back(Slot* slot) {
    {
      const std::lock_guard lock(slots_mutex_);
      free_[(first_free_ + free_count_) % kSlots] = slot;
      ++free_count_;
    }
    returned_.notify_one();
  }

  LzDevice* device_ = nullptr;
  CUstream stream_ = nullptr;
  std::mutex border_mutex_;
  CUevent border_ = nullptr;
  std::array<Slot, kSlots> slots_;
  std::mutex slots_mutex_;
  std::condition_variable returned_;
  std::array<Slot*, kSlots> free_{};  ///< a ring
  size_t first_free_ = 0, free_count_ = 0;
};

namespace {

/// Null where a copy is left to the driver: it is small, this thread records, or there is no memory to pin.
Staging* staging_for(LzDevice* device, size_t bytes) {
  if (bytes <= kWorthStaging || stream_of(device) != device->stream) return nullptr;
  std::call_once(device->staging_once, [device] {
    // What a failure leaves is a stream and a few events, once.
    auto made = std::make_unique<Staging>();
    if (made->open(device) == LZ_OK) device->staging = made.release();
  });
  return device->staging;
}

int upload_plainly(LzDevice* device, void* to, size_t offset, const void* from, size_t bytes) {
  return check(driver()->cuMemcpyHtoDAsync(at(to, offset), from, bytes, device->stream), "cuMemcpyHtoDAsync");
}

void copy_piece(void* context, void* piece, size_t offset, size_t bytes) {
  std::memcpy(piece, static_cast<const std::byte*>(context) + offset, bytes);
}

}  // namespace

int upload(LzDevice* device, void* to, const void* from, size_t bytes) {
  LAZULI_TRY(enter(device));
  if (bytes == 0) return LZ_OK;
  if (Staging* staging = staging_for(device, bytes)) return staging->upload(to, bytes, copy_piece, const_cast<void*>(from));
  return upload_plainly(device, to, 0, from, bytes);
}

int upload_filled(LzDevice* device, void* to, size_t bytes, LzFill fill, void* context) {
  LAZULI_TRY(enter(device));
  if (bytes == 0) return LZ_OK;
  if (Staging* staging = staging_for(device, bytes)) return staging->upload(to, bytes, fill, context);
  const std::unique_ptr<std::byte[]> piece(new (std::nothrow) std::byte[std::min(bytes, kPieceBytes)]);
  if (piece == nullptr) return failed(LZ_OUT_OF_MEMORY, "no host memory is left for a copy");
  for (size_t offset = 0; offset < bytes; offset += kPieceBytes) {
    const size_t size = std::min(kPieceBytes, bytes - offset);
    fill(context, piece.get(), offset, size);
    LAZULI_TRY(upload_plainly(device, to, offset, piece.get(), size));
  }
  return LZ_OK;
}

int download(LzDevice* device, void* to, const void* from, size_t bytes) {
  LAZULI_TRY(enter(device));
  if (Staging* staging = staging_for(device, bytes)) return staging->download(to, from, bytes);
  if (bytes != 0) LAZULI_TRY(check(driver()->cuMemcpyDtoHAsync(to, at(from, 0), bytes, device->stream), "cuMemcpyDtoHAsync"));
  return check(driver()->cuStreamSynchronize(device->stream), "cuStreamSynchronize");
}

}  // namespace lazuli::cuda_library
