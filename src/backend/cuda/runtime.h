// Defines Runtime, an open CUDA device: its memory, the functions compiled for it, and launches on its stream.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>

#include "backend/cuda/library/api.h"
#include "backend/cuda/product_choice.h"
#include "tensor/device_memory.h"

namespace lazuli {

struct Kernel;

namespace cuda {

struct Launch;

/// What liblazuli_cuda.so gives; null when it cannot be used.
struct Library {
  const LzCudaApi* api = nullptr;
  std::string path;
  std::string problem;  ///< why there is none, and what would help
};
/// Opened once. Looked for beside the program, where packages put it, then wherever the system's loader looks; LAZULI_CUDA_LIBRARY
/// overrides.
const Library& library();

/// Devices that can be opened now; 0 with the reason in `problem` when there is none.
int device_count(std::string* problem);

/// A place for the function that a device made of a kernel text. Plans belong to one device, so one is enough.
class DeviceFunction {
 public:
  /// `what_fails`: the beginning of the error that a report of the kernel becomes; empty: it makes none.
  explicit DeviceFunction(const std::string& what_fails);
  DeviceFunction(DeviceFunction&& o) noexcept : kernel_(o.kernel_), function_(o.function_.load()) {}
  bool made() const { return function_.load(std::memory_order_acquire) != nullptr; }

 private:
  friend class Runtime;
  uint64_t kernel_ = 0;
  mutable std::atomic<void*> function_{nullptr};
};

class Runtime final : public DeviceMemory {
 public:
  /// Opens the device at first use. Throws DeviceError with the reason.
  static Runtime& of(int index);
  /// Of the run on this thread.
  static Runtime& current();
  /// Makes a runtime the thread's for a scope.
  class Use {
   public:
    explicit Use(Runtime& runtime);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Runtime* before_;
  };

  void* allocate(size_t bytes) override;
  void release(void* memory) override;
  size_t total_bytes() const override { return info_.memory_bytes; }
  void upload(void* to, const void* from, size_t bytes) override;
  void upload_filled(void* to, size_t bytes, const Fill& fill) override;
  void download(void* to, const void* from, size_t bytes) override;
  void* begin_read(const void* from, size_t bytes) override;
  void end_read(void* read, void* to) override;
  /// Waits, and throws what went wrong before.
  void synchronize();
  const LzDeviceInfo& info() const { return info_; }

  /// Compiles the text unless that was done before, in this process or (in the cache folder) an earlier one.
  void prepare(const DeviceFunction& function, const Launch& launch);
  /// The same for all kernels of a plan, several at a time; failures are left to the launches.
  void prepare(std::span<const Kernel* const> kernels);
  void launch(const DeviceFunction& function, const Launch& launch, std::span<const void* const> in, std::span<void* const> out,
              void* scratch);

  std::unique_ptr<ProductPlan> make_product(const LzMatmul& spec);
  /// `run.alignment_log2` is filled in. A product that runs for the first time may be measured, unless launches are recorded.
  void run_product(ProductPlan& plan, LzMatmulRun run);
  ProductChoices& choices() { return choices_; }

  /// Launches until end_capture are recorded instead of run.
  void begin_capture();
  /// What is recorded next follows the marks alone; marks are numbered from 0 in the order of capture_mark.
  void capture_after(std::span<const int32_t> marks, int lane);
  void capture_mark();
  void* end_capture();
  void abandon_capture();
  void replay(void* graph);

 private:
  explicit Runtime(int index);
  void* function_of(const std::string& source);
  /// Throws what a failed call means.
  void check(int status, const char* what) const;
  /// Throws what a kernel reported since the last call.
  void check_reports();

  const LzCudaApi& api_;
  LzDevice* device_ = nullptr;
  LzDeviceInfo info_{};
  std::string architecture_;
  volatile uint64_t* report_ = nullptr;  ///< written by kernels
  void* report_on_device_ = nullptr;
  std::mutex mutex_;
  std::unordered_map<std::string, void*> functions_;  ///< by text
  ProductChoices choices_;
};

}  // namespace cuda

}  // namespace lazuli
