// Declares where the sources of the project lie, whose models and documents tests read.
#pragma once

#include <string>

namespace lazuli {

/// Known to one file alone, so that objects of the others are the same wherever the sources lie, and a compiler cache finds them again.
std::string source_folder();

}  // namespace lazuli
