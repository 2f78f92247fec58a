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
  remove_abandoned(path_);
  for (int attempt = 0; attempt < 100 && file_.get() < 0; ++attempt) {
    temporary_ = fmt::format("{}.{}-{}.tmp", path_, getpid(), counter.fetch_add(1));
    const int fd = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno != EEXIST) throw_io("write", path_, errno);
    file_ = FileDescriptor(fd);
    if (fd >= 0 && !lock_temporary(fd)) file_.close();
  }
  if (file_.get() < 0) throw_io("write", path_, EEXIST);
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
  if (fsync(file_.get()) != 0) throw_io("write", path_, errno);
  // Before the file is closed: then it is no longer locked, and would be taken for abandoned.
  if (rename(temporary_.c_str(), path_.c_str()) != 0) throw_io("write", path_, errno);
  temporary_.clear();
  if (::close(file_.release()) != 0) throw_io("write", path_, errno);
  sync_folder(folder_of(path_));
}

void write_file(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

}  // namespace lazuli
