// Implements the reading of texts.
#include "io/text_data.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <set>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

namespace fs = std::filesystem;

constexpr size_t kFileLimit = size_t{4} << 30;
constexpr std::string_view kTextExtensions[] = {
    ".txt", ".md",  ".rst", ".py",    ".pyi", ".c",  ".cc", ".cpp",  ".cxx", ".h",   ".hh",   ".hpp",   ".cu",  ".cuh",  ".inl",
    ".def", ".rs",  ".go",  ".java",  ".kt",  ".js", ".ts", ".tsx",  ".jsx", ".rb",  ".php",  ".swift", ".sh",  ".bash", ".lua",
    ".pl",  ".sql", ".r",   ".scala", ".hs",  ".ml", ".cs", ".html", ".css", ".xml", ".toml", ".yaml",  ".yml", ".cmake"};

bool has_text_extension(std::string_view name) {
  const std::string extension = fs::path(name).extension().string();
  return std::find(std::begin(kTextExtensions), std::end(kTextExtensions), extension) != std::end(kTextExtensions);
}

bool is_json_lines(const fs::path& path) { return path.extension() == ".jsonl"; }

std::vector<Document> read_json_lines(const fs::path& path) {
  const std::string bytes = read_file(path.string(), kFileLimit);
  std::vector<Document> rows;
  size_t line = 0;
  for (size_t at = 0; at < bytes.size();) {
    const size_t end = std::min(bytes.find('\n', at), bytes.size());
    const std::string_view text = std::string_view(bytes).substr(at, end - at);
    at = end + 1;
    ++line;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const JsonDocument row = JsonDocument::parse(text, fmt::format("{}:{}", path.string(), line));
    rows.push_back({fmt::format("{}:{}", path.filename().string(), line), std::string(row.root().get("text").as_string())});
  }
  if (rows.empty()) throw FormatError(fmt::format("{}: rows of {{\"text\": \"...\"}} expected, got none", path.string()));
  return rows;
}

/// Regular files below `folder` whose path has no hidden part, in the order of their relative names.
std::set<std::string> visible_files(const fs::path& folder) {
  std::set<std::string> names;
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    const bool hidden = it->path().filename().string().starts_with('.');
    std::error_code ignored;
    if (hidden && it->is_directory(ignored)) it.disable_recursion_pending();
    if (!hidden && it->is_regular_file(ignored)) names.insert(it->path().lexically_relative(folder).generic_string());
  }
  if (error) throw IoError(fmt::format("cannot read folder {}: {}", folder.string(), error.message()));
  return names;
}

std::vector<Document> read_folder(const fs::path& folder) {
  std::vector<Document> documents;
  for (const std::string& name : visible_files(folder)) {
    std::string bytes = read_file((folder / name).string(), kFileLimit);
    if (!bytes.empty() && is_text(name, bytes)) documents.push_back({name, std::move(bytes)});
  }
  if (documents.empty()) throw FormatError(fmt::format("{}: a folder with text files expected, found none", folder.string()));
  return documents;
}

std::vector<Document> read_one(const fs::path& path) {
  if (is_json_lines(path)) return read_json_lines(path);
  std::string bytes = read_file(path.string(), kFileLimit);
  if (bytes.empty() || !is_text(path.filename().string(), bytes)) {
    throw FormatError(
        fmt::format("{}: a file of UTF-8 text expected, got {}", path.string(), bytes.empty() ? "an empty one" : "binary data"));
  }
  return {{path.filename().string(), std::move(bytes)}};
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

/// A number that depends on the seed and the name only, so that a new file moves no other one (FNV-1a, then the finaliser of splitmix64).
uint64_t draw(uint64_t seed, std::string_view name) {
  uint64_t h = 0xcbf29ce484222325ULL ^ (seed * 0x9e3779b97f4a7c15ULL);
  for (char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
  return h ^ (h >> 31);
}

TextSplit split_documents(std::vector<Document> documents, uint64_t seed, double fraction) {
  TextSplit split;
  std::vector<std::pair<uint64_t, size_t>> order;
  for (size_t k = 0; k < documents.size(); ++k) order.emplace_back(draw(seed, documents[k].name), k);
  std::sort(order.begin(), order.end());
  const auto wanted = static_cast<size_t>(std::llround(fraction * static_cast<double>(documents.size())));
  const size_t count = documents.size() < 2 || fraction <= 0 ? 0 : std::clamp<size_t>(wanted, 1, documents.size() - 1);
  std::vector<bool> held_out(documents.size());
  for (size_t k = 0; k < count; ++k) held_out[order[k].second] = true;
  for (size_t k = 0; k < documents.size(); ++k) (held_out[k] ? split.validation : split.train).push_back(std::move(documents[k]));
  return split;
}

}  // namespace

bool is_text(std::string_view name, std::string_view bytes) {
  if (bytes.find('\0') != std::string_view::npos) return false;
  return has_text_extension(name) || simdjson::validate_utf8(bytes.data(), bytes.size());
}

std::vector<Document> read_documents(const std::string& path) {
  const fs::path place(path);
  if (!is_folder(place)) return read_one(place);
  for (const char* name : {"valid.jsonl", "train.jsonl"}) {
    if (is_file(place / name)) return read_json_lines(place / name);
  }
  return read_folder(place);
}

TextSplit read_split(const std::string& path, uint64_t seed, double fraction) {
  const fs::path place(path);
  if (!is_folder(place)) return split_documents(read_one(place), seed, fraction);
  if (!is_file(place / "train.jsonl")) return split_documents(read_folder(place), seed, fraction);
  if (!is_file(place / "valid.jsonl")) return split_documents(read_json_lines(place / "train.jsonl"), seed, fraction);
  return {read_json_lines(place / "train.jsonl"), read_json_lines(place / "valid.jsonl")};
}

std::vector<int32_t> encode_documents(std::span<const Document> documents, const Tokenizer& tokenizer, int32_t end_of_text) {
  std::vector<int32_t> tokens;
  for (const Document& document : documents) {
    tokens.push_back(end_of_text);
    const std::vector<int32_t> ids = tokenizer.encode(document.text, true, false);
    tokens.insert(tokens.end(), ids.begin(), ids.end());
  }
  return tokens;
}

}  // namespace lazuli
