// Implements SafetensorsFile and the writer.
#include "lazuli/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/checked.h"
#include "base/file.h"
#include "base/json_writer.h"
#include "io/mapped_file.h"
#include "io/safetensors_dtypes.h"
#include "io/safetensors_header.h"

namespace lazuli {

namespace {

/// Reading another byte as bool would be undefined.
void check_booleans(const std::string& path, std::string_view name, const uint8_t* bytes, size_t count) {
  const uint8_t* wrong = std::find_if(bytes, bytes + count, [](uint8_t b) { return b > 1; });
  if (wrong != bytes + count) {
    throw FormatError(fmt::format("{}: tensor '{}': 0 or 1 expected for BOOL at element {}, got {}", path, name, wrong - bytes, *wrong));
  }
}

}  // namespace

SafetensorsFile SafetensorsFile::open(const std::string& path) {
  SafetensorsFile file;
  file.path_ = path;
  file.data_ = map_file(path);
  SafetensorsHeader header = parse_safetensors_header(path, {static_cast<const std::byte*>(file.data_->data()), file.data_->bytes()});
  file.tensors_ = std::move(header.tensors);
  file.metadata_ = std::move(header.metadata);
  return file;
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const auto& [name, info] : tensors_) names.push_back(name);
  return names;
}

const TensorInfo& SafetensorsFile::info(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw FormatError(fmt::format("{}: tensor '{}' expected", path_, name));
  return found->second;
}

Tensor SafetensorsFile::tensor(std::string_view name) const {
  const TensorInfo& i = info(name);
  if (!i.dtype) throw DTypeError(fmt::format("{}: tensor '{}': dtype {} is not supported", path_, name, i.dtype_name));
  const auto* bytes = static_cast<const uint8_t*>(data_->data()) + i.offset;
  if (*i.dtype == DType::boolean) check_booleans(path_, name, bytes, i.nbytes);
  // The map starts on a page, so the offset alone decides the alignment.
  if (i.offset % size_of(*i.dtype) == 0) return {*i.dtype, i.shape, data_, static_cast<size_t>(i.offset)};
  Tensor copy = Tensor::empty(*i.dtype, i.shape);
  if (i.nbytes != 0) std::memcpy(copy.raw(), bytes, i.nbytes);
  return copy;
}

void save_safetensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  struct Entry {
    const std::string* name;
    Tensor tensor;
    const SafetensorsDType* dtype;
  };
  std::vector<Entry> entries;
  entries.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    if (name == "__metadata__") throw ValueError(fmt::format("{}: the tensor name __metadata__ is reserved", path));
    if (!tensor.defined()) throw ValueError(fmt::format("{}: tensor '{}' holds no data", path, name));
    entries.push_back({&name, tensor.contiguous(), &safetensors_dtype(tensor.dtype())});
  }
  // Wide dtypes first keep every tensor aligned; the names are in order already.
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.dtype > b.dtype; });

  JsonWriter header;
  header.begin_object();
  if (!metadata.empty()) {
    header.key("__metadata__").begin_object();
    for (const auto& [key, value] : metadata) header.field(key, value);
    header.end_object();
  }
  uint64_t offset = 0;
  for (const Entry& e : entries) {
    header.key(*e.name).begin_object().field("dtype", e.dtype->name).key("shape").begin_array();
    for (int64_t d : e.tensor.shape()) header.value(d);
    header.end_array().key("data_offsets").begin_array().value(offset);
    offset += e.tensor.nbytes();
    header.value(offset).end_array().end_object();
  }
  header.end_object();
  std::string text = header.text();
  text.resize((text.size() + 7) / 8 * 8, ' ');

  AtomicFile file(path);
  const uint64_t length = text.size();
  file.write(&length, sizeof(length));
  file.write(text);
  for (const Entry& e : entries) {
    const Tensor host = e.tensor.to(Device{});
    file.write(host.raw(), host.nbytes());
  }
  file.commit();
}

}  // namespace lazuli
