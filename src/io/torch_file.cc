// Implements TorchFile: nothing that a pickle says of a tensor is used before it is found to lie inside the tensor's storage.
#include "io/torch_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/checked.h"
#include "base/download_fault.h"
#include "io/mapped_file.h"
#include "io/pickled_tensors.h"
#include "io/safetensors_dtypes.h"
#include "io/zip_archive.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr uint64_t kMostPickle = uint64_t{1} << 26;

struct StorageKind {
  std::string_view name;
  std::string_view dtype;  ///< in safetensors' words
};
constexpr std::array<StorageKind, 10> kKinds = {{{"FloatStorage", "F32"},
                                                 {"BFloat16Storage", "BF16"},
                                                 {"HalfStorage", "F16"},
                                                 {"DoubleStorage", "F64"},
                                                 {"LongStorage", "I64"},
                                                 {"IntStorage", "I32"},
                                                 {"ShortStorage", "I16"},
                                                 {"CharStorage", "I8"},
                                                 {"ByteStorage", "U8"},
                                                 {"BoolStorage", "BOOL"}}};

/// The start of the older layout: a pickle of the number by which torch knows it.
constexpr std::string_view kOldStart = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// Reading another byte as bool would be undefined.
void check_booleans(const std::string& path, std::string_view name, const Tensor& t) {
  const auto* bytes = static_cast<const uint8_t*>(t.raw());
  const uint8_t* wrong = std::find_if(bytes, bytes + t.nbytes(), [](uint8_t b) { return b > 1; });
  if (wrong == bytes + t.nbytes()) return;
  throw FormatError(fmt::format("{}: tensor '{}': 0 or 1 expected for BOOL at element {}, got {}", path, name, wrong - bytes, *wrong));
}

}  // namespace

class TorchFileReader {
 public:
  explicit TorchFileReader(TorchFile& file) : file_(file), bytes_(static_cast<const std::byte*>(file.data_->data()), file.data_->bytes()) {}

  void read() {
    refuse_others();
    archive_ = ZipArchive::read(file_.path_, bytes_);
    find_folder();
    if (const ZipEntry* order = archive_.find(folder_ + "byteorder"); order != nullptr && text(*order) != "little") {
      fail("little-endian numbers expected");
    }
    const ZipEntry& pickle = archive_.entries().at(folder_ + "data.pkl");
    if (pickle.size > kMostPickle) fail(fmt::format("a pickle of at most {} bytes expected, got {}", kMostPickle, pickle.size));
    for (const PickledTensor& t : read_pickled_tensors(file_.path_, text(pickle))) add(t);
  }

 private:
  [[noreturn]] void fail(std::string_view message) const { throw FormatError(fmt::format("{}: {}", file_.path_, message)); }
  [[noreturn]] void fail(const PickledTensor& t, std::string_view message) const {
    throw FormatError(fmt::format("{}: tensor '{}': {}", file_.path_, t.name, message));
  }
  std::string_view text(const ZipEntry& entry) const { return {reinterpret_cast<const char*>(bytes_.data()) + entry.offset, entry.size}; }

  void refuse_others() const {
    const std::string_view start(reinterpret_cast<const char*>(bytes_.data()), std::min<size_t>(bytes_.size(), 256));
    if (start.starts_with(kOldStart)) {
      fail(
          "weights in the layout before PyTorch 1.6, which is not read: with Python, torch.save(torch.load(FILE, weights_only=True), FILE) "
          "writes today's");
    }
    if (start.starts_with("PK")) return;
    refuse_download_fault(file_.path_, start);
    fail("a zip archive expected, which torch.save writes");
  }

  /// All files of an archive are in one folder, whatever its name.
  void find_folder() {
    bool found = false;
    for (const auto& [name, entry] : archive_.entries()) {
      constexpr std::string_view pickle = "data.pkl";
      const bool here = name == pickle || (name.ends_with("/data.pkl") && std::count(name.begin(), name.end(), '/') == 1);
      if (!here) continue;
      if (std::exchange(found, true)) fail("one data.pkl expected in the archive, got two");
      folder_ = name.substr(0, name.size() - pickle.size());
    }
    if (!found) fail("data.pkl expected in the archive, as torch.save writes it");
    if (archive_.find(folder_ + "constants.pkl") != nullptr) fail("weights expected, got a program of TorchScript");
  }

  /// The elements of a tensor; each is at one place of its storage, so there are not more than that has.
  int64_t elements(const PickledTensor& t) const {
    int64_t last = t.offset, product = 1;
    bool empty = false;
    for (size_t k = 0; k < t.sizes.size(); ++k) {
      empty |= t.sizes[k] == 0;
      const auto reach = checked_mul(std::max<int64_t>(t.sizes[k] - 1, 0), t.strides[k]);
      const auto end = reach ? checked_add(last, *reach) : std::nullopt;
      const auto grown = checked_mul(product, std::max<int64_t>(t.sizes[k], 1));
      if (!end || !grown) fail(t, "sizes and strides whose products fit 64 bits expected");
      last = *end;
      product = *grown;
    }
    const int64_t count = empty ? 0 : product;
    if (t.offset > t.storage_size || (!empty && last >= t.storage_size)) {
      fail(t, fmt::format("elements up to {} of a storage that has {}", last, t.storage_size));
    }
    if (product > t.storage_size && !empty)
      fail(t, fmt::format("{} elements of a storage that has {}: repeated ones are not supported", count, t.storage_size));
    if (empty && product > std::max<int64_t>(t.storage_size, kMostEmpty)) fail(t, "sizes of an empty tensor are too large");
    return count;
  }

  void add(const PickledTensor& t) {
    const auto* kind = std::find_if(kKinds.begin(), kKinds.end(), [&](const StorageKind& k) { return k.name == t.kind; });
    if (kind == kKinds.end()) fail(t, fmt::format("a kind of storage that torch has expected, got '{}'", t.kind));
    const SafetensorsDType& dtype = *find_safetensors_dtype(kind->dtype);
    const uint64_t element = dtype.bits / 8;
    const ZipEntry* storage = archive_.find(fmt::format("{}data/{}", folder_, t.storage));
    if (storage == nullptr) fail(t, fmt::format("the file {}data/{} expected in the archive", folder_, t.storage));
    const auto storage_bytes = checked_mul(static_cast<uint64_t>(t.storage_size), element);
    if (!storage_bytes || *storage_bytes != storage->size) {
      fail(t, fmt::format("a storage of {} {} expected, its file has {} bytes", t.storage_size, kind->dtype, storage->size));
    }
    TorchFile::Entry entry;
    entry.info.dtype_name = kind->dtype;
    entry.info.dtype = dtype.dtype;
    entry.info.nbytes = static_cast<size_t>(elements(t)) * element;
    entry.info.shape = Shape(std::span<const int64_t>(t.sizes));
    entry.info.offset = storage->offset + static_cast<uint64_t>(t.offset) * element;
    entry.strides = Strides(std::span<const int64_t>(t.strides));
    if (!file_.tensors_.emplace(t.name, std::move(entry)).second) fail(t, "the name occurs twice");
  }

  static constexpr int64_t kMostEmpty = int64_t{1} << 31;
  TorchFile& file_;
  std::span<const std::byte> bytes_;
  ZipArchive archive_;
  std::string folder_;
};

TorchFile TorchFile::open(const std::string& path) {
  TorchFile file;
  file.path_ = path;
  file.data_ = map_file(path);
  TorchFileReader(file).read();
  return file;
}

std::vector<std::string> TorchFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : tensors_) names.push_back(name);
  return names;
}

const TorchFile::Entry& TorchFile::entry(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw FormatError(fmt::format("{}: tensor '{}' expected", path_, name));
  return found->second;
}

const TensorInfo& TorchFile::info(std::string_view name) const { return entry(name).info; }

Tensor TorchFile::tensor(std::string_view name) const {
  const auto& [info, strides] = entry(name);
  if (!info.dtype) throw DTypeError(fmt::format("{}: tensor '{}': dtype {} is not supported", path_, name, info.dtype_name));
  const size_t element = size_of(*info.dtype);
  if (info.nbytes == 0) return Tensor::empty(*info.dtype, info.shape);
  BufferRef data = data_;
  size_t start = info.offset;
  if (start % element != 0) {
    // Archives of torch are aligned; what others wrote is copied from its first to its last byte.
    int64_t reach = 1;
    for (int k = 0; k < info.shape.rank(); ++k) reach += (info.shape[k] - 1) * strides[k];
    const Tensor copy = Tensor::empty(DType::u8, {reach * static_cast<int64_t>(element)});
    std::memcpy(copy.raw(), static_cast<const std::byte*>(data_->data()) + start, copy.nbytes());
    data = copy.buffer();
    start = 0;
  }
  // Bytes are copied as bytes, so that none is read as bool before it is known to be one.
  const bool is_boolean = *info.dtype == DType::boolean;
  const Tensor row_major = Tensor(is_boolean ? DType::u8 : *info.dtype, info.shape, strides, data, start).contiguous();
  if (!is_boolean) return row_major;
  check_booleans(path_, name, row_major);
  return {DType::boolean, info.shape, row_major.buffer(),
          static_cast<size_t>(static_cast<const std::byte*>(row_major.raw()) - static_cast<const std::byte*>(row_major.buffer()->data()))};
}

}  // namespace lazuli
