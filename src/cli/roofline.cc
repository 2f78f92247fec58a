#include "cli/roofline.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>

namespace lazuli::cli {

namespace {

// Rows of the table; what is left is one row.
constexpr size_t kRows = 16;

profile::KernelCost sum_of(const Roofline& r, size_t first) {
  profile::KernelCost sum;
  for (size_t k = first; k < r.kernels.size(); ++k) {
    sum.calls += r.kernels[k].calls;
    sum.seconds += r.kernels[k].seconds;
    sum.bytes += r.kernels[k].bytes;
    sum.flops += r.kernels[k].flops;
  }
  return sum;
}

double least_of(const Roofline& r, size_t first, const MachineLimits& limits) {
  double sum = 0;
  for (size_t k = first; k < r.kernels.size(); ++k) sum += least_seconds(r.kernels[k], limits);
  return sum;
}

void write_row(fmt::memory_buffer& out, const profile::KernelCost& c, double least, double whole, std::string_view what) {
  const double seconds = std::max(c.seconds, 1e-12);
  fmt::format_to(std::back_inserter(out), "| {:>9.3f} | {:>5.1f} | {:>7} | {:>7.1f} | {:>8.1f} | {:>8.0f} | {}\n", 1e3 * c.seconds,
                 100 * c.seconds / std::max(whole, 1e-12), c.calls, c.bytes / seconds * 1e-9, c.flops / seconds * 1e-9,
                 100 * least / seconds, what);
}

}  // namespace

Roofline profile_run(const std::string& test, const std::function<void()>& run) {
  profile::start();
  const auto begin = std::chrono::steady_clock::now();
  run();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return {test, profile::stop(), seconds.count()};
}

double least_seconds(const profile::KernelCost& cost, const MachineLimits& limits) {
  return std::max(cost.bytes / limits.bytes_per_second, cost.flops / limits.flops_per_second);
}

std::string roofline_table(const std::vector<Roofline>& all, const MachineLimits& limits) {
  fmt::memory_buffer out;
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "\nlimits of this machine, measured: {:.1f} GB/s read, {:.0f} GFLOP/s f32\n", limits.bytes_per_second * 1e-9,
                 limits.flops_per_second * 1e-9);
  for (const Roofline& r : all) {
    const profile::KernelCost whole = sum_of(r, 0);
    fmt::format_to(to, "\n{}: {:.3f} ms, of which kernels {:.3f} ms; at the limits they would take {:.3f} ms\n", r.test, 1e3 * r.seconds,
                   1e3 * whole.seconds, 1e3 * least_of(r, 0, limits));
    fmt::format_to(to, "| {:>9} | {:>5} | {:>7} | {:>7} | {:>8} | {:>8} | {}\n", "ms", "%", "calls", "GB/s", "GFLOP/s", "% limit",
                   "kernel");
    fmt::format_to(to, "| {:->8}: | {:->4}: | {:->6}: | {:->6}: | {:->7}: | {:->7}: | ---\n", "", "", "", "", "", "");
    const size_t shown = std::min(r.kernels.size(), kRows);
    for (size_t k = 0; k < shown; ++k) {
      write_row(out, r.kernels[k], least_seconds(r.kernels[k], limits), whole.seconds, r.kernels[k].what);
    }
    if (shown < r.kernels.size()) {
      write_row(out, sum_of(r, shown), least_of(r, shown, limits), whole.seconds, fmt::format("{} others", r.kernels.size() - shown));
    }
  }
  return fmt::to_string(out);
}

void write_roofline(JsonWriter& w, const std::vector<Roofline>& all, const MachineLimits& limits) {
  w.key("roofline").begin_object().field("bytes_per_second", limits.bytes_per_second).field("flops_per_second", limits.flops_per_second);
  w.key("tests").begin_array();
  for (const Roofline& r : all) {
    w.begin_object().field("test", r.test).field("seconds", r.seconds).field("least_seconds", least_of(r, 0, limits));
    w.key("kernels").begin_array();
    for (const profile::KernelCost& c : r.kernels) {
      w.begin_object().field("kernel", c.kernel).field("what", c.what).field("calls", c.calls).field("seconds", c.seconds);
      w.field("bytes", c.bytes).field("flops", c.flops).field("least_seconds", least_seconds(c, limits)).end_object();
    }
    w.end_array().end_object();
  }
  w.end_array().end_object();
}

}  // namespace lazuli::cli
