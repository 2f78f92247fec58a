// Declares the manual, made from the table of commands: pages for `man`, and one document in Markdown.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace lazuli::cli {

/// lazuli(1), the page of the program.
std::string program_page(const std::vector<Command>& commands);
/// lazuli-COMMAND(1).
std::string command_page(const Command& command);
/// All of them in one document.
std::string markdown_manual(const std::vector<Command>& commands);
/// What that document says of one command.
std::string markdown_section(const Command& command);

}  // namespace lazuli::cli
