// Defines reading whole files and the atomic writing of files, with errors that name the path and the reason.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace lazuli {

/// Throws IoError saying that `action` (for example "open") failed on `path` for the reason of errno value `code`.
[[noreturn]] void throw_io(std::string_view action, const std::string& path, int code);

/// The bytes of a regular file. Throws IoError, and FormatError when it has more than `limit` bytes.
std::string read_file(const std::string& path, size_t limit);

/// The first bytes of a regular file, at most `count`. Throws IoError.
std::string read_start(const std::string& path, size_t count);

/// Makes renames in a folder durable. File systems that cannot sync a folder say EINVAL; that is no failure of the write. Throws IoError.
void sync_folder(const std::string& folder);

/// Owns a file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& o) noexcept : fd_(o.release()) {}
  FileDescriptor& operator=(FileDescriptor&& o) noexcept {
    std::swap(fd_, o.fd_);
    return *this;
  }
  ~FileDescriptor() { close(); }
  /// Opens a regular file for reading; throws IoError.
  static FileDescriptor open_regular(const std::string& path, size_t& size);
  int get() const { return fd_; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void close();

 private:
  int fd_ = -1;
};

/// A file that appears under its name complete or not at all: the bytes go to a temporary file in the same folder, which
/// `commit` makes durable and renames. Without `commit` the temporary file is removed and the old file stays; that of a process that was
/// killed is removed when the same file is written again. A link stays, and the file behind it is replaced; a device or a pipe is written
/// to as it is.
class AtomicFile {
 public:
  /// Throws IoError, also when `path` is a folder.
  explicit AtomicFile(std::string path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();
  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  std::string path_;
  std::string target_;     ///< the file behind `path_`; empty: written to as it is
  std::string temporary_;  ///< empty: nothing to remove
  FileDescriptor file_;
};

/// Replaces the file at `path` by `content`, atomically. Throws IoError.
void write_file(const std::string& path, std::string_view content);

/// Throws IoError where an AtomicFile of that path could not be begun now, so that work whose result could not be kept is not begun.
void require_writable(const std::string& path);

}  // namespace lazuli
