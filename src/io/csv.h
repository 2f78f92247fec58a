// Defines CsvReader, which reads tables with a separator as RFC 4180 and Python's csv module have them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lazuli {

/// Cells between separators, in quotes where they hold one, or a line end; a quote within is doubled.
class CsvReader {
 public:
  /// `text` and `name` must live as long; errors call the text `name`.
  CsvReader(std::string_view text, char separator, const std::string& name) : text_(text), separator_(separator), name_(name) {}
  /// The next row that is no blank line; false at the end. Throws FormatError, naming the line, for a quote that is never closed and for
  /// text behind a closing one.
  bool next(std::vector<std::string>& cells);
  /// The line on which that row began, from 1.
  size_t line() const { return row_line_; }

 private:
  void quoted(std::string& cell);
  void end_line();
  std::string_view text_;
  char separator_;
  const std::string& name_;
  size_t at_ = 0, line_ = 1, row_line_ = 1;
};

}  // namespace lazuli
