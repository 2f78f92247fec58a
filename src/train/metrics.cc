#include "train/metrics.h"

#include <cerrno>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "base/file.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "lazuli/error.h"

namespace lazuli {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 30;

std::string lines_until(const std::string& path, int64_t iteration) {
  std::string kept;
  std::istringstream lines(read_file(path, kMaxFileBytes));
  for (std::string line; std::getline(lines, line);) {
    try {
      const JsonDocument document = JsonDocument::parse(line, path);
      if (document.root().get("iteration").as_int() <= iteration) kept += line + "\n";
    } catch (const FormatError&) {
      // A line that an interrupted run cut short says nothing.
    }
  }
  return kept;
}

}  // namespace

std::string to_json(const Metrics& m) {
  JsonWriter w;
  const auto optional_field = [&w](std::string_view name, const std::optional<double>& value) {
    if (value) w.field(name, *value);
  };
  w.begin_object().field("iteration", m.iteration);
  optional_field("train_loss", m.train_loss);
  optional_field("learning_rate", m.learning_rate);
  optional_field("tokens_per_second", m.tokens_per_second);
  optional_field("grad_norm", m.grad_norm);
  optional_field("val_loss", m.val_loss);
  w.field("peak_memory_bytes", m.peak_memory_bytes).field("time", m.time).end_object();
  return w.text();
}

MetricsFile::MetricsFile(const std::string& path, std::optional<int64_t> keep_until) : path_(path) {
  write_file(path, keep_until && std::filesystem::exists(path) ? lines_until(path, *keep_until) : std::string());
  file_.open(path, std::ios::app);
  if (!file_) throw_io("write", path, errno);
}

void MetricsFile::write(const Metrics& metrics) {
  file_ << to_json(metrics) << std::endl;
  if (!file_) throw_io("write", path_, errno);
}

}  // namespace lazuli
