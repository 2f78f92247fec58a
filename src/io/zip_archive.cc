// Implements the reading of zip archives by their directory (PKWARE's APPNOTE 6.3).
#include "io/zip_archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr uint32_t kEnd = 0x06054b50, kEnd64 = 0x06064b50, kLocator64 = 0x07064b50, kDirectory = 0x02014b50, kLocal = 0x04034b50;
constexpr uint64_t kEndBytes = 22, kEnd64Bytes = 56, kLocatorBytes = 20, kDirectoryBytes = 46, kLocalBytes = 30;
constexpr uint64_t kLongestComment = 65535;
constexpr uint32_t kElsewhere = 0xffffffff;  // the number is in the part for large archives

class Reader {
 public:
  Reader(const std::string& path, std::span<const std::byte> bytes) : path_(path), bytes_(bytes) {}

  uint64_t size() const { return bytes_.size(); }
  [[noreturn]] void fail(std::string_view message) const { throw FormatError(fmt::format("{}: zip archive: {}", path_, message)); }
  template <class T>
  T number(uint64_t at) const {
    require(at, sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data() + at, sizeof(T));
    return value;
  }
  std::string_view text(uint64_t at, uint64_t length) const {
    require(at, length);
    return {reinterpret_cast<const char*>(bytes_.data()) + at, length};
  }
  void require(uint64_t at, uint64_t length) const {
    if (at > size() || length > size() - at) fail(fmt::format("{} bytes at {} expected, the file ends at {}", length, at, size()));
  }

 private:
  const std::string& path_;
  std::span<const std::byte> bytes_;
};

struct Directory {
  uint64_t offset = 0, size = 0, entries = 0;
};

uint64_t find_end(const Reader& r) {
  if (r.size() < kEndBytes) r.fail("too short to be one");
  const uint64_t last = r.size() - kEndBytes;
  const uint64_t first = last > kLongestComment ? last - kLongestComment : 0;
  for (uint64_t at = last;; --at) {
    if (r.number<uint32_t>(at) == kEnd) return at;
    if (at == first) r.fail("no directory at its end; the file is cut off, or was not downloaded whole");
  }
}

Directory find_directory(const Reader& r) {
  const uint64_t end = find_end(r);
  Directory d{r.number<uint32_t>(end + 16), r.number<uint32_t>(end + 12), r.number<uint16_t>(end + 10)};
  uint64_t limit = end;
  if (r.number<uint16_t>(end + 4) != r.number<uint16_t>(end + 6)) r.fail("an archive in one part expected");
  if (end >= kLocatorBytes && r.number<uint32_t>(end - kLocatorBytes) == kLocator64) {
    const auto large = r.number<uint64_t>(end - kLocatorBytes + 8);
    r.require(large, kEnd64Bytes);
    if (r.number<uint32_t>(large) != kEnd64) r.fail("the end of a large archive expected where its locator points");
    d = {r.number<uint64_t>(large + 48), r.number<uint64_t>(large + 40), r.number<uint64_t>(large + 32)};
    limit = large;
  }
  r.require(d.offset, d.size);
  if (d.offset + d.size > limit) r.fail("the directory overlaps the end");
  if (d.entries > d.size / kDirectoryBytes) r.fail(fmt::format("{} files are more than a directory of {} bytes holds", d.entries, d.size));
  return d;
}

struct Raw {
  std::string_view name;
  uint64_t stored = 0, size = 0, header = 0;
};

/// Numbers that do not fit 32 bits stand in a part of their own, in this order, and only they.
void read_large(const Reader& r, uint64_t at, uint64_t end, Raw& raw) {
  while (at + 4 <= end) {
    const auto id = r.number<uint16_t>(at), length = r.number<uint16_t>(at + 2);
    at += 4;
    if (length > end - at) r.fail(fmt::format("file '{}': its additional data is cut off", raw.name));
    if (id == 1) {
      uint64_t next = at;
      for (uint64_t* value : {&raw.size, &raw.stored, &raw.header}) {
        if (*value != kElsewhere) continue;
        if (next + 8 > at + length) r.fail(fmt::format("file '{}': a size of 64 bits is missing", raw.name));
        *value = r.number<uint64_t>(next);
        next += 8;
      }
      return;
    }
    at += length;
  }
}

ZipEntry read_local(const Reader& r, const Raw& raw, uint64_t directory) {
  r.require(raw.header, kLocalBytes);
  if (r.number<uint32_t>(raw.header) != kLocal) r.fail(fmt::format("file '{}': its header expected at {}", raw.name, raw.header));
  const uint64_t name_length = r.number<uint16_t>(raw.header + 26), extra = r.number<uint16_t>(raw.header + 28);
  if (r.text(raw.header + kLocalBytes, name_length) != raw.name) {
    r.fail(fmt::format("file '{}': another name stands in its header", raw.name));
  }
  const uint64_t start = raw.header + kLocalBytes + name_length + extra;
  if (start > directory || raw.size > directory - start)
    r.fail(fmt::format("file '{}': {} bytes at {} overlap the directory", raw.name, raw.size, start));
  return {start, raw.size};
}

}  // namespace

ZipArchive ZipArchive::read(const std::string& path, std::span<const std::byte> bytes) {
  struct Extent {
    uint64_t begin, end;
    std::string_view name;
  };
  const Reader r(path, bytes);
  const Directory d = find_directory(r);
  ZipArchive archive;
  std::vector<Extent> extents;
  uint64_t at = d.offset;
  for (uint64_t k = 0; k < d.entries; ++k) {
    if (at + kDirectoryBytes > d.offset + d.size || r.number<uint32_t>(at) != kDirectory)
      r.fail(fmt::format("file {} of its directory expected at {}", k, at));
    const uint64_t name_length = r.number<uint16_t>(at + 28), extra = r.number<uint16_t>(at + 30), comment = r.number<uint16_t>(at + 32);
    const uint64_t next = at + kDirectoryBytes + name_length + extra + comment;
    if (next > d.offset + d.size) r.fail("its directory is cut off");
    Raw raw{r.text(at + kDirectoryBytes, name_length), r.number<uint32_t>(at + 20), r.number<uint32_t>(at + 24),
            r.number<uint32_t>(at + 42)};
    if ((r.number<uint16_t>(at + 8) & 1) != 0) r.fail(fmt::format("file '{}': it is encrypted", raw.name));
    if (const auto method = r.number<uint16_t>(at + 10); method != 0) {
      r.fail(fmt::format("file '{}': stored bytes expected, got the compression {}", raw.name, method));
    }
    read_large(r, at + kDirectoryBytes + name_length, next - comment, raw);
    if (raw.stored != raw.size) r.fail(fmt::format("file '{}': {} stored bytes for {}", raw.name, raw.stored, raw.size));
    const ZipEntry entry = read_local(r, raw, d.offset);
    if (!archive.entries_.emplace(raw.name, entry).second) r.fail(fmt::format("file '{}' occurs twice", raw.name));
    extents.push_back({raw.header, entry.offset + entry.size, raw.name});
    at = next;
  }
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  for (size_t k = 1; k < extents.size(); ++k) {
    if (extents[k].begin < extents[k - 1].end) r.fail(fmt::format("files '{}' and '{}' overlap", extents[k - 1].name, extents[k].name));
  }
  return archive;
}

}  // namespace lazuli
