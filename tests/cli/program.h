// Defines Program, a run of the built program with its output and exit code.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"

namespace lazuli {

inline std::string model_folder() { return source_folder() + "/models/pycoder-16m"; }

/// The program lies beside the tests.
inline std::string program_path() { return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "lazuli").string(); }

inline bool has_program(const std::string& name) { return std::system(("command -v " + name + " >/dev/null 2>&1").c_str()) == 0; }

/// An empty folder of its own for the running test, removed at the end.
class TestFolder {
 public:
  TestFolder() {
    const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::path(testing::TempDir()) /
            test::folder_name(std::string("lazuli_") + test->test_suite_name() + "_" + test->name() + "_" + std::to_string(getpid()));
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() {
    std::error_code ignored;  // a program that outlives its test may still write here
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// What comes before a program in its process: another program that starts it, with its arguments, or a function, which ends the process
/// with code 126 where it returns false.
struct Before {
  std::vector<std::string> words;
  bool (*call)() = nullptr;
  Before() = default;
  Before(std::vector<std::string> starter) : words(std::move(starter)) {}
  Before(std::initializer_list<std::string> starter) : words(starter) {}
  Before(bool (*function)()) : call(function) {}
};

/// The program, started with its output going to files in a folder. `instead`: a descriptor for its standard output.
class Program {
 public:
  Program(const TestFolder& folder, const std::vector<std::string>& arguments, const Before& before = {}, int instead = -1)
      : out_(folder / "stdout"), err_(folder / "stderr") {
    std::vector<std::string> words = before.words;
    words.push_back(program_path());
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const int out = create(out_), err = create(err_);
    child_ = fork();
    if (child_ != 0) {
      close(out);
      close(err);
      return;
    }
    dup2(instead >= 0 ? instead : out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    if (before.call != nullptr && !before.call()) _exit(126);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  void send(int signal) const { kill(child_, signal); }
  /// Whether it has ended; `wait` gives the code.
  bool ended() const {
    siginfo_t info = {};
    return waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child_;
  }
  /// Exit code, or 128 plus the signal that ended the program.
  int wait() const {
    int status = 0;
    waitpid(child_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string out() const { return read_file(out_, kLimit); }
  std::string err() const { return read_file(err_, kLimit); }

 private:
  static constexpr size_t kLimit = size_t{1} << 24;
  static int create(const std::string& path) { return open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600); }
  std::string out_, err_;
  pid_t child_ = -1;
};

}  // namespace lazuli
