#include "backend/cpu/common/tuning.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "base/file.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/system_info.h"
#include "lazuli/error.h"

namespace lazuli::cpu {

namespace {

constexpr size_t kMostBytes = 64 << 10;

constexpr int64_t kPieces[] = {192, 256, 384, 512, 1024}, kRows[] = {252, 420, 616, 910}, kFew[] = {14, 28, 56}, kDots[] = {16, 32, 48, 96},
                  kUnit[] = {32, 64, 128, 1 << 20}, kFlops[] = {1000, 2000, 4000, 8000}, kThreads[] = {4000, 8000, 16000, 32000},
                  kInline[] = {20000, 50000, 150000, 400000};

constexpr TunedNumber kNumbers[] = {
    {"piece_of_k", "depth", &Tuning::piece_of_k, 16, 1 << 16, kPieces},
    {"block_rows", "rows", &Tuning::block_rows, 14, 1 << 20, kRows},
    {"few_rows", "rows", &Tuning::few_rows, 1, 1 << 16, kFew},
    {"few_dots", "rows or columns", &Tuning::few_dots, 1, 1 << 16, kDots},
    {"matrix_unit_rows", "rows and columns", &Tuning::matrix_unit_rows, 1, 1 << 20, kUnit},
    {"task_kiloflops", "thousands of operations", &Tuning::task_kiloflops, 1, 1 << 30, kFlops},
    {"threads_ns", "nanoseconds of a wave", &Tuning::threads_ns, 0, 1 << 30, kThreads},
    {"inline_ns", "nanoseconds of a plan", &Tuning::inline_ns, 0, 1 << 30, kInline},
};

std::string set_in(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr ? value : "";
}

Tuning of_this_machine() {
  const std::string path = profile_path();
  std::error_code ignored;
  return path.empty() || !std::filesystem::exists(path, ignored) ? Tuning{} : read_profile(path);
}

Tuning& in_force() {
  static Tuning now = of_this_machine();
  return now;
}

}  // namespace

std::span<const TunedNumber> tuned_numbers() { return kNumbers; }
const Tuning& tuning() { return in_force(); }
void set_tuning(const Tuning& tuning) { in_force() = tuning; }

std::string profile_path() {
  if (const char* set = std::getenv("LAZULI_PROFILE"); set != nullptr) return set;
  if (const std::string folder = set_in("XDG_CONFIG_HOME"); folder.starts_with('/')) return folder + "/lazuli/cpu_profile.json";
  const std::string home = set_in("HOME");
  return home.starts_with('/') ? home + "/.config/lazuli/cpu_profile.json" : std::string();
}

Tuning read_profile(const std::string& path) {
  const std::string text = read_file(path, kMostBytes);
  const JsonDocument document = JsonDocument::parse(text, path);
  const JsonValue root = document.root();
  Tuning tuning;
  if (root.get("processor").as_string() != system_info().processor) return tuning;
  const JsonValue values = root.get("values");
  for (const TunedNumber& number : kNumbers) {
    const auto value = values.find(number.name);
    if (!value) continue;
    const int64_t n = value->as_int();
    if (n < number.low || n > number.high) value->fail(fmt::format("{} to {} is expected, got {}", number.low, number.high, n));
    tuning.*number.member = n;
  }
  return tuning;
}

void write_profile(const std::string& path, const Tuning& tuning) {
  JsonWriter w;
  w.begin_object().field("processor", system_info().processor).key("values").begin_object();
  for (const TunedNumber& number : kNumbers) w.field(number.name, tuning.*number.member);
  w.end_object().end_object();
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) throw IoError(fmt::format("cannot create folder {}: {}", folder.string(), error.message()));
  write_file(path, w.text() + "\n");
}

}  // namespace lazuli::cpu
