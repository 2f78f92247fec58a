// Declares what help, manual and completion say about an option besides its own words.
#pragma once

#include <string>

#include "cli/command.h"

namespace lazuli::cli {

/// What stands for the value: `DIR`, `N`, `a|b`; empty for a flag.
std::string placeholder(const Option& option);
/// The value that holds when the option is not given; empty where there is none.
std::string default_text(const Option& option);
/// A limit of a number: integers without an exponent.
std::string number_text(double number);
/// The numbers that the option takes: `0 to 1024`, `at least 1`; empty where there is no limit.
std::string range_text(const Option& option);
inline bool is_flag(const Option& option) { return std::holds_alternative<bool*>(option.target); }
inline bool is_positional(const Option& option) { return !option.name.starts_with('-'); }
/// Whether it may be given more than once.
inline bool is_repeated(const Option& option) { return std::holds_alternative<std::vector<std::string>*>(option.target); }

}  // namespace lazuli::cli
