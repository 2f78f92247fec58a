// Declares read_data, which finds out what a path holds for training and measuring, and hands its rows and texts on.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/data_report.h"
#include "io/data_roles.h"
#include "io/data_rows.h"

namespace lazuli {

/// What becomes of the data.
struct DataReader {
  std::vector<std::string_view> columns;     ///< one of these tells rows from text where a name does not
  std::string_view wanted;                   ///< what rows should have, for errors
  std::function<bool(const DataRow&)> fits;  ///< whether a file that begins with this row has rows that are wanted
  std::function<void(const DataRow&, const std::string& name, DataRole)> row;
  /// Text with "\n" as its line ends. Empty: only rows are wanted.
  std::function<void(const std::string& name, std::string text, DataRole)> text;
};

/// Reads a file, standard input (`-` or /dev/stdin, or another pipe), or a folder with its sub-folders. Names are relative to the folder.
///
/// A folder's files of rows (.jsonl, .ndjson, .json, .csv, .tsv) have roles by the words in their names: train or training; valid,
/// validation, val or dev; test or testing; eval or evaluation is for validation where nothing else is, else a test. For training, files
/// for it are read, or else all that have no role, and files for validation; for measuring, those of a test, or else of validation, or else
/// of training, or else all. A file without wanted rows, binary, empty and hidden files, what this program has written, and folders of
/// models and adapters are left out, which `report` says. `excluded`: folders that are never data.
///
/// Throws IoError, and FormatError: for a path without any data, for a file or row that cannot be read though it should, naming it and what
/// to do.
void read_data(const std::string& path, DataUse use, std::span<const std::string> excluded, const DataReader& reader, DataReport& report);

/// The bytes of a file, of standard input, or of another pipe. Throws IoError, and FormatError for one of over 4 GiB.
std::string read_data_bytes(const std::string& path);

}  // namespace lazuli
