#include "base/temporary.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace lazuli {

namespace fs = std::filesystem;

namespace {

/// Whether `name` is `stem`, a dot, digits with dashes between them, and `.tmp`.
bool is_temporary_of(std::string_view stem, std::string_view name) {
  constexpr std::string_view kEnd = ".tmp";
  if (name.size() < stem.size() + kEnd.size() + 2 || !name.starts_with(stem) || !name.ends_with(kEnd) || name[stem.size()] != '.') {
    return false;
  }
  const std::string_view writer = name.substr(stem.size() + 1, name.size() - stem.size() - 1 - kEnd.size());
  return std::all_of(writer.begin(), writer.end(), [](char c) { return (c >= '0' && c <= '9') || c == '-'; });
}

int try_lock(int fd) {
  int result = 0;
  do result = flock(fd, LOCK_EX | LOCK_NB);
  while (result != 0 && errno == EINTR);
  return result;
}

}  // namespace

bool lock_temporary(int fd) {
  int result = 0;
  do result = flock(fd, LOCK_EX);
  while (result != 0 && errno == EINTR);
  if (result != 0) return true;
  struct stat info {};
  return fstat(fd, &info) != 0 || info.st_nlink > 0;
}

void remove_abandoned(const std::string& path) {
  const fs::path target(path);
  const std::string stem = target.filename().string();
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  std::error_code error;
  std::vector<fs::path> found;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (is_temporary_of(stem, entry->path().filename().string())) found.push_back(entry->path());
  }
  for (const fs::path& temporary : found) {
    // A pipe of that name must not be waited for, and a link not followed.
    const FileDescriptor file(open(temporary.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
    struct stat info {};
    if (file.get() < 0 || fstat(file.get(), &info) != 0 || !(S_ISREG(info.st_mode) || S_ISDIR(info.st_mode))) continue;
    if (try_lock(file.get()) == 0) fs::remove_all(temporary, error);
  }
}

}  // namespace lazuli
