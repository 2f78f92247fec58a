// Implements the operands of conformance cases.
#include "conformance/data.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "backend/random.h"

namespace lazuli::conformance {

const char* name_of(Layout layout) {
  constexpr const char* names[] = {"row_major", "column_major", "stepped", "repeated"};
  return names[static_cast<size_t>(layout)];
}

Tensor random(DType dtype, const Shape& shape, uint64_t seed, double low, double high) {
  if (dtype == DType::u8) low = std::max(low, 0.0);
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (size_t k = 0; k < values.size(); ++k) {
    const double u = static_cast<double>(uniform_from(random_word(seed, k)));
    const double v = low + (high - low) * u;
    values[k] = is_float(dtype) ? v : dtype == DType::boolean ? (u < 0.5 ? 0 : 1) : std::floor(v);
  }
  return Tensor::from_vector(values, shape).to(dtype);
}

Tensor random_indices(DType dtype, const Shape& shape, int64_t size, uint64_t seed) {
  std::vector<int64_t> values(static_cast<size_t>(shape.numel()));
  for (size_t k = 0; k < values.size(); ++k) values[k] = static_cast<int64_t>(random_word(seed, k)) % size;
  return Tensor::from_vector(values, shape).to(dtype);
}

Tensor special(DType dtype) {
  constexpr double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> values;
  if (is_float(dtype)) {
    values = {0.0, -0.0, inf,  -inf, nan, 1.0,   -1.0,  0.5,   -0.5,   1e-3, -1e-3, 2.0,    -2.0,    10.0,    -10.0,
              30., -30., 87.0, -87., 90., -90.0, 100.0, -100., 1000.0, -1e3, 3.14,  -3.141, 60000.0, -60000., 0.9999};
    if (dtype == DType::f32 || dtype == DType::bf16) values.insert(values.end(), {1e30, -1e30, 1e-30, -1e-30});
  } else if (dtype == DType::boolean) {
    values = {0, 1, 1, 0};
  } else {
    values = {0, 1, 2, 3, 100, 127};
    if (dtype == DType::u8) values.insert(values.end(), {128, 255});
    if (dtype != DType::u8) values.insert(values.end(), {-1, -2, -3, -127, -128});
    if (dtype == DType::i32 || dtype == DType::i64) values.insert(values.end(), {2147483647.0, -2147483648.0, 65536.0});
    if (dtype == DType::i64) values.insert(values.end(), {4294967297.0, -9223372036854775808.0});
  }
  return Tensor::from_vector(values, Shape{static_cast<int64_t>(values.size())}).to(dtype);
}

Tensor scalar(DType dtype, double value) { return Tensor::from_vector(std::vector<double>{value}, Shape{}).to(dtype); }

namespace {

Strides strides_for(const Shape& shape, Layout layout) {
  Strides strides;
  strides.resize(shape.rank());
  int64_t next = layout == Layout::stepped ? 2 : 1;
  for (int i = 0; i < shape.rank(); ++i) {
    const int axis = layout == Layout::column_major ? i : shape.rank() - 1 - i;
    if (layout == Layout::repeated && axis == 0) continue;  // stays 0
    strides[axis] = next;
    next *= shape[axis];
    if (layout == Layout::stepped) next += 3;
  }
  return strides;
}

/// From the first element to the last, in elements.
int64_t extent_of(const Shape& shape, const Strides& strides) {
  int64_t extent = 1;
  for (int i = 0; i < shape.rank(); ++i) extent += (shape[i] - 1) * strides[i];
  return extent;
}

}  // namespace

Tensor laid_out(const Tensor& x, Layout layout) {
  if (layout == Layout::row_major || x.rank() == 0 || x.numel() == 0) return x;
  const Strides strides = strides_for(x.shape(), layout);
  const int64_t extent = extent_of(x.shape(), strides);
  const size_t size = size_of(x.dtype());
  const size_t offset = layout == Layout::stepped ? 3 * size : 0;
  BufferRef buffer = allocate_buffer(static_cast<size_t>(extent) * size + offset);
  std::memset(buffer->data(), 0xff, static_cast<size_t>(extent) * size + offset);
  const Tensor row_major = x.contiguous();
  // Backwards, so that the first of repeated entries is the one that stays.
  for (int64_t k = x.numel() - 1; k >= 0; --k) {
    int64_t rest = k, at = 0;
    for (int axis = x.rank() - 1; axis >= 0; --axis) {
      at += rest % x.shape()[axis] * strides[axis];
      rest /= x.shape()[axis];
    }
    std::memcpy(static_cast<std::byte*>(buffer->data()) + offset + static_cast<size_t>(at) * size,
                static_cast<const std::byte*>(row_major.raw()) + static_cast<size_t>(k) * size, size);
  }
  return Tensor(x.dtype(), x.shape(), strides, buffer, offset);
}

Tensor at_page_end(const Tensor& x) {
  if (x.numel() == 0) return x;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t used = static_cast<size_t>(extent_of(x.shape(), x.strides())) * size_of(x.dtype());
  const size_t readable = (used + page - 1) / page * page;
  void* memory = mmap(nullptr, readable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw OutOfMemory("no pages for an operand");
  mprotect(static_cast<std::byte*>(memory) + readable, page, PROT_NONE);
  const size_t offset = readable - used;
  std::memcpy(static_cast<std::byte*>(memory) + offset, x.raw(), used);
  const BufferRef buffer(new Buffer(memory, readable + page, Device{}, [](Buffer* b) {
    munmap(b->data(), b->bytes());
    delete b;
  }));
  return Tensor(x.dtype(), x.shape(), x.strides(), buffer, offset);
}

Tensor random_blocks(const QuantFormat& format, int64_t rows, int64_t columns, uint64_t seed, float factor) {
  const int64_t blocks = rows * (columns / format.block);
  auto bytes = random(DType::u8, {blocks * format.block_bytes}, seed, 0, 256).to_vector<uint8_t>();
  const auto sizes = random(DType::f32, {4 * blocks}, seed + 1, 0.001, 0.01).to_vector<float>();
  for (int64_t b = 0; b < blocks; ++b) {
    uint8_t* block = bytes.data() + b * format.block_bytes;
    size_t drawn = static_cast<size_t>(4 * b);
    for (const QuantScale& s : {format.scale, format.super_scale, format.minimum, format.super_minimum}) {
      const float size = sizes[drawn++];
      if (s.number == QuantNumber::real) {
        const f16 half(size * factor);
        std::memcpy(block + s.at, &half, sizeof(half));
      } else if (s.number == QuantNumber::exponent) {
        block[s.at] = static_cast<uint8_t>(115 + static_cast<int>(size * 1000));
      }
    }
  }
  return Tensor::from_vector(bytes, {rows, columns / format.block * format.block_bytes});
}

std::vector<Tensor> random_parts(const QuantFormat& format, int64_t rows, int64_t columns, DType scales, uint64_t seed) {
  if (format.storage == QuantStorage::blocks) return {random_blocks(format, rows, columns, seed)};
  const QuantParts parts = parts_of(format, rows, columns);
  const Tensor values =
      format.is_signed ? random(DType::i8, parts.list[0].shape, seed, -128, 128) : random(DType::u8, parts.list[0].shape, seed, 0, 256);
  return {values, random(scales, parts.list[1].shape, seed + 1, 0.001, 0.01)};
}

std::vector<QuantFormatId> formats_with_kernels() {
  std::vector<QuantFormatId> ids;
  for (const QuantFormat& f : quant_formats()) {
    if (f.has_kernels()) ids.push_back(f.id);
  }
  return ids;
}

}  // namespace lazuli::conformance
