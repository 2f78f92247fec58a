#include "cli/input.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"
#include "io/data_files.h"
#include "io/text_encoding.h"
#include "lazuli/notice.h"

namespace lazuli::cli {

std::string read_text_input(const std::string& path) {
  const std::string shown = path == "-" ? "standard input" : path;
  DecodedText decoded = decode_text(read_data_bytes(path), shown);
  if (!decoded.encoding.empty() && decoded.encoding != "UTF-8") notice(fmt::format("{} was read as {}", shown, decoded.encoding));
  return std::move(decoded.text);
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
