#include "io/csv.h"

#include <fmt/format.h>

#include "lazuli/error.h"

namespace lazuli {

void CsvReader::end_line() {
  if (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++at_;
  ++at_;
  ++line_;
}

/// The rest of a cell behind its opening quote.
void CsvReader::quoted(std::string& cell) {
  const size_t opened = line_;
  while (at_ < text_.size()) {
    const char c = text_[at_++];
    if (c == '"') {
      if (at_ >= text_.size() || text_[at_] != '"') return;
      ++at_;
    } else if (c == '\n') {
      ++line_;
    }
    cell += c;
  }
  throw FormatError(fmt::format("{}:{}: a closing quote expected, but the file ends", name_, opened));
}

bool CsvReader::next(std::vector<std::string>& cells) {
  cells.clear();
  while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) end_line();
  if (at_ >= text_.size()) return false;
  row_line_ = line_;
  while (true) {
    std::string& cell = cells.emplace_back();
    if (at_ < text_.size() && text_[at_] == '"') {
      ++at_;
      quoted(cell);
      if (at_ < text_.size() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r') {
        throw FormatError(fmt::format("{}:{}: a separator '{}' expected behind a closing quote", name_, line_, separator_));
      }
    }
    while (at_ < text_.size() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r') cell += text_[at_++];
    if (at_ >= text_.size()) return true;
    if (text_[at_] != separator_) {
      end_line();
      return true;
    }
    ++at_;
  }
}

}  // namespace lazuli
