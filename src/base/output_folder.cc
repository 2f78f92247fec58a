#include "base/output_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/temporary.h"
#include "lazuli/error.h"

namespace lazuli {

namespace fs = std::filesystem;

namespace {

/// Makes the folders above `path` and itself; true when the last one was missing.
bool make_folder(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  std::error_code error;
  if (!parent.empty()) fs::create_directories(parent, error);
  if (error) throw_io("create", path, error.value());
  if (mkdir(path.c_str(), 0777) == 0) return true;
  const int code = errno;
  if (!fs::is_directory(path, error)) throw_io("create", path, code);
  return false;
}

bool is_inside(const std::string& path, const std::string& folder) {
  return path == folder || (path.starts_with(folder) && path[folder.size()] == '/');
}

/// A folder that someone works in must stay the one that it is.
bool works_in(const std::string& folder) {
  std::error_code error;
  const fs::path here = fs::current_path(error);
  return error || is_inside(here.string(), folder);
}

}  // namespace

OutputFolder::OutputFolder(std::string path, std::vector<std::string> own) : path_(std::move(path)), own_(std::move(own)) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  if (path_.empty()) throw IoError("a folder's name is expected, got an empty one");
  lock();
  if (access(path_.c_str(), W_OK | X_OK) != 0) throw_io("write", path_, errno);
  std::error_code error;
  target_ = fs::canonical(path_, error).string();
  if (error) throw_io("open", path_, error.value());
  remove_abandoned(target_);
  remove_abandoned(target_ + "/new");
}

void OutputFolder::lock() {
  constexpr int kMostAttempts = 100;
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    if (make_folder(path_)) made_ = true;
    lock_ = FileDescriptor(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // What may be written but not read can be used, and some file systems have no locks.
    if (lock_.get() < 0 && errno == EACCES) return;
    if (lock_.get() < 0 && errno == ENOENT) continue;
    if (lock_.get() < 0) throw_io("open", path_, errno);
    int result = 0;
    do result = flock(lock_.get(), LOCK_EX | LOCK_NB);
    while (result != 0 && errno == EINTR);
    if (result != 0 && errno == EWOULDBLOCK) {
      made_ = false;
      throw IoError(fmt::format("{}: another process is writing into this folder", path_));
    }
    // Its former owner may have put another folder in its place in the meantime.
    struct stat locked {
    }, now{};
    if (fstat(lock_.get(), &locked) == 0 && stat(path_.c_str(), &now) == 0 && locked.st_ino == now.st_ino && locked.st_dev == now.st_dev) {
      return;
    }
  }
  throw_io("lock", path_, EAGAIN);
}

OutputFolder::~OutputFolder() {
  std::error_code ignored;
  if (staged()) fs::remove_all(stage_, ignored);
  // Not where something is in it.
  if (made_) rmdir(target_.c_str());
}

bool OutputFolder::has(const std::string& name) const {
  std::error_code ignored;
  return fs::exists(target_ + "/" + name, ignored);
}

std::vector<std::string> OutputFolder::others() const {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(target_, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const bool mine = std::find(own_.begin(), own_.end(), name) != own_.end() || entry->path().string() == stage_;
    if (!mine && !name.starts_with('.') && name != "lost+found") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void OutputFolder::stage() {
  // Below the folder itself: it may be where another file system begins.
  const std::string name = fmt::format("{}/new.{}.tmp", target_, getpid());
  if (mkdir(name.c_str(), 0777) != 0) throw_io("write", path_, errno);
  stage_ = name;
  stage_lock_ = FileDescriptor(open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (stage_lock_.get() >= 0) lock_temporary(stage_lock_.get());
}

void OutputFolder::publish() {
  sync_folder(stage_);
  std::string source = stage_;
  bool hidden = false;
  std::error_code error;
  for (fs::directory_iterator entry(target_, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    hidden = hidden || (entry->path().string() != stage_ && std::find(own_.begin(), own_.end(), name) == own_.end());
  }
  if (error || hidden || works_in(target_) || !exchange(source)) replace_files(source);
  fs::remove_all(source, error);
  stage_.clear();
  // Both folders stay locked: whoever opened the old one before must not take it for free.
  made_ = false;
  sync_folder(target_);
}

/// False where the folders cannot be exchanged; `source` is where the staged files are then, or the old ones.
bool OutputFolder::exchange(std::string& source) const {
  const std::string beside = fmt::format("{}.{}.tmp", target_, getpid());
  struct stat info {};
  if (stat(target_.c_str(), &info) == 0) chmod(source.c_str(), info.st_mode & 07777);
  if (rename(source.c_str(), beside.c_str()) != 0) return false;
  source = beside;
  if (renameat2(AT_FDCWD, beside.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) != 0) return false;
  sync_folder(fs::path(target_).parent_path().string());
  return true;
}

void OutputFolder::replace_files(const std::string& source) const {
  const auto in = [](const std::string& folder, const std::string& name) { return folder + "/" + name; };
  for (auto name = own_.rbegin(); name != own_.rend(); ++name) {
    if (unlink(in(target_, *name).c_str()) != 0 && errno != ENOENT) throw_io("replace", in(path_, *name), errno);
  }
  for (const std::string& name : own_) {
    if (rename(in(source, name).c_str(), in(target_, name).c_str()) != 0 && errno != ENOENT) throw_io("write", in(path_, name), errno);
  }
}

}  // namespace lazuli
