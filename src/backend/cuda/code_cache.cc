#include "backend/cuda/code_cache.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/file.h"
#include "lazuli/error.h"

namespace lazuli::cuda {

namespace {

constexpr std::string_view kMagic = "lazuli kernel 1\n";
constexpr size_t kMostBytes = size_t{64} << 20;

/// FNV-1a.
uint64_t hash_of(std::string_view text, uint64_t seed) {
  uint64_t h = seed;
  for (const char c : text) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return h;
}

constexpr uint64_t kSeed = 0xcbf29ce484222325u;

std::string header_of(std::string_view key, std::string_view code) {
  return fmt::format("{}{} {} {:016x}\n", kMagic, key.size(), code.size(), hash_of(code, hash_of(key, kSeed)));
}

void make_folder(const std::string& path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) ::mkdir(path.substr(0, at).c_str(), 0700);
  ::mkdir(path.c_str(), 0700);
}

}  // namespace

CodeCache CodeCache::of_user() {
  if (const char* set = std::getenv("LAZULI_CACHE_DIR"); set != nullptr && *set != 0) return CodeCache(std::string(set) + "/cuda");
  if (const char* set = std::getenv("XDG_CACHE_HOME"); set != nullptr && *set == '/') return CodeCache(std::string(set) + "/lazuli/cuda");
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') return CodeCache(std::string(home) + "/.cache/lazuli/cuda");
  return CodeCache({});
}

std::string CodeCache::path_of(std::string_view key) const {
  return fmt::format("{}/{:016x}{:016x}.bin", folder_, hash_of(key, kSeed), hash_of(key, ~kSeed));
}

std::vector<char> CodeCache::find(std::string_view key) const {
  if (folder_.empty()) return {};
  std::string entry;
  try {
    entry = read_file(path_of(key), kMostBytes);
  } catch (const Error&) {
    return {};
  }
  const size_t key_at = entry.find('\n', kMagic.size());
  if (key_at == std::string::npos || entry.size() - key_at - 1 < key.size()) return {};
  const std::string_view rest = std::string_view(entry).substr(key_at + 1), code = rest.substr(key.size());
  const bool whole = rest.substr(0, key.size()) == key && std::string_view(entry).substr(0, key_at + 1) == header_of(key, code);
  if (!whole || code.empty()) return {};
  return {code.begin(), code.end()};
}

void CodeCache::keep(std::string_view key, std::string_view code) const {
  if (folder_.empty()) return;
  make_folder(folder_);
  std::string entry = header_of(key, code);
  entry.append(key).append(code);
  try {
    write_file(path_of(key), entry);
  } catch (const IoError&) {
    return;  // the next start compiles again
  }
}

}  // namespace lazuli::cuda
