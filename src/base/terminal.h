// Declares what is known of the terminal: whether there is one, its width, and colours.
#pragma once

#include <string>
#include <string_view>

namespace lazuli {

/// True when the file descriptor is a terminal that understands control sequences (TERM is set and not `dumb`).
bool is_terminal(int fd);
/// Columns of the terminal behind the file descriptor; 80 when unknown.
int terminal_width(int fd);

enum class Colour { red, green, blue, bold, dim };
/// `text` in a colour when the file descriptor is a terminal and NO_COLOR is not set, else `text`.
std::string coloured(int fd, Colour colour, std::string_view text);

/// `1:05` or `2:03:10`.
std::string format_duration(double seconds);

}  // namespace lazuli
