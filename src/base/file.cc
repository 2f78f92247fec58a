// Implements file reading and atomic writing with POSIX calls.
#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "base/temporary.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

// Linux transfers at most a little under 2 GiB at once.
constexpr size_t kMaxTransfer = size_t{1} << 30;

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// Where the links end that `path` may be, the file itself being there or not. A rename would replace a link instead of its file.
std::string behind_links(const std::string& path) {
  constexpr int kMostLinks = 40;
  std::filesystem::path at = path;
  for (int k = 0; k < kMostLinks; ++k) {
    std::error_code error;
    const std::filesystem::path link = std::filesystem::read_symlink(at, error);
    if (error) return at.string();
    at = link.is_absolute() ? link : at.parent_path() / link;
  }
  throw_io("write", path, ELOOP);
}

/// A device, a pipe or the like: it is written to as it is, for a file in its place would be no such thing.
bool is_special(const struct stat& info) { return !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode); }

/// Whether there is something at `path`, and then what.
bool look_at(const std::string& path, struct stat& info) {
  if (path.empty()) throw_io("write", "''", ENOENT);
  if (stat(path.c_str(), &info) != 0) return false;
  if (S_ISDIR(info.st_mode)) throw_io("write", path, EISDIR);
  return true;
}

}  // namespace

void sync_folder(const std::string& folder) {
  const FileDescriptor dir(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir.get() < 0) {
    // A folder that may be written but not read cannot be opened to be synced.
    if (errno == EACCES) return;
    throw_io("open", folder, errno);
  }
  if (fsync(dir.get()) != 0 && errno != EINVAL && errno != ENOTSUP) throw_io("sync", folder, errno);
}

void throw_io(std::string_view action, const std::string& path, int code) {
  throw IoError(fmt::format("{}: cannot {}: {}", path, action, std::generic_category().message(code)));
}

void FileDescriptor::close() {
  if (fd_ >= 0) ::close(release());
}

FileDescriptor FileDescriptor::open_regular(const std::string& path, size_t& size) {
  // Without O_NONBLOCK, opening a pipe that nobody writes would hang.
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) throw_io("open", path, errno);
  struct stat info {};
  if (fstat(file.get(), &info) != 0) throw_io("read", path, errno);
  if (S_ISDIR(info.st_mode)) throw_io("read", path, EISDIR);
  if (!S_ISREG(info.st_mode)) throw IoError(fmt::format("{}: cannot read: a regular file is expected", path));
  size = static_cast<size_t>(info.st_size);
  return file;
}

namespace {

std::string read_bytes(const FileDescriptor& file, const std::string& path, size_t size) {
  std::string content(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = read(file.get(), content.data() + done, std::min(size - done, kMaxTransfer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_io("read", path, errno);
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  content.resize(done);
  return content;
}

}  // namespace

std::string read_file(const std::string& path, size_t limit) {
  size_t size = 0;
  const FileDescriptor file = FileDescriptor::open_regular(path, size);
  if (size > limit) throw FormatError(fmt::format("{}: at most {} bytes expected, the file has {}", path, limit, size));
  return read_bytes(file, path, size);
}

std::string read_start(const std::string& path, size_t count) {
  size_t size = 0;
  const FileDescriptor file = FileDescriptor::open_regular(path, size);
  return read_bytes(file, path, std::min(size, count));
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  static std::atomic<unsigned> counter{0};
  struct stat old {};
  const bool exists = look_at(path_, old);
  if (exists && is_special(old)) {
    file_ = FileDescriptor(open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
    if (file_.get() < 0) throw_io("write", path_, errno);
    return;
  }
  target_ = behind_links(path_);
  remove_abandoned(target_);
  for (int attempt = 0; attempt < 100 && file_.get() < 0; ++attempt) {
    temporary_ = fmt::format("{}.{}-{}.tmp", target_, getpid(), counter.fetch_add(1));
    const int fd = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno != EEXIST) {
      const int code = errno;
      temporary_.clear();
      throw_io("write", path_, code);
    }
    file_ = FileDescriptor(fd);
    if (fd >= 0 && !lock_temporary(fd)) file_.close();
  }
  if (file_.get() < 0) throw_io("write", path_, EEXIST);
  // What nobody else could read must not become readable by being written again. Some file systems know no modes.
  if (exists && fchmod(file_.get(), old.st_mode & 0777) != 0 && errno != EPERM && errno != ENOTSUP) {
    const int code = errno;
    unlink(temporary_.c_str());
    throw_io("write", path_, code);
  }
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
  const auto* next = static_cast<const char*>(data);
  while (bytes != 0) {
    const ssize_t n = ::write(file_.get(), next, std::min(bytes, kMaxTransfer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_io("write", path_, errno);
    next += n;
    bytes -= static_cast<size_t>(n);
  }
}

void AtomicFile::commit() {
  // Devices and pipes cannot be synced.
  if (fsync(file_.get()) != 0 && !(target_.empty() && (errno == EINVAL || errno == EROFS || errno == ENOTSUP))) {
    throw_io("write", path_, errno);
  }
  // Before the file is closed: then it is no longer locked, and would be taken for abandoned.
  if (!target_.empty() && rename(temporary_.c_str(), target_.c_str()) != 0) throw_io("write", path_, errno);
  temporary_.clear();
  if (::close(file_.release()) != 0) throw_io("write", path_, errno);
  if (!target_.empty()) sync_folder(folder_of(target_));
}

void require_writable(const std::string& path) {
  struct stat info {};
  if (!look_at(path, info) || !is_special(info)) {
    const AtomicFile probe(path);
  } else if (access(path.c_str(), W_OK) != 0) {
    throw_io("write", path, errno);
  }
}

void write_file(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

}  // namespace lazuli
