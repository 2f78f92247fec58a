#include "cli/human.h"

#include <fmt/format.h>

#include <array>

namespace lazuli::cli {

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

void write_json(JsonWriter& w, const JsonValue& value) {
  if (value.is_object()) {
    w.begin_object();
    for (const JsonMember& m : value.as_object()) {
      w.key(m.key);
      write_json(w, m.value);
    }
    w.end_object();
  } else if (value.is_array()) {
    w.begin_array();
    for (const JsonValue item : value.as_array()) write_json(w, item);
    w.end_array();
  } else if (value.is_string()) {
    w.value(value.as_string());
  } else if (value.is_bool()) {
    w.value(value.as_bool());
  } else if (value.is_int()) {
    w.value(value.as_int());
  } else if (value.is_number()) {
    w.value(value.as_double());
  } else {
    w.value(nullptr);
  }
}

void write_json(JsonWriter& w, const MemoryUse& use) {
  w.begin_object().field("weights", use.weights).field("arguments", use.arguments).field("workspace", use.workspace);
  w.field("results", use.results).field("total", use.total()).end_object();
}

}  // namespace lazuli::cli
