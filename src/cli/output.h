// Declares the program's only way to standard output, its errors' to standard error, and how a command line that cannot write there ends.
#pragma once

#include <string_view>

#include "lazuli/error.h"

namespace lazuli::cli {

/// Nobody reads standard output any more, as in `lazuli man | head`; the program then ends as if SIGPIPE had ended it, without a word.
class ClosedPipe : public IoError {
 public:
  using IoError::IoError;
};

/// To be called before anything is opened: where a standard stream is closed, something takes its number that can neither be read nor
/// written, so that no other file gets it. From then on a pipe without a reader is an error, and no signal.
void prepare_standard_streams();

/// Writes all of `text` at once, without a buffer. Throws IoError, and ClosedPipe where the program's caller has not turned SIGPIPE off.
void write_stdout(std::string_view text);

/// Throws IoError where standard output is closed, so that work whose result could not be printed is not begun.
void require_stdout();

/// A failure's one line on standard error, red on a terminal.
void tell_error(std::string_view message);

/// What the system says about earlier writes only when a file is closed. Throws IoError.
void finish_stdout();

/// Ends the process by SIGPIPE; returns the exit code to use where that does not end it.
int end_by_broken_pipe();

}  // namespace lazuli::cli
