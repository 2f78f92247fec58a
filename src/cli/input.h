// Declares the reading of what a command works on: a file or standard input, and names in an option.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lazuli::cli {

/// The text of a file or, for `-`, of standard input, as decode_text() gives it; another encoding than UTF-8 is told. Throws IoError and
/// FormatError.
std::string read_text_input(const std::string& path);

/// Names between commas. Throws UsageError, which names the option, where there is none.
std::vector<std::string> split_names(std::string_view option, std::string_view text);

}  // namespace lazuli::cli
