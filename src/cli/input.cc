#include "cli/input.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <limits>

#include "base/file.h"

namespace lazuli::cli {

std::string read_input(const std::string& path) {
  if (path != "-") return read_file(path, std::numeric_limits<size_t>::max());
  std::string all;
  std::array<char, 65536> part{};
  while (true) {
    const ssize_t n = read(STDIN_FILENO, part.data(), part.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_io("read", "standard input", errno);
    if (n == 0) return all;
    all.append(part.data(), static_cast<size_t>(n));
  }
}

}  // namespace lazuli::cli
