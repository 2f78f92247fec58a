// Defines DeviceMemory, the memory of a device that the host cannot read.
#pragma once

#include <cstddef>
#include <functional>

#include "lazuli/tensor.h"

namespace lazuli {

/// What happens to one device's memory happens in the order of the calls, kernels included. Thread-safe.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  /// Null when there is not that much left.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* memory) = 0;
  virtual size_t total_bytes() const = 0;
  /// `from` is host memory and may change as soon as this returns.
  virtual void upload(void* to, const void* from, size_t bytes) = 0;
  /// Makes bytes [offset, offset + size) of an upload in `piece`. Called on several threads at once, in any order; must not throw. Offsets
  /// are multiples of 64.
  using Fill = std::function<void(void* piece, size_t offset, size_t size)>;
  virtual void upload_filled(void* to, size_t bytes, const Fill& fill) = 0;
  /// To host memory. Waits, and throws what went wrong on the device before.
  virtual void download(void* to, const void* from, size_t bytes) = 0;

  /// A copy of a few bytes on its way to the host; does not wait, and what is called later does not change it.
  virtual void* begin_read(const void* from, size_t bytes) = 0;
  /// Waits for that copy alone, ends the read, and throws what went wrong on the device before. `to` null: the bytes are not wanted, and
  /// nothing is waited for or thrown.
  virtual void end_read(void* read, void* to) = 0;

  /// Throws DeviceError when the device is not there.
  static DeviceMemory& of(Device device);
  /// How devices of a kind are opened; a backend says it when the program starts.
  using Open = DeviceMemory& (*)(int index);
  static void set(DeviceKind kind, Open open);
};

/// Whether the host can read a device's memory.
inline bool on_host(Device device) { return device.kind == DeviceKind::cpu || device.kind == DeviceKind::reference; }
/// Whether data of `a` can be used on `b` as it is.
inline bool same_memory(Device a, Device b) { return on_host(a) ? on_host(b) : a == b; }

}  // namespace lazuli
