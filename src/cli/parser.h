// Declares the parsing of command lines; the only file behind it that knows the parser's library is parser.cc.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "cli/command.h"

namespace lazuli::cli {

/// A command line that is to be carried out.
struct Invocation {
  const Command* command = nullptr;
  Common common;
};

/// Where the options that every command takes go, some of them as text until the whole line is parsed.
struct CommonTarget {
  Common common;
  std::string device = "cpu";
  std::string dtype = "f32";
  std::string max_memory;  ///< empty: what the system has
  int64_t threads = 0;
};
std::vector<Option> common_options(CommonTarget& target);

/// The command line asked for a text: help or version.
struct Answer {
  std::string text;
};

/// Fills the targets of the chosen command's options. Throws UsageError with a hint at the help that applies.
std::variant<Invocation, Answer> parse_command_line(const std::vector<Command>& commands, int argc, char** argv);

}  // namespace lazuli::cli
