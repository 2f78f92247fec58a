#include "cli/human.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "base/trace.h"
#include "cli/command.h"
#include "lazuli/lazy_tensor.h"
#include "lazuli/memory.h"

namespace lazuli::cli {

uint64_t parse_bytes(const std::string& option, const std::string& text) {
  static constexpr std::array<std::pair<std::string_view, double>, 11> kUnits = {{{"", 1},
                                                                                  {"B", 1},
                                                                                  {"kB", 1e3},
                                                                                  {"KB", 1e3},
                                                                                  {"MB", 1e6},
                                                                                  {"GB", 1e9},
                                                                                  {"TB", 1e12},
                                                                                  {"KiB", 0x1p10},
                                                                                  {"MiB", 0x1p20},
                                                                                  {"GiB", 0x1p30},
                                                                                  {"TiB", 0x1p40}}};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (error == std::errc() && number > 0) {
    for (const auto& [name, factor] : kUnits) {
      if (unit == name && number * factor >= 1 && number * factor < 0x1p63) return static_cast<uint64_t>(number * factor);
    }
  }
  throw UsageError(fmt::format("{}: a size such as 800MB or 1.5GiB is expected, got '{}'", option, text));
}

void trace_allocator() {
  const MemoryStats m = memory_stats(default_device());
  trace::counter("allocator peak bytes", static_cast<double>(m.peak_bytes));
  trace::counter("allocator live bytes", static_cast<double>(m.live_bytes));
  trace::counter("allocator cached bytes", static_cast<double>(m.cached_bytes));
  trace::counter("allocator system allocations", static_cast<double>(m.system_allocations));
  trace::counter("allocator limit bytes", static_cast<double>(m.limit_bytes));
}

void write_allocator(JsonWriter& w) {
  const MemoryStats m = memory_stats(default_device());
  w.key("allocator")
      .begin_object()
      .field("peak_bytes", m.peak_bytes)
      .field("live_bytes", m.live_bytes)
      .field("cached_bytes", m.cached_bytes);
  w.field("system_allocations", m.system_allocations).field("limit_bytes", m.limit_bytes).end_object();
}

void write_json(JsonWriter& w, const MemoryUse& use) {
  w.begin_object().field("weights", use.weights).field("arguments", use.arguments).field("workspace", use.workspace);
  w.field("results", use.results).field("total", use.total()).end_object();
}

}  // namespace lazuli::cli
