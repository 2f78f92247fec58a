#include "train/metrics.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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

std::string lines_until(const std::string& path, int64_t iteration, std::optional<int64_t>& validated) {
  std::string kept;
  std::istringstream lines(read_file(path, kMaxFileBytes));
  for (std::string line; std::getline(lines, line);) {
    try {
      const JsonDocument document = JsonDocument::parse(line, path);
      const int64_t at = document.root().get("iteration").as_int();
      if (at > iteration) continue;
      kept += line + "\n";
      if (document.root().find("val_loss")) validated = at;
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
  write_file(path, keep_until && std::filesystem::exists(path) ? lines_until(path, *keep_until, validated_) : std::string());
  file_ = FileDescriptor(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (file_.get() < 0) throw_io("write", path, errno);
}

void MetricsFile::write(const Metrics& metrics) {
  if (metrics.val_loss && validated_ == metrics.iteration) return;
  const std::string line = to_json(metrics) + "\n";
  struct stat before {};
  const bool known = fstat(file_.get(), &before) == 0;
  for (std::string_view rest = line; !rest.empty();) {
    const ssize_t n = ::write(file_.get(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int code = errno;
      if (known && ftruncate(file_.get(), before.st_size) != 0) throw_io("shorten", path_, errno);
      throw_io("write", path_, code);
    }
    rest.remove_prefix(static_cast<size_t>(n));
  }
}

void MetricsFile::sync() {
  if (fsync(file_.get()) != 0 && errno != EINVAL && errno != ENOTSUP) throw_io("write", path_, errno);
}

}  // namespace lazuli
