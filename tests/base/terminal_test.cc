// Checks what the program says of its progress, and the flag that Ctrl-C sets.
#include "base/terminal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <limits>
#include <string>

#include "base/interrupt.h"
#include "base/memory_usage.h"
#include "base/progress.h"

namespace lazuli {
namespace {

TEST(Terminal, DurationsAreWrittenAsClocks) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(65.4), "1:05");
  EXPECT_EQ(format_duration(7390), "2:03:10");
  EXPECT_EQ(format_duration(-1), "?");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "?");
}

TEST(Terminal, FilesGetNoColours) {
  const int fd = open("/dev/null", O_WRONLY);
  EXPECT_FALSE(is_terminal(fd));
  EXPECT_EQ(coloured(fd, Colour::red, "text"), "text");
  EXPECT_EQ(terminal_width(fd), 80);
  close(fd);
}

TEST(Progress, WritesLinesWithoutControlSequencesWhereThereIsNoTerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress(0, 10, false);
    progress.update(1, "note");
    progress.line("one line");
    EXPECT_EQ(progress.time_left(0), "?");
  }
  Progress(0, 10, true).line("nothing");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "one line\n");
}

TEST(Interrupt, TheFirstSignalSetsTheFlag) {
  EXPECT_FALSE(interrupted());
  {
    const InterruptGuard guard;
    EXPECT_FALSE(interrupted());
    raise(SIGINT);
    EXPECT_TRUE(interrupted());
  }
  const InterruptGuard again;
  EXPECT_FALSE(interrupted());
}

TEST(Interrupt, TheExitCodeNamesTheSignal) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const InterruptGuard guard;
    raise(signal);
    EXPECT_TRUE(interrupted());
    EXPECT_EQ(interrupt_exit_code(), 128 + signal);
  }
}

// A terminal that is closed sends it more than once.
TEST(Interrupt, ASecondHangUpIsNoReasonToEndAtOnce) {
  const InterruptGuard guard;
  raise(SIGHUP);
  raise(SIGHUP);
  EXPECT_TRUE(interrupted());
}

TEST(Interrupt, AHangUpThatWasIgnoredStaysSo) {
  const auto before = std::signal(SIGHUP, SIG_IGN);
  {
    const InterruptGuard guard;
    raise(SIGHUP);
    EXPECT_FALSE(interrupted());
  }
  std::signal(SIGHUP, before);
}

TEST(Interrupt, TheSecondSignalEndsTheProgram) {
  EXPECT_EXIT(
      {
        const InterruptGuard guard;
        raise(SIGTERM);
        raise(SIGTERM);
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST(MemoryUsage, CountsAtLeastWhatIsTouched) {
  const uint64_t before = peak_memory_bytes();
  EXPECT_GT(before, uint64_t{1} << 20);
  const std::string touched(size_t{64} << 20, 'x');
  EXPECT_GE(peak_memory_bytes(), touched.size());
}

}  // namespace
}  // namespace lazuli
