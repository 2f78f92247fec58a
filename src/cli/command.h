// Defines what a command of the program is: its name, help, options and the function that runs it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lazuli/adapter.h"
#include "lazuli/tensor.h"

namespace lazuli::cli {

/// What every command takes.
struct Common {
  Device device;
  int threads = 0;  ///< 0: one for each core
  int64_t seed = 0;
  bool json = false;        ///< stdout carries exactly one JSON object
  bool quiet = false;       ///< no progress on stderr
  std::string trace;        ///< file for the trace; empty: none
  uint64_t max_memory = 0;  ///< bytes that tensors may take; 0: what the system has available
  DType dtype = DType::f32;
  std::string command_line;             ///< as it was typed, quoted for a shell
  std::vector<std::string> given = {};  ///< the names of the options that stand in it
  /// Whether an option stands there; else it holds its default.
  bool has(std::string_view option) const { return std::find(given.begin(), given.end(), option) != given.end(); }
};

/// Where an option's value goes. A `bool` is a flag without value; a vector collects the values of repeated options.
using OptionTarget = std::variant<bool*, int64_t*, double*, std::string*, std::vector<std::string>*>;

/// One option. What the target holds when the option is listed is the default, and the help shows it.
struct Option {
  std::string name;  ///< with its dashes: `--max-tokens`; without any: the next word that is no option
  OptionTarget target;
  std::string help;
  std::string value = {};  ///< what the help calls the value: `DIR`; empty: by the type of the target
  bool required = false;
  std::vector<std::string> choices = {};  ///< the only texts allowed; empty: any
  std::string numbered = {};              ///< the choice that a number may follow: `cuda` allows `cuda:1`
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();  ///< numbers must lie in [low, high]
};

/// Exit codes of the program, beside those of base/interrupt.h for signals.
enum ExitCode : int { kOk = 0, kFailed = 1, kUsage = 2 };

/// One command. `run` returns an exit code; it reports failures by throwing.
struct Command {
  std::string name;
  std::string summary;
  std::string details;   ///< more about it, below the summary
  std::string examples;  ///< one command line on each line
  std::vector<Option> options;
  std::function<int(const Common&)> run;
  std::string memory_hint = {};  ///< which options make it take less memory; added to an error of too little
};

// Options that several commands have.
Option model_option(std::string* target);
Option adapter_option(std::string* target);
/// The adapter of that option; nothing where it was not given.
std::optional<Adapter> load_adapter(const std::string& path, std::span<const LinearInfo> layers);
/// `--quantize`, for parse_quantization.
Option quantize_option(std::string* target);
/// `--deterministic`, for set_deterministic.
Option deterministic_option(bool* target);
/// The file or folder that a command is about, given without an option's name.
Option path_argument(std::string* target, std::string help);

// Each is defined in the file of its name, which keeps the options in a struct that the command's function owns.
Command finetune_command();
Command generate_command();
Command eval_command();
Command embed_command();
Command similar_command();
Command rerank_command();
Command classify_command();
Command tokenize_command();
Command inspect_command();
Command fuse_command();
Command bench_command();
Command explain_command();
Command doctor_command();
Command completion_command();
Command man_command();

inline constexpr const char* kProgramSummary = "Fine-tunes language models with LoRA, and runs them.";

/// All commands, in the order of the help.
std::vector<Command> all_commands();

/// Parses `argv`, runs the command and returns the exit code. Errors go to stderr as `lazuli: error: ...`, and to stdout as
/// {"error": ...} when JSON is asked for.
int run_program(const std::vector<Command>& commands, int argc, char** argv);

/// A mistake in the command line that only the command can see; ends with exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// A signal ended the command before its work was done; ends with interrupt_exit_code().
class Interrupted : public Error {
 public:
  using Error::Error;
};

/// Write to standard output, at once: one line of JSON, or text as it is. Throw IoError. Nothing else writes there.
void print_json(const std::string& text);
void print_text(const std::string& text);

}  // namespace lazuli::cli
