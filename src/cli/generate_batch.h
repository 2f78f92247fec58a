// Declares `generate --batch`: prompts from a JSONL file, whose texts go on side by side.
#pragma once

#include <string>

#include "cli/command.h"
#include "lazuli/generate.h"

namespace lazuli::cli {

/// What `generate --batch` works on.
struct BatchTask {
  std::string file;  ///< JSONL, or - for standard input
  std::string model, adapter_path, quantize;
  GenerateOptions options;  ///< of lines that say nothing else
  int64_t slots = 8;
};

/// Writes one line of JSON a text, in the order of the file, or with --json one object. Returns an exit code. Throws IoError and
/// FormatError, which names the line, before any text is made.
int run_batch(const BatchTask& task, const Common& common);

}  // namespace lazuli::cli
