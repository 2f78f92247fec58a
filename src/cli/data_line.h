// Declares how a command says what it read as data and what it left out.
#pragma once

#include <string>

#include "base/json_writer.h"
#include "cli/command.h"
#include "io/data_report.h"

namespace lazuli::cli {

/// One line: files, rows, tokens, what was left out and why, and what was changed on the way.
std::string data_line(const DataReport& report);
/// Prints it to stderr, but with --quiet.
void say_data(const Common& common, const DataReport& report);
/// The field `data` of a report in JSON: files, file_names (the first ones), rows, read_tokens, left_out and notes.
void write_data(JsonWriter& w, const DataReport& report);

}  // namespace lazuli::cli
