// Runs one command line: parsing, common options, tracing, and the report of failures.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <limits>
#include <new>
#include <string_view>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/json_writer.h"
#include "base/system_info.h"
#include "base/terminal.h"
#include "base/trace.h"
#include "cli/command.h"
#include "cli/human.h"
#include "cli/output.h"
#include "cli/parser.h"
#include "exec/team.h"
#include "lazuli/lazy_tensor.h"
#include "lazuli/memory.h"
#include "tensor/device_memory.h"

namespace lazuli::cli {
namespace {

int report(std::string_view message, bool json, int code) {
  tell_error(message);
  if (json) {
    JsonWriter w;
    w.begin_object().field("error", message).end_object();
    try {
      print_json(w.text());
    } catch (const IoError&) {
      // A stdout that cannot be written to leaves the message on stderr.
    }
  }
  return code;
}

/// So that a computation that is too large ends with an error before the system would end it.
size_t memory_limit(const Common& common) {
  const uint64_t bytes = common.max_memory > 0 ? common.max_memory : memory_available();
  return bytes > 0 ? bytes : std::numeric_limits<size_t>::max();
}

int run_with_hint(const Command& command, const Common& common) {
  try {
    return command.run(common);
  } catch (const OutOfMemory& error) {
    if (command.memory_hint.empty()) throw;
    throw OutOfMemory(fmt::format("{}; {} needs less", error.what(), command.memory_hint));
  }
}

void finish_trace() {
  trace_allocator();
  trace::stop();
}

int run_command(const Invocation& invocation) {
  const Common& common = invocation.common;
  set_default_device(common.device);
  if (common.threads > 0) set_thread_count(common.threads);
  set_memory_limit(memory_limit(common));
  // The card's own memory bounds what is not bounded by the option.
  if (!on_host(common.device) && common.max_memory > 0) set_memory_limit(common.max_memory, common.device);
  if (common.json) require_stdout();
  if (!common.trace.empty()) {
    require_writable(common.trace);
    trace::start(common.trace);
  }
  try {
    const int code = run_with_hint(*invocation.command, common);
    finish_trace();
    return code;
  } catch (...) {
    // The trace of a failed run helps to find the failure, which is more important than an error of writing it.
    try {
      finish_trace();
    } catch (const Error& error) {
      report(error.what(), false, kFailed);
    }
    throw;
  }
}

bool asks_for_json(int argc, char** argv) {
  for (int k = 1; k < argc; ++k) {
    if (std::string_view(argv[k]) == "--json") return true;
  }
  return false;
}

}  // namespace

int run_program(const std::vector<Command>& commands, int argc, char** argv) {
  prepare_standard_streams();
  const bool json = asks_for_json(argc, argv);
  try {
    const auto parsed = parse_command_line(commands, argc, argv);
    int code = kOk;
    if (const auto* answer = std::get_if<Answer>(&parsed)) {
      write_stdout(answer->text);
    } else {
      code = run_command(std::get<Invocation>(parsed));
    }
    finish_stdout();
    return code;
  } catch (const ClosedPipe&) {
    return end_by_broken_pipe();
  } catch (const UsageError& error) {
    return report(error.what(), json, kUsage);
  } catch (const Interrupted& error) {
    return report(error.what(), json, interrupt_exit_code());
  } catch (const std::bad_alloc&) {
    return report("out of memory", json, kFailed);
  } catch (const std::exception& error) {
    return report(error.what(), json, kFailed);
  }
}

}  // namespace lazuli::cli
