// Defines ZipWriter, which makes zip archives of stored files, whole or wrong ones.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lazuli::test {

/// What is wrong with one file of an archive, or unusual.
struct ZipChange {
  uint16_t method = 0, flags = 0;
  int64_t size = -1;    ///< what the directory says instead of the true size
  int64_t header = -1;  ///< what the directory says instead of the true place
  bool large = false;   ///< sizes and places stand in the part for large archives
};

class ZipWriter {
 public:
  ZipWriter& add(const std::string& name, const std::string& bytes, const ZipChange& change = {}) {
    const uint64_t at = bytes_.size();
    number(0x04034b50, 4).number(20, 2).number(change.flags, 2).number(change.method, 2).number(0, 4).number(0, 4);
    number(bytes.size(), 4).number(bytes.size(), 4).number(name.size(), 2).number(0, 2);
    bytes_ += name + bytes;
    std::string whole;
    whole.swap(bytes_);
    const uint64_t size = change.size < 0 ? bytes.size() : static_cast<uint64_t>(change.size);
    const uint64_t header = change.header < 0 ? at : static_cast<uint64_t>(change.header);
    const uint64_t elsewhere = 0xffffffff;
    number(0x02014b50, 4).number(20, 2).number(20, 2).number(change.flags, 2).number(change.method, 2).number(0, 4).number(0, 4);
    number(change.large ? elsewhere : size, 4).number(change.large ? elsewhere : size, 4).number(name.size(), 2);
    number(change.large ? 28 : 0, 2).number(0, 2).number(0, 2).number(0, 2).number(0, 4).number(change.large ? elsewhere : header, 4);
    bytes_ += name;
    if (change.large) number(1, 2).number(24, 2).number(size, 8).number(size, 8).number(header, 8);
    directory_.push_back(bytes_);
    bytes_.swap(whole);
    return *this;
  }
  /// `large` ends the archive as one of more than 4 GiB.
  std::string text(bool large = false) {
    const uint64_t start = bytes_.size();
    for (const std::string& entry : directory_) bytes_ += entry;
    const uint64_t size = bytes_.size() - start, end = bytes_.size(), count = directory_.size();
    if (large) {
      number(0x06064b50, 4).number(44, 8).number(45, 2).number(45, 2).number(0, 4).number(0, 4).number(count, 8).number(count, 8);
      number(size, 8).number(start, 8).number(0x07064b50, 4).number(0, 4).number(end, 8).number(1, 4);
    }
    const uint64_t none = 0xffffffff;
    number(0x06054b50, 4).number(0, 2).number(0, 2).number(large ? 0xffff : count, 2).number(large ? 0xffff : count, 2);
    number(large ? none : size, 4).number(large ? none : start, 4).number(0, 2);
    return bytes_;
  }

 private:
  ZipWriter& number(uint64_t value, int bytes) {
    for (int k = 0; k < bytes; ++k) bytes_ += static_cast<char>(value >> (8 * k));
    return *this;
  }

  std::string bytes_;
  std::vector<std::string> directory_;
};

}  // namespace lazuli::test
