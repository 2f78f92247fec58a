// Defines DataReport, what was read as data and what was left out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lazuli {

struct DataReport {
  /// Things of one kind that were left out.
  struct LeftOut {
    std::string what;  ///< in the plural, the reason included: `empty files`
    int64_t count = 0;
    std::vector<std::string> names;  ///< of the first ones
  };

  std::vector<std::string> files;  ///< names of all that were read
  int64_t rows = 0;                ///< used, of files of rows
  int64_t tokens = 0;              ///< of all texts, special ones included
  std::vector<LeftOut> left_out;
  std::vector<std::string> notes;  ///< what was changed or decided on the way

  /// `name` may be empty, for what has none.
  void leave_out(std::string_view what, std::string_view name, int64_t count = 1);
  /// A column of a table that is not read.
  void leave_out_column(std::string_view name);
  void note(std::string text);
  /// In words, such as `rows with an empty text: 2; empty files: 1 (a.txt)`; empty where nothing was.
  std::string left_out_text() const;
};

}  // namespace lazuli
