#include "io/data_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "io/csv.h"
#include "io/data_roles.h"
#include "io/text_encoding.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr std::string_view kTextExtensions[] = {
    ".txt", ".md",  ".rst", ".py",    ".pyi", ".c",  ".cc", ".cpp",  ".cxx", ".h",   ".hh",   ".hpp",   ".cu",  ".cuh",  ".inl",
    ".def", ".rs",  ".go",  ".java",  ".kt",  ".js", ".ts", ".tsx",  ".jsx", ".rb",  ".php",  ".swift", ".sh",  ".bash", ".lua",
    ".pl",  ".sql", ".r",   ".scala", ".hs",  ".ml", ".cs", ".html", ".css", ".xml", ".toml", ".yaml",  ".yml", ".cmake"};

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

/// Calls `f` with each line that is not blank, without a mark in front, and its number from 1, until `f` says false.
template <class F>
void each_line(std::string_view text, F&& f) {
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    // Joined files have marks in between.
    line.remove_prefix(utf8_mark(line));
    if (!is_blank(line) && !f(number, line)) return;
  }
}

std::string_view kind_name(DataRow::Type type) {
  switch (type) {
    case DataRow::Type::null:
      return "null";
    case DataRow::Type::text:
      return "a string";
    case DataRow::Type::number:
      return "a number";
    case DataRow::Type::list:
      return "a list";
    case DataRow::Type::other:
      break;
  }
  return "another kind of value";
}

DataRow::Field field_of(std::string_view column, const JsonValue& value) {
  DataRow::Field field{column, DataRow::Type::other, {}, 0, {}};
  if (value.is_null()) {
    field.type = DataRow::Type::null;
  } else if (value.is_string()) {
    field.type = DataRow::Type::text;
    field.text = value.loose_string();
    if (!value.is_whole_string()) field.odd = value;
  } else if (value.is_number()) {
    field.type = DataRow::Type::number;
    if (value.odd_number().empty()) {
      field.number = value.as_double();
    } else {
      field.odd = value;
    }
  } else if (value.is_bool()) {
    field.number = value.as_bool() ? 1 : 0;
  } else if (value.is_array()) {
    for (const JsonValue& item : value.as_array()) {
      if (!item.is_string()) return field;
      field.list.push_back(item.loose_string());
      if (!item.is_whole_string()) field.odd = item;
    }
    field.type = DataRow::Type::list;
  }
  return field;
}

bool give_object(const JsonValue& value, std::string place, const std::function<bool(const DataRow&)>& f) {
  DataRow row(std::move(place));
  if (!value.is_object()) row.fail("an object such as {\"text\": \"...\"} expected");
  for (const JsonMember& member : value.as_object()) row.set(field_of(member.key, member.value));
  return f(row);
}

void each_json_line(std::string_view text, const std::string& name, const std::function<bool(const DataRow&)>& f) {
  each_line(text, [&](size_t number, std::string_view line) {
    std::string place = fmt::format("{}:{}", name, number);
    const JsonDocument document = JsonDocument::parse(line, place);
    return give_object(document.root(), std::move(place), f);
  });
}

bool parses(std::string_view json) {
  try {
    JsonDocument::parse(json, "-");
    return true;
  } catch (const FormatError&) {
    return false;
  }
}

std::string_view first_line(std::string_view text) {
  std::string_view first;
  each_line(text, [&](size_t, std::string_view line) {
    first = line;
    return false;
  });
  return first;
}

void each_json_row(std::string_view text, const std::string& name, const std::function<bool(const DataRow&)>& f) {
  const std::string_view first = first_line(text);
  const size_t start = first.find_first_not_of(" \t\r");
  if (start != std::string_view::npos && first[start] == '[') {
    const JsonDocument document = JsonDocument::parse(text, name);
    size_t index = 0;
    for (const JsonValue& item : document.root().as_array()) {
      if (!give_object(item, fmt::format("{}[{}]", name, index++), f)) return;
    }
    return;
  }
  // One object over several lines, unless each line is one.
  if (!first.empty() && !parses(first) && parses(text)) {
    const JsonDocument document = JsonDocument::parse(text, name);
    give_object(document.root(), name, f);
    return;
  }
  each_json_line(text, name, f);
}

size_t count_of(std::string_view line, char c) { return static_cast<size_t>(std::count(line.begin(), line.end(), c)); }

/// Excel writes `;` in countries whose decimal separator is a comma.
char separator_of(std::string_view text, FileKind kind) {
  if (kind == FileKind::tsv) return '\t';
  const std::string_view head = first_line(text);
  if (count_of(head, ',') > 0) return ',';
  return count_of(head, ';') > 0 ? ';' : count_of(head, '\t') > 0 ? '\t' : ',';
}

void each_table_row(std::string_view text, const std::string& name, FileKind kind, const std::function<bool(const DataRow&)>& f) {
  CsvReader reader(text, separator_of(text, kind), name);
  std::vector<std::string> columns, cells;
  if (!reader.next(columns)) return;
  std::unordered_set<std::string_view> named;
  for (const std::string& column : columns) {
    if (column.empty() || named.insert(column).second) continue;
    throw FormatError(fmt::format("{}:{}: the first line names the column '{}' twice", name, reader.line(), column));
  }
  while (reader.next(cells)) {
    DataRow row(fmt::format("{}:{}", name, reader.line()));
    if (cells.size() != columns.size())
      row.fail(fmt::format("{} cells expected, as in the first line, got {}", columns.size(), cells.size()));
    for (size_t k = 0; k < cells.size(); ++k) {
      row.set({columns[k], cells[k].empty() ? DataRow::Type::null : DataRow::Type::text, cells[k], 0, {}});
    }
    if (!f(row)) return;
  }
}

}  // namespace

FileKind kind_by_name(std::string_view name) {
  const std::string extension = extension_of(name);
  if (extension == ".jsonl" || extension == ".ndjson" || extension == ".json") return FileKind::json;
  if (extension == ".csv") return FileKind::csv;
  if (extension == ".tsv") return FileKind::tsv;
  const auto* end = std::end(kTextExtensions);
  return std::find(std::begin(kTextExtensions), end, extension) != end ? FileKind::text : FileKind::other;
}

FileKind kind_of(std::string_view name, std::string_view text, std::span<const std::string_view> columns) {
  const FileKind kind = kind_by_name(name);
  if (kind != FileKind::other) return kind;
  const std::string_view first = first_line(text);
  const size_t start = first.find_first_not_of(" \t\r");
  if (start == std::string_view::npos || (first[start] != '{' && first[start] != '[')) return FileKind::text;
  try {
    const JsonDocument row = JsonDocument::parse(first[start] == '[' ? text : first, "-");
    JsonValue object = row.root();
    if (object.is_array()) {
      if (object.as_array().size() == 0) return FileKind::text;
      object = *object.as_array().begin();
    }
    if (!object.is_object()) return FileKind::text;
    const bool known = std::any_of(columns.begin(), columns.end(), [&](std::string_view c) { return object.find(c).has_value(); });
    return known ? FileKind::json : FileKind::text;
  } catch (const FormatError&) {
    return FileKind::text;  // text that begins with a brace
  }
}

bool begins_like_table(std::string_view text, std::span<const std::string_view> columns) {
  const std::string_view first = first_line(text);
  const char separator = separator_of(text, FileKind::csv);
  if (count_of(first, separator) == 0) return false;
  const std::string name;
  std::vector<std::string> cells;
  try {
    CsvReader(first, separator, name).next(cells);
  } catch (const FormatError&) {
    return false;  // a line of text
  }
  return std::any_of(cells.begin(), cells.end(),
                     [&](const std::string& cell) { return std::find(columns.begin(), columns.end(), cell) != columns.end(); });
}

void DataRow::set(Field field) {
  const auto same = std::find_if(fields_.begin(), fields_.end(), [&](const Field& f) { return f.column == field.column; });
  if (same != fields_.end()) {
    *same = std::move(field);
  } else {
    fields_.push_back(std::move(field));
  }
}

const DataRow::Field* DataRow::find(std::string_view column) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(), [&](const Field& f) { return f.column == column; });
  return found == fields_.end() ? nullptr : &*found;
}

std::string DataRow::columns() const {
  std::vector<std::string_view> names;
  names.reserve(fields_.size());
  for (const Field& field : fields_) names.push_back(field.column);
  return fields_.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

void DataRow::Field::refuse_odd() const {
  if (!odd) return;
  if (odd->is_string()) odd->as_string();
  if (odd->is_number()) odd->as_double();
}

void DataRow::fail(std::string_view message) const { throw FormatError(fmt::format("{}: {}", place_, message)); }

std::optional<std::string_view> DataRow::text_or_null(std::string_view column) const {
  const Field* field = find(column);
  if (field == nullptr) fail(fmt::format("a column '{}' expected, got {}", column, columns()));
  if (field->type == Type::null) return std::nullopt;
  if (field->type != Type::text) fail(fmt::format("$.{}: a string expected, got {}", column, kind_name(field->type)));
  field->refuse_odd();
  return field->text;
}

std::string_view DataRow::text(std::string_view column) const {
  const auto found = text_or_null(column);
  if (!found) fail(fmt::format("$.{}: a string expected, got null", column));
  return *found;
}

double DataRow::number(std::string_view column) const {
  const Field* field = find(column);
  if (field == nullptr) fail(fmt::format("a column '{}' expected, got {}", column, columns()));
  if (field->type == Type::number) return field->odd ? field->odd->as_double() : field->number;
  // Cells of a table have no type.
  if (field->type == Type::text && parses(field->text)) {
    const JsonDocument number = JsonDocument::parse(field->text, place_);
    if (number.root().is_number()) return number.root().as_double();
  }
  fail(fmt::format("$.{}: a number expected, got {}", column, kind_name(field->type)));
}

void each_row(std::string_view text, const std::string& name, FileKind kind, const std::function<bool(const DataRow&)>& f) {
  if (kind == FileKind::csv || kind == FileKind::tsv) return each_table_row(text, name, kind, f);
  each_json_row(text, name, f);
}

}  // namespace lazuli
