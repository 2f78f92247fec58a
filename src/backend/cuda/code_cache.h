// Defines the cache of compiled kernels on disk.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lazuli::cuda {

/// Compiled code by text, architecture and compiler version. An entry holds all of its key, which a hit compares; entries are written under
/// a temporary name and renamed, and one that is damaged counts as missing. Folder: $LAZULI_CACHE_DIR, else $XDG_CACHE_HOME/lazuli, else
/// ~/.cache/lazuli; without any of them nothing is kept.
class CodeCache {
 public:
  explicit CodeCache(std::string folder) : folder_(std::move(folder)) {}
  static CodeCache of_user();

  /// The code, or nothing.
  std::vector<char> find(std::string_view key) const;
  /// Keeps the code if it can: a full disk or a read-only folder is no error.
  void keep(std::string_view key, std::string_view code) const;

 private:
  std::string path_of(std::string_view key) const;
  std::string folder_;
};

}  // namespace lazuli::cuda
