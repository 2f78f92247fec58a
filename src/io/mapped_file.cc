// Implements file mapping with mmap.
#include "io/mapped_file.h"

#include <sys/mman.h>

#include <cerrno>

#include "base/file.h"

namespace lazuli {

namespace {

void unmap(Buffer* buffer) {
  if (buffer->bytes() != 0) munmap(buffer->data(), buffer->bytes());
  delete buffer;
}

}  // namespace

BufferRef map_file(const std::string& path) {
  size_t size = 0;
  const FileDescriptor file = FileDescriptor::open_regular(path, size);
  void* data = nullptr;
  if (size != 0) {
    // Private and writable: in-place kernels may write to weights without changing the file.
    data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.get(), 0);
    if (data == MAP_FAILED) throw_io("map", path, errno);
  }
  return BufferRef(new Buffer(data, size, Device{}, &unmap));
}

}  // namespace lazuli
