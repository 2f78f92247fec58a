#include "base/human_size.h"

#include <fmt/format.h>

#include <array>

namespace lazuli {

namespace {

std::string scaled(double value, const std::array<const char*, 5>& units) {
  size_t unit = 0;
  for (; value >= 999.5 && unit + 1 < units.size(); ++unit) value /= 1000;
  return unit == 0 ? fmt::format("{:.0f}{}", value, units[0])
                   : fmt::format("{:.{}f}{}", value,
                                 value < 10    ? 2
                                 : value < 100 ? 1
                                               : 0,
                                 units[unit]);
}

}  // namespace

std::string human_bytes(double bytes) { return scaled(bytes, {" B", " kB", " MB", " GB", " TB"}); }
std::string human_count(double count) { return scaled(count, {"", " k", " M", " G", " T"}); }

}  // namespace lazuli
