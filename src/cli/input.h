// Declares the reading of what a command works on: a file or standard input, and names in an option.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lazuli::cli {

/// All bytes of a regular file, or of standard input for `-`. Throws IoError.
std::string read_input(const std::string& path);

/// Names between commas. Throws UsageError, which names the option, where there is none.
std::vector<std::string> split_names(std::string_view option, std::string_view text);

}  // namespace lazuli::cli
