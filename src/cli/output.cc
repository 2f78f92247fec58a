#include "cli/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>

#include "base/file.h"
#include "base/terminal.h"
#include "cli/command.h"

namespace lazuli::cli {
namespace {

bool pipe_signal_is_off = false;
bool written = false;

void wait_for_room() {
  pollfd room{STDOUT_FILENO, POLLOUT, 0};
  poll(&room, 1, -1);
}

[[noreturn]] void fail(int code) {
  if (code == EPIPE && !pipe_signal_is_off) throw ClosedPipe("stdout: nobody reads it any more");
  throw_io("write", "stdout", code);
}

}  // namespace

void prepare_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest free number is this one, for those below it are taken.
    const int opened = open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    if (opened < 0) open("/", O_RDONLY | O_DIRECTORY);
  }
  struct sigaction now = {};
  sigaction(SIGPIPE, nullptr, &now);
  pipe_signal_is_off = now.sa_handler == SIG_IGN;
  now = {};
  now.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &now, nullptr);
}

void write_stdout(std::string_view text) {
  // Linux transfers at most a little under 2 GiB at once.
  constexpr size_t kMost = size_t{1} << 30;
  while (!text.empty()) {
    const ssize_t n = write(STDOUT_FILENO, text.data(), std::min(text.size(), kMost));
    if (n >= 0) {
      written = true;
      text.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      wait_for_room();
    } else if (errno != EINTR) {
      fail(errno);
    }
  }
}

void require_stdout() {
  const int flags = fcntl(STDOUT_FILENO, F_GETFL);
  if (flags == -1 || (flags & O_ACCMODE) == O_RDONLY) throw_io("write", "stdout", EBADF);
}

void finish_stdout() {
  if (!written) return;
  const int copy = dup(STDOUT_FILENO);
  if (copy >= 0 && close(copy) != 0 && errno != EINTR) fail(errno);
}

int end_by_broken_pipe() {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigaction(SIGPIPE, &action, nullptr);
  raise(SIGPIPE);
  return 128 + SIGPIPE;
}

void print_json(const std::string& text) { write_stdout(text + "\n"); }
void print_text(const std::string& text) { write_stdout(text); }

void tell_error(std::string_view message) {
  const std::string text = fmt::format("{} {}\n", coloured(STDERR_FILENO, Colour::red, "lazuli: error:"), message);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace lazuli::cli
