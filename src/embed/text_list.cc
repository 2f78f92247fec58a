#include "embed/text_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <istream>
#include <iterator>

#include "base/file.h"
#include "base/json.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr size_t kFileLimit = size_t{4} << 30;

/// Calls `f` with the number of each line, from 1, and the line without its end.
template <class F>
void each_line(std::string_view bytes, F&& f) {
  size_t number = 0;
  for (size_t at = 0; at < bytes.size();) {
    const size_t end = std::min(bytes.find('\n', at), bytes.size());
    std::string_view line = bytes.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    f(++number, line);
    at = end + 1;
  }
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

bool is_row(std::string_view line) {
  if (!line.starts_with('{')) return false;
  try {
    const JsonDocument row = JsonDocument::parse(line, "-");
    const auto text = row.root().find("text");
    return text && text->is_string();
  } catch (const FormatError&) {
    return false;  // a line of text that begins with a brace
  }
}

}  // namespace

std::vector<std::string> split_texts(std::string_view bytes, const std::string& name, TextFormat format) {
  std::vector<std::string> texts;
  if (format == TextFormat::automatic) {
    const bool rows = name.ends_with(".jsonl") || (name == "-" && is_row(bytes.substr(0, bytes.find('\n'))));
    format = rows ? TextFormat::jsonl : TextFormat::lines;
  }
  each_line(bytes, [&](size_t number, std::string_view line) {
    if (format == TextFormat::lines) {
      texts.emplace_back(line);
    } else if (!is_blank(line)) {
      const JsonDocument row = JsonDocument::parse(line, fmt::format("{}:{}", name, number));
      texts.emplace_back(row.root().get("text").as_string());
    }
  });
  return texts;
}

std::vector<std::string> read_texts(const std::string& path, std::istream& input, TextFormat format) {
  const std::string bytes = path == "-" ? std::string{std::istreambuf_iterator<char>(input), {}} : read_file(path, kFileLimit);
  std::vector<std::string> texts = split_texts(bytes, path, format);
  if (texts.empty()) throw FormatError(fmt::format("{}: at least one text expected, got none", path == "-" ? "standard input" : path));
  return texts;
}

}  // namespace lazuli
