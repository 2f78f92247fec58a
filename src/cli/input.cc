#include "cli/input.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include "base/file.h"
#include "cli/command.h"

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

std::vector<std::string> split_names(std::string_view option, std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view name = text.substr(0, comma);
    name.remove_prefix(std::min(name.find_first_not_of(' '), name.size()));
    name.remove_suffix(name.size() - (name.find_last_not_of(' ') + 1));
    if (!name.empty()) names.emplace_back(name);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  if (names.empty()) throw UsageError(fmt::format("{}: at least one name is expected", option));
  return names;
}

}  // namespace lazuli::cli
