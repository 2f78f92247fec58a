// Reads of a few bytes that wait for nothing that was submitted after them.
#include <cstring>
#include <mutex>
#include <vector>

#include "backend/cuda/library/driver.h"

/// Pinned memory that one copy goes to, and the event behind it.
struct LzRead {
  LzDevice* device = nullptr;
  void* memory = nullptr;
  CUevent event = nullptr;
  size_t bytes = 0;
};

namespace lazuli::cuda_library {

namespace {

constexpr size_t kMostBytes = 1024;

/// Reads that ended, for the next ones: memory of a read is never freed, and a program has few of them at a time.
struct Ended {
  std::mutex mutex;
  std::vector<LzRead*> reads;
};
Ended& ended() {
  static auto* list = new Ended;
  return *list;
}

LzRead* used_before(const LzDevice* device) {
  Ended& list = ended();
  const std::lock_guard lock(list.mutex);
  for (LzRead*& read : list.reads) {
    if (read->device != device) continue;
    LzRead* found = read;
    read = list.reads.back();
    list.reads.pop_back();
    return found;
  }
  return nullptr;
}

void keep(LzRead* read) {
  Ended& list = ended();
  const std::lock_guard lock(list.mutex);
  list.reads.push_back(read);
}

int make(LzDevice* device, LzRead** made) {
  LzRead read;
  read.device = device;
  int status = check(driver()->cuMemHostAlloc(&read.memory, kMostBytes, CU_MEMHOSTALLOC_PORTABLE), "cuMemHostAlloc");
  if (status != LZ_OK) return status;
  status = check(driver()->cuEventCreate(&read.event, CU_EVENT_DISABLE_TIMING), "cuEventCreate");
  // The few bytes stay behind when a device is that far gone.
  if (status == LZ_OK) *made = new LzRead(read);
  return status;
}

}  // namespace

int read_begin(LzDevice* device, const void* from, size_t bytes, LzRead** read) {
  if (bytes > kMostBytes) return failed(LZ_UNSUPPORTED, "a read of more than 1024 bytes");
  if (const int status = enter(device); status != LZ_OK) return status;
  LzRead* made = used_before(device);
  if (made == nullptr) {
    if (const int status = make(device, &made); status != LZ_OK) return status;
  }
  made->bytes = bytes;
  int status =
      check(driver()->cuMemcpyDtoHAsync(made->memory, reinterpret_cast<CUdeviceptr>(from), bytes, device->stream), "cuMemcpyDtoHAsync");
  if (status == LZ_OK) status = check(driver()->cuEventRecord(made->event, device->stream), "cuEventRecord");
  if (status == LZ_OK) {
    *read = made;
  } else {
    keep(made);
  }
  return status;
}

int read_end(LzDevice* device, LzRead* read, void* to) {
  int status = LZ_OK;
  if (to != nullptr) {
    status = enter(device);
    if (status == LZ_OK) status = check(driver()->cuEventSynchronize(read->event), "cuEventSynchronize");
    if (status == LZ_OK) std::memcpy(to, read->memory, read->bytes);
  }
  // A dropped copy may still be on its way; the next one to this memory comes after it on the stream.
  keep(read);
  return status;
}

}  // namespace lazuli::cuda_library
