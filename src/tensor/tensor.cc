// Implements Tensor: construction, checks, copies and conversions of host data.
#include "lazuli/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/checked.h"
#include "tensor/convert.h"
#include "tensor/device_memory.h"
#include "tensor/load.h"
#include "tensor/strided_copy.h"

namespace lazuli {

namespace {

bool row_major(const Shape& shape, const Strides& strides) {
  int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != step) step = 0;
    step *= shape[i];
  }
  return step != 0;
}

[[noreturn]] void throw_outside(const Shape& shape, const Strides& strides, size_t offset, size_t bytes) {
  throw ShapeError(fmt::format("tensor: shape {} with strides {} at byte {} does not lie inside a buffer of {} bytes", to_string(shape),
                               to_string(strides), offset, bytes));
}

void check_place(DType dtype, const BufferRef& buffer, size_t offset) {
  if (!buffer) throw ValueError("tensor: a buffer is expected");
  if ((reinterpret_cast<uintptr_t>(buffer->data()) + offset) % size_of(dtype) != 0) {
    throw ValueError(fmt::format("tensor: byte {} of the buffer is not aligned for {}", offset, name_of(dtype)));
  }
}

/// Throws unless every element lies inside the buffer.
void check_extent(DType dtype, const Shape& shape, const Strides& strides, const BufferRef& buffer, size_t offset) {
  shape.check("tensor", size_of(dtype));
  check_place(dtype, buffer, offset);
  const size_t bytes = buffer->bytes();
  if (shape.rank() != strides.rank()) {
    throw ShapeError(fmt::format("tensor: shape {} needs as many strides, got {}", to_string(shape), to_string(strides)));
  }
  if (offset > bytes) throw_outside(shape, strides, offset, bytes);
  const auto size = static_cast<int64_t>(size_of(dtype));
  int64_t low = 0;
  int64_t high = size;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 0) return;
    int64_t reach = 0;
    int64_t& end = strides[i] < 0 ? low : high;
    if (__builtin_mul_overflow(shape[i] - 1, strides[i], &reach) || __builtin_mul_overflow(reach, size, &reach) ||
        __builtin_add_overflow(end, reach, &end)) {
      throw_outside(shape, strides, offset, bytes);
    }
  }
  const auto start = static_cast<int64_t>(offset);
  if (start + low < 0 || high > static_cast<int64_t>(bytes) - start) throw_outside(shape, strides, offset, bytes);
}

void check_host(std::string_view who, const Tensor& t) {
  if (!t.defined()) throw ValueError(fmt::format("{}: the tensor holds no data", who));
  if (!on_host(t.device())) {
    throw DeviceError(fmt::format("{}: data on {} must be copied to the cpu first", who, to_string(t.device())));
  }
}

}  // namespace

std::string to_string(Device d) {
  switch (d.kind) {
    case DeviceKind::cpu:
      return "cpu";
    case DeviceKind::reference:
      return "reference";
    case DeviceKind::custom:
      return fmt::format("custom:{}", d.index);
    case DeviceKind::cuda:
      break;
  }
  return fmt::format("cuda:{}", d.index);
}

Device parse_device(std::string_view text) {
  if (text == "cpu") return {DeviceKind::cpu, 0};
  if (text == "reference") return {DeviceKind::reference, 0};
  if (text == "cuda") return {DeviceKind::cuda, 0};
  constexpr std::string_view prefix = "cuda:";
  const std::string_view digits = text.substr(0, prefix.size()) == prefix ? text.substr(prefix.size()) : std::string_view{};
  const bool number = !digits.empty() && digits.size() <= 3 && digits.find_first_not_of("0123456789") == std::string_view::npos;
  if (!number) throw ValueError(fmt::format("device: cpu, reference, cuda or cuda:N expected, got '{}'", text));
  int index = 0;
  for (char c : digits) index = index * 10 + (c - '0');
  return {DeviceKind::cuda, index};
}

Tensor::Tensor(DType dtype, const Shape& shape, BufferRef buffer, size_t offset_bytes)
    : buffer_(std::move(buffer)), offset_(offset_bytes), shape_(shape), dtype_(dtype) {
  shape_.check("tensor", size_of(dtype));
  strides_ = contiguous_strides(shape_);
  check_place(dtype_, buffer_, offset_);
  const size_t bytes = buffer_->bytes();
  if (offset_ > bytes || nbytes() > bytes - offset_) throw_outside(shape_, strides_, offset_, bytes);
}

Tensor::Tensor(DType dtype, const Shape& shape, const Strides& strides, BufferRef buffer, size_t offset_bytes)
    : buffer_(std::move(buffer)), offset_(offset_bytes), shape_(shape), strides_(strides), dtype_(dtype) {
  check_extent(dtype_, shape_, strides_, buffer_, offset_);
  contiguous_ = row_major(shape_, strides_);
}

Tensor Tensor::empty(DType dtype, const Shape& shape, Device device) {
  shape.check("empty", size_of(dtype));
  return {dtype, shape, allocate_buffer(static_cast<size_t>(shape.numel()) * size_of(dtype), device)};
}

Tensor Tensor::zeros(DType dtype, const Shape& shape, Device device) {
  Tensor t = empty(dtype, shape, on_host(device) ? device : Device{});
  std::memset(t.raw(), 0, t.nbytes());
  return t.to(device);
}

Tensor Tensor::copy_from(DType dtype, const void* values, size_t count, const Shape& shape, Device device) {
  shape.check("tensor", size_of(dtype));
  if (static_cast<size_t>(shape.numel()) != count) {
    throw ShapeError(fmt::format("tensor: shape {} needs {} values, got {}", to_string(shape), shape.numel(), count));
  }
  Tensor t = empty(dtype, shape, device);
  if (count == 0) return t;
  if (on_host(device)) {
    std::memcpy(t.raw(), values, t.nbytes());
  } else {
    DeviceMemory::of(device).upload(t.raw(), values, t.nbytes());
  }
  return t;
}

void Tensor::check_readable(DType wanted) const {
  check_host("data", *this);
  if (wanted != dtype_) throw DTypeError(fmt::format("data: the tensor is {}, not {}", name_of(dtype_), name_of(wanted)));
  if (!contiguous_) {
    throw ShapeError(
        fmt::format("data: shape {} with strides {} is not row-major; call contiguous() first", to_string(shape_), to_string(strides_)));
  }
}

Tensor Tensor::contiguous() const {
  if (contiguous_) return *this;
  if (!on_host(device())) return to(Device{}).contiguous().to(device());
  Tensor out = empty(dtype_, shape_, device());
  copy_strided(out.raw(), raw(), size_of(dtype_), shape_, strides_);
  return out;
}

Tensor Tensor::to(DType dtype) const {
  if (!on_host(device())) return to(Device{}).to(dtype).to(device());
  Tensor from = contiguous();
  if (dtype == dtype_ && !contiguous_) return from;
  Tensor out = empty(dtype, shape_, device());
  const int64_t count = numel();
  if (dtype == dtype_) {
    if (count != 0) std::memcpy(out.raw(), from.raw(), out.nbytes());
    return out;
  }
  convert_elements(dtype, out.raw(), dtype_, from.raw(), count);
  return out;
}

Tensor Tensor::to(Device target) const {
  if (!defined()) throw ValueError("to: the tensor holds no data");
  if (same_memory(device(), target)) return *this;
  if (!on_host(device()) && !on_host(target)) return to(Device{}).to(target);
  // The memory from the first to the last element, so that strides stay what they are.
  int64_t low = 0, count = numel() == 0 ? 0 : 1;
  for (int i = 0; i < rank() && count != 0; ++i) {
    const int64_t reach = (shape_[i] - 1) * strides_[i];
    low += std::min<int64_t>(reach, 0);
    count += std::abs(reach);
  }
  const auto size = static_cast<int64_t>(size_of(dtype_));
  const auto bytes = static_cast<size_t>(count * size);
  const BufferRef memory = allocate_buffer(bytes, target);
  const std::byte* first = static_cast<const std::byte*>(raw()) + low * size;
  if (bytes != 0 && on_host(target)) DeviceMemory::of(device()).download(memory->data(), first, bytes);
  if (bytes != 0 && !on_host(target)) DeviceMemory::of(target).upload(memory->data(), first, bytes);
  return {dtype_, shape_, strides_, memory, static_cast<size_t>(-low * size)};
}

double Tensor::item() const {
  if (defined() && !on_host(device())) return to(Device{}).item();
  check_host("item", *this);
  if (numel() != 1) throw ShapeError(fmt::format("item: exactly one element expected, got shape {}", to_string(shape_)));
  return dispatch(dtype_, [&](auto e) { return convert_element<double>(*static_cast<const decltype(e)*>(raw())); });
}

Tensor Tensor::reshape(const Shape& shape) const {
  shape.check("reshape", size_of(dtype_));
  if (shape.numel() != numel()) {
    throw ShapeError(fmt::format("reshape: {} elements of shape {} do not fill shape {}", numel(), to_string(shape_), to_string(shape)));
  }
  const Tensor from = contiguous();
  return {dtype_, shape, from.buffer_, from.offset_};
}

}  // namespace lazuli
