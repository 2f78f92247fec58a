#include "train/fingerprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/file.h"
#include "lazuli/safetensors.h"
#include "models/module_list.h"

namespace lazuli {
namespace {

/// FNV-1a over words of eight bytes, with a shift that brings the high bits down.
class Fingerprint {
 public:
  void add(const void* data, size_t bytes) {
    const auto* next = static_cast<const char*>(data);
    add_word(bytes);
    for (; bytes != 0;) {
      const size_t part = std::min(bytes, sizeof(uint64_t));
      uint64_t word = 0;
      std::memcpy(&word, next, part);
      add_word(word);
      next += part;
      bytes -= part;
    }
  }
  void add(std::string_view text) { add(text.data(), text.size()); }
  void add(const Shape& shape) {
    for (const int64_t size : shape) add_word(static_cast<uint64_t>(size));
  }
  std::string text() const { return fmt::format("{:016x}", state_); }

 private:
  void add_word(uint64_t word) {
    state_ = (state_ ^ word) * 0x100000001b3U;
    state_ ^= state_ >> 32;
  }
  uint64_t state_ = 0xcbf29ce484222325U;
};

/// The first, middle and last bytes.
void add_some(Fingerprint& f, const Tensor& tensor) {
  constexpr size_t kPart = 4096;
  const auto* bytes = static_cast<const char*>(tensor.raw());
  const size_t size = tensor.nbytes(), part = std::min(size, kPart);
  for (const size_t begin : {size_t{0}, (size - part) / 2, size - part}) f.add(bytes + begin, part);
}

}  // namespace

std::string fingerprint_of(const Examples& examples) {
  Fingerprint f;
  for (int64_t k = 0; k < examples.count(); ++k) {
    for (const Tensor& t : examples.batch(std::span(&k, 1))) {
      const Tensor row_major = t.contiguous();
      f.add(row_major.shape());
      f.add(row_major.raw(), row_major.nbytes());
    }
  }
  return f.text();
}

std::string fingerprint_of_model(const std::string& path) {
  constexpr size_t kMostBytes = size_t{1} << 26;
  ModelFolder folder(path);
  ModelFolder& transformer = transformer_folder(folder);
  const auto opened = transformer.weights();
  const WeightSource& checkpoint = *opened;
  Fingerprint f;
  f.add(read_file(transformer.path_of("config.json"), kMostBytes));
  for (const std::string& name : checkpoint.names()) {
    const TensorInfo& info = checkpoint.info(name);
    f.add(name);
    f.add(info.dtype_name);
    f.add(info.shape);
    if (info.dtype) add_some(f, checkpoint.tensor(name));
  }
  return f.text();
}

}  // namespace lazuli
