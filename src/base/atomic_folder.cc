// Implements AtomicFolder.
#include "base/atomic_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/temporary.h"
#include "lazuli/error.h"

namespace lazuli {

namespace fs = std::filesystem;

namespace {

void check_free(const std::string& path) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(path, error))) return;
  if (!fs::is_directory(path, error) || !fs::is_empty(path, error) || error) {
    throw IoError(fmt::format("{}: a new or empty folder is expected", path));
  }
}

}  // namespace

AtomicFolder::AtomicFolder(std::string path) : path_(std::move(path)) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  if (path_.empty()) throw IoError("a folder's name is expected, got an empty one");
  check_free(path_);
  const fs::path parent = fs::path(path_).parent_path();
  std::error_code error;
  if (!parent.empty()) fs::create_directories(parent, error);
  if (error) throw IoError(fmt::format("{}: cannot create: {}", parent.string(), error.message()));
  remove_abandoned(path_);
  const std::string name = fmt::format("{}.{}.tmp", path_, getpid());
  for (bool locked = false; !locked;) {
    if (mkdir(name.c_str(), 0777) != 0) throw_io("create", path_, errno);
    temporary_ = name;
    lock_ = FileDescriptor(open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    locked = lock_.get() < 0 || lock_temporary(lock_.get());
  }
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  sync_folder(temporary_);
  if (rename(temporary_.c_str(), path_.c_str()) != 0) throw_io("create", path_, errno);
  temporary_.clear();
  const std::string parent = fs::path(path_).parent_path().string();
  sync_folder(parent.empty() ? "." : parent);
}

}  // namespace lazuli
