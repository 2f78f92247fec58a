// Defines MetricsFile, the log of a training as one JSON object on each line.
#pragma once

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>

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

/// Appends lines, each flushed as it is written.
class MetricsFile {
 public:
  /// Begins the file anew, or, to go on with a run that stopped after `keep_until` iterations, drops the lines of later ones.
  /// Throws IoError.
  MetricsFile(const std::string& path, std::optional<int64_t> keep_until);
  void write(const Metrics& metrics);

 private:
  std::string path_;
  std::ofstream file_;
};

}  // namespace lazuli
