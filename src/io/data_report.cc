#include "io/data_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace lazuli {

namespace {

constexpr size_t kNames = 3;

}  // namespace

void DataReport::leave_out(std::string_view what, std::string_view name, int64_t count) {
  auto entry = std::find_if(left_out.begin(), left_out.end(), [&](const LeftOut& l) { return l.what == what; });
  if (entry == left_out.end()) entry = left_out.insert(entry, {std::string(what), 0, {}});
  entry->count += count;
  if (entry->names.size() < kNames && !name.empty()) entry->names.emplace_back(name);
}

void DataReport::leave_out_column(std::string_view name) {
  constexpr std::string_view kColumns = "columns";
  const auto entry = std::find_if(left_out.begin(), left_out.end(), [&](const LeftOut& l) { return l.what == kColumns; });
  if (entry == left_out.end()) {
    left_out.push_back({std::string(kColumns), 1, {std::string(name)}});
  } else if (std::find(entry->names.begin(), entry->names.end(), name) == entry->names.end()) {
    ++entry->count;
    entry->names.emplace_back(name);
  }
}

void DataReport::note(std::string text) {
  if (std::find(notes.begin(), notes.end(), text) == notes.end()) notes.push_back(std::move(text));
}

std::string DataReport::left_out_text() const {
  std::vector<std::string> parts;
  for (const LeftOut& l : left_out) {
    const bool more = l.count > static_cast<int64_t>(l.names.size());
    std::string part = fmt::format("{}: {}", l.what, l.count);
    if (!l.names.empty()) part += fmt::format(" ({}{})", fmt::join(l.names, ", "), more ? ", ..." : "");
    parts.push_back(std::move(part));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace lazuli
