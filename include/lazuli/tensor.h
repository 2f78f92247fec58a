// Defines Tensor: evaluated data with dtype, shape, strides, device and a reference-counted buffer.
#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lazuli/dtype.h"
#include "lazuli/error.h"
#include "lazuli/shape.h"

namespace lazuli {

/// Kinds of devices. `cuda` needs the library of the CUDA backend and a driver, `custom` a backend that the program registers.
enum class DeviceKind : uint8_t { cpu, reference, cuda, custom };
/// The number of kinds.
inline constexpr int kDeviceKinds = 4;

/// Where data lives and kernels run. `reference` is the slow oracle backend, and its memory is host memory.
struct Device {
  DeviceKind kind = DeviceKind::cpu;  ///< kind of the device
  int index = 0;                      ///< index among the devices of this kind
  /// Compares all members.
  bool operator==(const Device&) const = default;
};
/// Returns the text that parse_device reads.
std::string to_string(Device d);
/// Parses `cpu`, `reference`, `cuda` or `cuda:1`. Throws ValueError.
Device parse_device(std::string_view text);

/// Reference-counted memory. The last release calls `release_`, which may free it, pool it or unmap a file.
class Buffer {
 public:
  /// The function that the last release calls.
  using Release = void (*)(Buffer*);
  /// Starts with one reference, which the caller owns.
  Buffer(void* data, size_t bytes, Device device, Release on_last) : data_(data), bytes_(bytes), device_(device), release_(on_last) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  virtual ~Buffer() = default;

  ///@{
  /// The memory, its size and its device.
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  ///@}
  ///@{
  /// Add and drop a reference.
  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) release_(this);
  }
  ///@}
  /// Whether the values must not change. No result may then take the memory.
  bool constant() const { return constant_; }
  /// Whether there is only one reference.
  bool unique() const { return refs_.load(std::memory_order_acquire) == 1; }

 protected:
  friend class BufferPool;
  ///@{
  /// The arguments of the constructor, and the number of references.
  void* data_;
  size_t bytes_;
  Device device_;
  Release release_;
  std::atomic<uint32_t> refs_{1};
  bool constant_ = false;
  ///@}
};

/// Owning pointer to a Buffer. Copying shares the buffer.
class BufferRef {
 public:
  /// Makes an empty reference.
  BufferRef() = default;
  /// Takes over one reference that the caller owns.
  explicit BufferRef(Buffer* adopted) : ptr_(adopted) {}
  ///@{
  /// A copy shares the buffer. A moved-from reference is empty.
  BufferRef(const BufferRef& o) : ptr_(o.ptr_) {
    if (ptr_ != nullptr) ptr_->retain();
  }
  BufferRef(BufferRef&& o) noexcept : ptr_(std::exchange(o.ptr_, nullptr)) {}
  BufferRef& operator=(BufferRef o) noexcept {
    std::swap(ptr_, o.ptr_);
    return *this;
  }
  ///@}
  ~BufferRef() {
    if (ptr_ != nullptr) ptr_->release();
  }
  ///@{
  /// The buffer, or null.
  Buffer* get() const { return ptr_; }
  Buffer* operator->() const { return ptr_; }
  explicit operator bool() const { return ptr_ != nullptr; }
  ///@}

 private:
  Buffer* ptr_ = nullptr;
};

/// Allocates at least `bytes` on the device, 64-byte aligned, from its bounded pool. Throws OutOfMemory.
BufferRef allocate_buffer(size_t bytes, Device device = {});

/// Evaluated data. Copies of a Tensor and views share its buffer. Element data can be read only from a Tensor.
class Tensor {
 public:
  /// Makes an empty tensor: `defined` is false.
  Tensor() = default;
  /// Makes a row-major tensor over `buffer`, starting at `offset_bytes`.
  Tensor(DType dtype, const Shape& shape, BufferRef buffer, size_t offset_bytes = 0);
  /// Makes a view with explicit strides, in elements. A stride of 0 repeats an element.
  Tensor(DType dtype, const Shape& shape, const Strides& strides, BufferRef buffer, size_t offset_bytes);

  /// Makes a tensor with uninitialised memory.
  static Tensor empty(DType dtype, const Shape& shape, Device device = {});
  /// Makes a tensor whose elements are all 0.
  static Tensor zeros(DType dtype, const Shape& shape, Device device = {});
  /// Makes a tensor with a copy of `values`, row-major. Throws ShapeError when the count does not match.
  template <class T>
  static Tensor from_slice(std::span<const T> values, const Shape& shape, Device device = {}) {
    return copy_from(dtype_of<T>, values.data(), values.size(), shape, device);
  }
  /// Makes a tensor with a copy of a vector.
  template <class T>
  static Tensor from_vector(const std::vector<T>& values, const Shape& shape, Device device = {}) {
    return from_slice(std::span<const T>(values), shape, device);
  }

  /// Whether there is data.
  bool defined() const { return static_cast<bool>(buffer_); }
  ///@{
  /// Properties of the elements. `axis` may be negative, strides are in elements, and `nbytes` counts every element once.
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  const Strides& strides() const { return strides_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int axis) const { return shape_[normalize_axis("dim", axis, rank())]; }
  int64_t numel() const { return shape_.numel(); }
  size_t nbytes() const { return static_cast<size_t>(numel()) * size_of(dtype_); }
  ///@}
  ///@{
  /// The layout in the buffer: whether elements are row-major without gaps, the device, the buffer, and the offset of the first element.
  bool is_contiguous() const { return contiguous_; }
  Device device() const { return buffer_ ? buffer_->device() : Device{}; }
  const BufferRef& buffer() const { return buffer_; }
  size_t offset_bytes() const { return offset_; }
  ///@}
  /// The address of the first element, in the memory of the tensor's device, for any dtype and strides.
  void* raw() const { return static_cast<std::byte*>(buffer_->data()) + offset_; }

  /// The elements in row-major order. Throws DTypeError for another dtype. Throws ShapeError if the tensor is strided; call `contiguous()`
  /// first. Throws DeviceError if the host cannot read its memory; call `to(Device{})` first.
  template <class T>
  std::span<const T> data() const {
    check_readable(dtype_of<T>);
    return {static_cast<const T*>(raw()), static_cast<size_t>(numel())};
  }
  /// The elements for writing. Every tensor that shares the buffer sees the changes.
  template <class T>
  std::span<T> mutable_data() {
    check_readable(dtype_of<T>);
    return {static_cast<T*>(raw()), static_cast<size_t>(numel())};
  }
  /// Returns a row-major tensor with the same elements. That is the tensor itself if it is row-major already.
  Tensor contiguous() const;
  /// Returns a row-major copy with each element converted. Float to integer truncates, clamps to the range and converts NaN to 0. Integer
  /// to integer wraps. Conversion to bool tests != 0.
  Tensor to(DType dtype) const;
  /// Returns the same elements, shape and strides in the memory of a device. That is the tensor itself if the device can use its memory. A
  /// copy to the host waits for the device and throws errors that occurred there.
  Tensor to(Device device) const;
  /// Returns the only element, as double. Throws ShapeError unless numel() == 1.
  double item() const;
  /// Returns all elements in row-major order, converted to T.
  template <class T>
  std::vector<T> to_vector() const {
    const Tensor host = to(Device{});
    const Tensor t = dtype_ == dtype_of<T> ? host.contiguous() : host.to(dtype_of<T>);
    auto d = t.data<T>();
    return {d.begin(), d.end()};
  }
  /// Returns a view of the elements with another shape. Strided tensors are copied first.
  Tensor reshape(const Shape& shape) const;

 private:
  static Tensor copy_from(DType dtype, const void* values, size_t count, const Shape& shape, Device device);
  void check_readable(DType wanted) const;

  BufferRef buffer_;
  size_t offset_ = 0;
  Shape shape_;
  Strides strides_;
  DType dtype_ = DType::f32;
  bool contiguous_ = true;
};

/// Calls `f` with a value-initialised element of the C++ type behind `t`.
template <class F>
decltype(auto) dispatch(DType t, F&& f) {
  switch (t) {
    case DType::f32:
      return f(float{});
    case DType::bf16:
      return f(bf16{});
    case DType::f16:
      return f(f16{});
    case DType::f64:
      return f(double{});
    case DType::i32:
      return f(int32_t{});
    case DType::i64:
      return f(int64_t{});
    case DType::i8:
      return f(int8_t{});
    case DType::u8:
      return f(uint8_t{});
    case DType::boolean:
      break;
  }
  return f(bool{});
}

}  // namespace lazuli
