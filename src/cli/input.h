// Declares the reading of what a command works on: a file or standard input.
#pragma once

#include <string>

namespace lazuli::cli {

/// All bytes of a regular file, or of standard input for `-`. Throws IoError.
std::string read_input(const std::string& path);

}  // namespace lazuli::cli
