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

/// Kinds of devices; `cuda` is there where the library of the CUDA backend and a driver are, `custom` where the program brings one.
enum class DeviceKind : uint8_t { cpu, reference, cuda, custom };
/// How many kinds there are.
inline constexpr int kDeviceKinds = 4;

/// Where data lives and kernels run. `reference` is the slow oracle backend; its memory is host memory.
struct Device {
  DeviceKind kind = DeviceKind::cpu;  ///< what it is
  int index = 0;                      ///< which of its kind
  /// Member by member.
  bool operator==(const Device&) const = default;
};
/// As parse_device reads it.
std::string to_string(Device d);
/// Parses `cpu`, `reference`, `cuda`, `cuda:1`; throws ValueError.
Device parse_device(std::string_view text);

/// Reference-counted memory. The last release calls `release_`, which may free it, pool it or unmap a file.
class Buffer {
 public:
  /// What the last release calls.
  using Release = void (*)(Buffer*);
  /// With one reference, which the caller owns.
  Buffer(void* data, size_t bytes, Device device, Release on_last) : data_(data), bytes_(bytes), device_(device), release_(on_last) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  virtual ~Buffer() = default;

  ///@{
  /// The memory, and where it is.
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  ///@}
  ///@{
  /// Adds and takes away a reference.
  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) release_(this);
  }
  ///@}
  /// Whether the values stay as they are: nobody may take the memory for a result.
  bool constant() const { return constant_; }
  /// Whether there is one reference.
  bool unique() const { return refs_.load(std::memory_order_acquire) == 1; }

 protected:
  friend class BufferPool;
  ///@{
  /// What the constructor was given, and the references.
  void* data_;
  size_t bytes_;
  Device device_;
  Release release_;
  std::atomic<uint32_t> refs_{1};
  bool constant_ = false;
  ///@}
};

/// Owning pointer to a Buffer; copying shares it.
class BufferRef {
 public:
  /// Empty.
  BufferRef() = default;
  /// Takes over one reference that the caller owns.
  explicit BufferRef(Buffer* adopted) : ptr_(adopted) {}
  ///@{
  /// A copy shares the buffer; what was moved from is empty.
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
  /// The buffer; null when empty.
  Buffer* get() const { return ptr_; }
  Buffer* operator->() const { return ptr_; }
  explicit operator bool() const { return ptr_ != nullptr; }
  ///@}

 private:
  Buffer* ptr_ = nullptr;
};

/// Memory of at least `bytes` on the device (64-byte aligned, from its bounded pool). Throws OutOfMemory.
BufferRef allocate_buffer(size_t bytes, Device device = {});

/// Evaluated data. Copying a Tensor shares its buffer; views share it too. Reading element data happens only here.
class Tensor {
 public:
  /// Empty: `defined` is false.
  Tensor() = default;
  /// A row-major tensor over `buffer` starting `offset_bytes` into it.
  Tensor(DType dtype, const Shape& shape, BufferRef buffer, size_t offset_bytes = 0);
  /// A view with explicit strides (in elements; 0 repeats an element).
  Tensor(DType dtype, const Shape& shape, const Strides& strides, BufferRef buffer, size_t offset_bytes);

  /// Uninitialised memory of the given shape.
  static Tensor empty(DType dtype, const Shape& shape, Device device = {});
  /// Every element 0.
  static Tensor zeros(DType dtype, const Shape& shape, Device device = {});
  /// Copies `values` (row-major); throws ShapeError when the count does not match.
  template <class T>
  static Tensor from_slice(std::span<const T> values, const Shape& shape, Device device = {}) {
    return copy_from(dtype_of<T>, values.data(), values.size(), shape, device);
  }
  /// The same for a vector.
  template <class T>
  static Tensor from_vector(const std::vector<T>& values, const Shape& shape, Device device = {}) {
    return from_slice(std::span<const T>(values), shape, device);
  }

  /// Whether there is data.
  bool defined() const { return static_cast<bool>(buffer_); }
  ///@{
  /// What the elements are; `axis` may be negative, strides are in elements, `nbytes` counts every element once.
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  const Strides& strides() const { return strides_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int axis) const { return shape_[normalize_axis("dim", axis, rank())]; }
  int64_t numel() const { return shape_.numel(); }
  size_t nbytes() const { return static_cast<size_t>(numel()) * size_of(dtype_); }
  ///@}
  ///@{
  /// How the elements lie in the buffer: row-major without gaps or not, and from which byte on.
  bool is_contiguous() const { return contiguous_; }
  Device device() const { return buffer_ ? buffer_->device() : Device{}; }
  const BufferRef& buffer() const { return buffer_; }
  size_t offset_bytes() const { return offset_; }
  ///@}
  /// First element, of whatever dtype and strides: an address of the tensor's device.
  void* raw() const { return static_cast<std::byte*>(buffer_->data()) + offset_; }

  /// The elements in row-major order. Throws DTypeError for another dtype, ShapeError when the tensor is strided
  /// (call `contiguous()` first), DeviceError when the host cannot read its memory (call `to(Device{})` first).
  template <class T>
  std::span<const T> data() const {
    check_readable(dtype_of<T>);
    return {static_cast<const T*>(raw()), static_cast<size_t>(numel())};
  }
  /// The same for writing; every tensor that shares the buffer sees it.
  template <class T>
  std::span<T> mutable_data() {
    check_readable(dtype_of<T>);
    return {static_cast<T*>(raw()), static_cast<size_t>(numel())};
  }
  /// A row-major tensor with the same elements; the tensor itself when it is row-major already.
  Tensor contiguous() const;
  /// A row-major copy with each element converted. Float to integer truncates, clamps to the range and takes NaN to 0;
  /// integer to integer wraps; to bool tests != 0.
  Tensor to(DType dtype) const;
  /// The same elements, shape and strides in the memory of a device; the tensor itself when that can use it where it is. A copy to the host
  /// waits for what the device computes, and throws what went wrong there.
  Tensor to(Device device) const;
  /// The only element, as double. Throws ShapeError unless numel() == 1.
  double item() const;
  /// All elements in row-major order, converted to T.
  template <class T>
  std::vector<T> to_vector() const {
    const Tensor host = to(Device{});
    const Tensor t = dtype_ == dtype_of<T> ? host.contiguous() : host.to(dtype_of<T>);
    auto d = t.data<T>();
    return {d.begin(), d.end()};
  }
  /// The same elements with another shape (a view; strided tensors are copied first).
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
