// Defines MetricsFile, the log of a training as one JSON object on each line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/file.h"

namespace lazuli {

/// What is known at one iteration; what was not measured there is left out of the line.
struct Metrics {
  int64_t iteration = 0;
  std::optional<double> train_loss = {};  ///< mean since the last report
  std::optional<double> learning_rate = {};
  std::optional<double> tokens_per_second = {};
  std::optional<double> grad_norm = {};  ///< of the last step, before clipping
  std::optional<double> val_loss = {};
  uint64_t peak_memory_bytes = 0;
  double time = 0;  ///< seconds since the start of the run
};

std::string to_json(const Metrics& metrics);

/// Appends lines, each written at once and whole or not at all.
class MetricsFile {
 public:
  /// Begins the file anew, or, to go on with a run that stopped after `keep_until` iterations, drops the lines of later ones.
  /// Throws IoError.
  MetricsFile(const std::string& path, std::optional<int64_t> keep_until);
  /// Throws IoError. A second validation of the iteration with which the file begins is left out.
  void write(const Metrics& metrics);
  /// Makes what was written durable. Throws IoError.
  void sync();

 private:
  std::string path_;
  FileDescriptor file_;
  std::optional<int64_t> validated_;  ///< the last iteration of the kept lines, if it has a validation
};

}  // namespace lazuli
