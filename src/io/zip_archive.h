// Defines ZipArchive, which finds the stored files of a zip archive in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace lazuli {

/// Where the bytes of one file of an archive are.
struct ZipEntry {
  uint64_t offset = 0;  ///< from the start of the archive
  uint64_t size = 0;
};

/// The files of an archive that are stored as they are, and checked to lie inside it without overlapping. Archives of more than 4 GiB
/// are read too.
class ZipArchive {
 public:
  /// Throws FormatError naming `path` for what is no such archive: also for compressed and encrypted files, and for archives in parts.
  static ZipArchive read(const std::string& path, std::span<const std::byte> bytes);

  const std::map<std::string, ZipEntry, std::less<>>& entries() const { return entries_; }
  /// Null where there is no such file.
  const ZipEntry* find(std::string_view name) const {
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second;
  }

 private:
  std::map<std::string, ZipEntry, std::less<>> entries_;
};

}  // namespace lazuli
