#include "cli/option_text.h"

#include <fmt/format.h>

#include <cmath>
#include <type_traits>

#include "cli/parser.h"

namespace lazuli::cli {

std::string placeholder(const Option& option) {
  if (is_flag(option)) return {};
  if (!option.value.empty()) return option.value;
  if (!option.choices.empty()) return fmt::format("{}", fmt::join(option.choices, "|"));
  return std::holds_alternative<int64_t*>(option.target) ? "N" : std::holds_alternative<double*>(option.target) ? "X" : "TEXT";
}

std::string default_text(const Option& option) {
  if (option.required) return {};
  return std::visit(
      [](const auto* value) -> std::string {
        using T = std::remove_cv_t<std::remove_pointer_t<decltype(value)>>;
        if constexpr (std::is_same_v<T, bool>) {
          return {};
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          return fmt::format("{}", fmt::join(*value, ","));
        } else {
          return fmt::format("{}", *value);
        }
      },
      option.target);
}

std::string number_text(double number) { return number == std::trunc(number) ? fmt::format("{:.0f}", number) : fmt::format("{}", number); }

std::string range_text(const Option& option) {
  if (!std::holds_alternative<int64_t*>(option.target) && !std::holds_alternative<double*>(option.target)) return {};
  if (std::isinf(option.low)) return {};
  if (std::isinf(option.high)) return fmt::format("at least {}", number_text(option.low));
  return fmt::format("{} to {}", number_text(option.low), number_text(option.high));
}

std::vector<Option> common_options(CommonTarget& target) {
  Common& common = target.common;
  return {
      {.name = "--device",
       .target = &target.device,
       .help = "Device to compute on; cuda:N is GPU number N",
       .choices = {"cpu", "cuda", "reference"},
       .numbered = "cuda"},
      {.name = "--dtype", .target = &target.dtype, .help = "Data type of weights and activations", .choices = {"f32", "bf16", "f16"}},
      {.name = "--threads", .target = &target.threads, .help = "Number of CPU threads; 0: one for each core", .low = 0, .high = 1024},
      {.name = "--seed", .target = &common.seed, .help = "Seed of all random numbers", .low = 0},
      {.name = "--json", .target = &common.json, .help = "Print one JSON object on stdout"},
      {.name = "--quiet", .target = &common.quiet, .help = "Print no progress on stderr"},
      {.name = "--max-memory",
       .target = &target.max_memory,
       .help = "Most memory for tensors, such as 800MB or 2GB, mapped files not counted; when not given what the system has available",
       .value = "SIZE"},
      {.name = "--trace", .target = &common.trace, .help = "Write a trace for Chrome or Perfetto to this file", .value = "FILE"},
  };
}

}  // namespace lazuli::cli
