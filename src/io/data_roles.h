// Defines DataRoles, which decides by their names which files of a folder are read, and what for.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "io/data_report.h"
#include "io/data_rows.h"

namespace lazuli {

/// What a file is for, by its name.
enum class DataRole : uint8_t { plain, train, validation, test };
/// What data are read for: test data are never trained on.
enum class DataUse : uint8_t { train, measure };

struct DataFile {
  std::string name;
  DataRole role = DataRole::plain;
};

/// Whether files of this kind hold rows.
inline bool is_rows(FileKind kind) { return kind == FileKind::json || kind == FileKind::csv || kind == FileKind::tsv; }
/// The extension in small letters, with its dot.
std::string extension_of(std::string_view name);

/// The files of `names` that are read, in their order, as read_data says; the others are reported. `fits`: whether a .json file has rows.
std::vector<DataFile> choose_data_files(const std::set<std::string>& names, DataUse use,
                                        const std::function<bool(const std::string&)>& fits, DataReport& report);

}  // namespace lazuli
