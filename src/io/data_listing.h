// Declares which files of a folder may be data.
#pragma once

#include <filesystem>
#include <set>
#include <span>
#include <string>

#include "io/data_report.h"

namespace lazuli {

/// Relative names of the regular files below `folder`, in their order. Hidden entries, links to folders, what is no regular file, folders
/// of models and adapters, and what this program writes are left out and reported. Throws IoError for a folder that cannot be read.
std::set<std::string> list_data_files(const std::filesystem::path& folder, std::span<const std::string> excluded, DataReport& report);

}  // namespace lazuli
