// Defines DataRow, a row of a table of texts, and reads rows from JSON lines, a JSON array or a CSV file.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace lazuli {

/// What a file of data is by its name, or by its first bytes where the name says nothing.
enum class FileKind : uint8_t { text, json, csv, tsv, other };

/// By the extension, in letters of either size; `other` where it is none that is known.
FileKind kind_by_name(std::string_view name);
/// The same; where the name says nothing, JSON if the first line that is not blank is an object with one of these columns, or an array
/// begins there, else text.
FileKind kind_of(std::string_view name, std::string_view text, std::span<const std::string_view> columns);

/// Whether the first line is that of a table with several columns, one of them among these.
bool begins_like_table(std::string_view text, std::span<const std::string_view> columns);

/// One row. Views live as long as the call that gets it.
class DataRow {
 public:
  enum class Type : uint8_t { null, text, number, list, other };
  struct Field {
    std::string_view column;
    Type type = Type::null;
    std::string_view text;
    double number = 0;
    std::vector<std::string_view> list;  ///< of texts
    /// What may stand in a column that nobody asks for: a number that is not finite, or a text with half of a surrogate pair.
    std::optional<JsonValue> odd = {};
    /// Throws FormatError where `odd` is such a value. To be called before text, number or list is used.
    void refuse_odd() const;
  };

  explicit DataRow(std::string place) : place_(std::move(place)) {}
  /// A later value takes the place of an earlier one of the same column, as in Python.
  void set(Field field);
  const std::vector<Field>& fields() const { return fields_; }
  const Field* find(std::string_view column) const;
  bool has(std::string_view column) const { return find(column) != nullptr; }
  /// The names of all columns, between commas.
  std::string columns() const;
  /// A text or null. Throws FormatError for anything else and where there is no such column.
  std::optional<std::string_view> text_or_null(std::string_view column) const;
  /// Throws FormatError for null too.
  std::string_view text(std::string_view column) const;
  /// A number, or a text that is one, as cells of a table are.
  double number(std::string_view column) const;
  /// `FILE:LINE`, or `FILE[INDEX]` of an array.
  const std::string& place() const { return place_; }
  [[noreturn]] void fail(std::string_view message) const;

 private:
  std::string place_;
  std::vector<Field> fields_;
};

/// Calls `f`, until it says false, for each row of UTF-8 text that is JSON lines, an array of objects or one object (FileKind::json), or a
/// table whose first line names its columns. Blank lines are none. Throws FormatError naming the row, by `name` and its line, that is none.
void each_row(std::string_view text, const std::string& name, FileKind kind, const std::function<bool(const DataRow&)>& f);

}  // namespace lazuli
