// Implements the checks of the safetensors format: nothing read from a header is used before it is found consistent.
#include "io/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/download_fault.h"
#include "base/json.h"
#include "io/safetensors_dtypes.h"

namespace lazuli {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr size_t kStart = 256;  // bytes that tell other files
constexpr uint64_t kMaxHeader = 100'000'000;
// Object, tensor, shape: anything deeper is no header.
constexpr size_t kMaxDepth = 8;

struct Extent {
  uint64_t begin;
  uint64_t end;
  std::string_view name;
};

[[noreturn]] void fail(const std::string& path, std::string_view message) { throw FormatError(fmt::format("{}: {}", path, message)); }

class HeaderParser {
 public:
  HeaderParser(const std::string& path, uint64_t data_start, uint64_t data_size)
      : path_(path), data_start_(data_start), data_size_(data_size) {}

  SafetensorsHeader parse(const JsonDocument& document) {
    if (!document.root().is_object()) fail(path_, "a JSON object as header expected");
    bool has_metadata = false;
    for (const JsonMember& member : document.root().as_object()) {
      if (member.key != "__metadata__") {
        add_tensor(member);
        continue;
      }
      if (std::exchange(has_metadata, true)) fail(path_, "one __metadata__ expected, got two");
      add_metadata(member.value);
    }
    check_extents();
    return std::move(header_);
  }

 private:
  [[noreturn]] void fail_tensor(std::string_view name, std::string_view message) const {
    throw FormatError(fmt::format("{}: tensor '{}': {}", path_, name, message));
  }

  void add_metadata(const JsonValue& value) {
    for (const JsonMember& m : value.as_object()) {
      if (!header_.metadata.emplace(m.key, m.value.as_string()).second) fail(path_, fmt::format("metadata key '{}' occurs twice", m.key));
    }
  }

  /// The members that the format defines, each at most once; others are left for later versions of the format.
  void add_tensor(const JsonMember& member) {
    const std::string_view name = member.key;
    std::optional<JsonValue> dtype;
    std::optional<JsonValue> shape;
    std::optional<JsonValue> offsets;
    if (!member.value.is_object()) fail_tensor(name, "an object with dtype, shape and data_offsets expected");
    for (const JsonMember& field : member.value.as_object()) {
      std::optional<JsonValue>* slot = field.key == "dtype" ? &dtype : field.key == "shape" ? &shape : nullptr;
      if (field.key == "data_offsets") slot = &offsets;
      if (slot == nullptr) continue;
      if (*slot) fail_tensor(name, fmt::format("key '{}' occurs twice", field.key));
      *slot = field.value;
    }
    if (!dtype) fail_tensor(name, "key 'dtype' expected");
    if (!shape) fail_tensor(name, "key 'shape' expected");
    if (!offsets) fail_tensor(name, "key 'data_offsets' expected");

    const SafetensorsDType* format = find_safetensors_dtype(dtype->as_string());
    if (format == nullptr) fail_tensor(name, fmt::format("a dtype of the format expected, got '{}'", dtype->as_string()));
    TensorInfo info;
    info.dtype_name = format->name;
    info.dtype = format->dtype;
    info.shape = read_shape(name, *shape);
    info.nbytes = byte_count(name, info.shape, *format);
    const auto [begin, end] = read_offsets(name, *offsets);
    if (end - begin != info.nbytes) {
      fail_tensor(name, fmt::format("{} {} needs {} bytes, data_offsets [{}, {}] hold {}", format->name, to_string(info.shape), info.nbytes,
                                    begin, end, end - begin));
    }
    info.offset = data_start_ + begin;
    const auto [place, added] = header_.tensors.emplace(name, std::move(info));
    if (!added) fail_tensor(name, "the name occurs twice");
    extents_.push_back({begin, end, place->first});
  }

  Shape read_shape(std::string_view name, const JsonValue& value) const {
    Shape shape;
    if (!value.is_array()) fail_tensor(name, "an array as shape expected");
    for (const JsonValue& entry : value.as_array()) {
      if (!entry.is_int() || entry.as_int() < 0) fail_tensor(name, "dimensions must be integers of at least 0");
      if (shape.rank() == kMaxRank) fail_tensor(name, fmt::format("at most {} dimensions expected", kMaxRank));
      shape.push_back(entry.as_int());
    }
    return shape;
  }

  uint64_t byte_count(std::string_view name, const Shape& shape, const SafetensorsDType& format) const {
    // A dimension of 0 must not hide an overflow of the others: views multiply them too.
    std::optional<int64_t> bits = format.bits;
    bool empty = false;
    for (int64_t d : shape) {
      empty = empty || d == 0;
      if (bits) bits = checked_mul(*bits, std::max<int64_t>(d, 1));
    }
    if (!bits) fail_tensor(name, fmt::format("the size of shape {} overflows", to_string(shape)));
    if (empty) return 0;
    if (*bits % 8 != 0) fail_tensor(name, fmt::format("{} {} does not fill whole bytes", format.name, to_string(shape)));
    return static_cast<uint64_t>(*bits) / 8;
  }

  std::pair<uint64_t, uint64_t> read_offsets(std::string_view name, const JsonValue& value) const {
    uint64_t offsets[2] = {};
    size_t count = 0;
    if (!value.is_array()) fail_tensor(name, "an array as data_offsets expected");
    for (const JsonValue& entry : value.as_array()) {
      if (!entry.is_int() || entry.as_int() < 0) fail_tensor(name, "data_offsets must be integers of at least 0");
      if (count == 2) fail_tensor(name, "two data_offsets expected, got more");
      offsets[count++] = static_cast<uint64_t>(entry.as_int());
    }
    if (count != 2) fail_tensor(name, fmt::format("two data_offsets expected, got {}", count));
    const auto [begin, end] = offsets;
    if (begin > end) fail_tensor(name, fmt::format("data_offsets [{}, {}] end before they begin", begin, end));
    if (end > data_size_)
      fail_tensor(name, fmt::format("data_offsets [{}, {}] leave the {} bytes of data: the file is cut short", begin, end, data_size_));
    return {begin, end};
  }

  /// The tensors follow one another without holes or overlaps and fill the data exactly.
  void check_extents() {
    std::sort(extents_.begin(), extents_.end(),
              [](const Extent& a, const Extent& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
    uint64_t next = 0;
    for (const Extent& e : extents_) {
      if (e.begin < next) fail_tensor(e.name, fmt::format("data at offset {} overlaps another tensor, {} expected", e.begin, next));
      if (e.begin > next) fail_tensor(e.name, fmt::format("data at offset {} leaves a hole, {} expected", e.begin, next));
      next = e.end;
    }
    if (next != data_size_) fail(path_, fmt::format("the tensors end at offset {}, the data has {} bytes", next, data_size_));
  }

  const std::string& path_;
  uint64_t data_start_;
  uint64_t data_size_;
  SafetensorsHeader header_;
  std::vector<Extent> extents_;
};

/// Other files that lie under names of safetensors files.
void refuse_other_kinds(const std::string& path, std::string_view start) {
  refuse_download_fault(path, start);
  if (start.starts_with("GGUF")) fail(path, "a safetensors file expected, got GGUF");
  // The length of a header may have these bytes too, and the brace of the header follows it.
  const bool has_header = start.size() > kLengthBytes && start[kLengthBytes] == '{';
  if (!has_header && (start.starts_with("PK\x03\x04") || start.starts_with("\x80\x02"))) {
    fail(path, "a safetensors file expected, got pickled weights; convert them with safetensors.torch.save_file in Python");
  }
}

}  // namespace

SafetensorsHeader parse_safetensors_header(const std::string& path, std::span<const std::byte> file) {
  refuse_other_kinds(path, {reinterpret_cast<const char*>(file.data()), std::min<size_t>(file.size(), kStart)});
  if (file.size() < kLengthBytes) {
    fail(path, fmt::format("a header length of {} bytes expected, the file has {}; download it again", kLengthBytes, file.size()));
  }
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > kMaxHeader)
    fail(path, fmt::format("a header of at most {} bytes expected, its length is {}: the file is damaged or no safetensors file",
                           kMaxHeader, length));
  if (length > file.size() - kLengthBytes) {
    fail(path,
         fmt::format("the header of {} bytes leaves the file of {} bytes, which is cut short or no safetensors file", length, file.size()));
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, static_cast<size_t>(length));
  if (text.empty() || text.front() != '{') fail(path, "a header that begins with '{' expected");
  const uint64_t data_start = kLengthBytes + length;
  return HeaderParser(path, data_start, file.size() - data_start).parse(JsonDocument::parse(text, path, kMaxDepth));
}

}  // namespace lazuli
