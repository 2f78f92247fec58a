// Defines what the fuzzers share: a folder in memory for their files, and the reading of choices from bytes.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "lazuli/error.h"

namespace lazuli::fuzz {

/// A folder of this process, in memory where the system has such a place; its files are replaced at each input.
class Folder {
 public:
  Folder() {
    std::error_code error;
    const std::filesystem::path memory = "/dev/shm";
    path_ = (std::filesystem::is_directory(memory, error) ? memory : std::filesystem::temp_directory_path()) /
            ("lazuli_fuzz_" + std::to_string(::getpid()));
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path(const char* name = "") const { return *name == '\0' ? path_.string() : (path_ / name).string(); }
  void write(const char* name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

 private:
  std::filesystem::path path_;
};

inline const Folder& folder() {
  static const Folder one;
  return one;
}

inline std::string_view text_of(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

/// The text before the first zero byte, and what comes after it.
struct TwoParts {
  explicit TwoParts(std::string_view all) {
    const size_t zero = all.find('\0');
    first = all.substr(0, zero);
    if (zero != std::string_view::npos) second = all.substr(zero + 1);
  }
  std::string_view first, second;
};

/// Numbers from bytes; zeros when they have run out.
class Choices {
 public:
  Choices(const uint8_t* data, size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  /// Below `n`, which is at least 1.
  size_t below(size_t n) { return byte() % n; }
  /// Mostly small, at times any number of 64 bits.
  int64_t number() {
    const uint8_t b = byte();
    if (b < 250) return static_cast<int64_t>(b % 12) - 2;
    uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) bits = bits << 8 | byte();
    return static_cast<int64_t>(bits);
  }

 private:
  const uint8_t* data_;
  size_t left_;
};

/// Runs `f`. Typed errors are the answer to a bad input; anything else that is thrown ends the process, which the fuzzer reports.
template <class F>
int survive(F&& f) {
  try {
    f();
  } catch (const Error&) {
  }
  return 0;
}

}  // namespace lazuli::fuzz
