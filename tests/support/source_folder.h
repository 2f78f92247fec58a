// Declares where the sources of the project lie, whose models and documents tests read.
#pragma once

#include <string>

namespace lazuli {

/// Known to one file alone, so that objects of the others are the same wherever the sources lie, and a compiler cache finds them again.
std::string source_folder();

/// The path of a file of the project, by its path from there.
inline std::string in_source(const std::string& path) { return source_folder() + "/" + path; }

}  // namespace lazuli
