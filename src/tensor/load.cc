#include "tensor/load.h"

#include <algorithm>
#include <cstring>

#include "base/pages.h"
#include "tensor/convert.h"
#include "tensor/device_memory.h"

namespace lazuli {

namespace {

/// How far a file is read ahead of the copy, beyond the tensor too: the next one often follows.
constexpr size_t kAhead = size_t{32} << 20;

template <class To, class From>
void convert_all(void* out, const void* in, int64_t count) {
  auto* to = static_cast<To*>(out);
  const auto* from = static_cast<const From*>(in);
  for (int64_t i = 0; i < count; ++i) to[i] = convert_element<To>(from[i]);
}

/// Host data and the buffer that it lies in.
class Source {
 public:
  explicit Source(const Tensor& t)
      : data_(static_cast<const std::byte*>(t.raw())), end_(static_cast<const std::byte*>(t.buffer()->data()) + t.buffer()->bytes()) {
    ask(0, kAhead);
  }
  /// The bytes at `offset`, with the pages as far ahead asked for.
  const std::byte* read(size_t offset, size_t bytes) const {
    ask(offset + kAhead, bytes);
    return data_ + offset;
  }

 private:
  void ask(size_t offset, size_t bytes) const {
    const auto left = static_cast<size_t>(end_ - data_);
    if (offset < left) ask_for_pages(data_ + offset, std::min(bytes, left - offset));
  }

  const std::byte* data_;
  const std::byte* end_;
};

}  // namespace

void convert_elements(DType to, void* out, DType from, const void* in, int64_t count) {
  dispatch(from, [&](auto source) { dispatch(to, [&](auto target) { convert_all<decltype(target), decltype(source)>(out, in, count); }); });
}

Tensor load_tensor(const Tensor& from, DType dtype, Device device) {
  if (on_host(device)) return from.dtype() == dtype ? from : from.to(dtype);
  const Tensor t = from.contiguous();
  Tensor loaded = Tensor::empty(dtype, t.shape(), device);
  if (t.numel() == 0) return loaded;
  const Source source(t);
  DeviceMemory::of(device).upload_filled(loaded.raw(), loaded.nbytes(), [&](void* piece, size_t offset, size_t bytes) {
    const size_t first = offset / size_of(dtype), count = bytes / size_of(dtype);
    const std::byte* data = source.read(first * size_of(t.dtype()), count * size_of(t.dtype()));
    if (t.dtype() == dtype) {
      std::memcpy(piece, data, bytes);
    } else {
      convert_elements(dtype, piece, t.dtype(), data, static_cast<int64_t>(count));
    }
  });
  return loaded;
}

}  // namespace lazuli
