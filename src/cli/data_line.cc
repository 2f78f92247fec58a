#include "cli/data_line.h"

#include <fmt/format.h>

#include <cstdio>

namespace lazuli::cli {

namespace {

constexpr size_t kNamed = 3;  // more files than these are counted only

}  // namespace

std::string data_line(const DataReport& report) {
  const size_t files = report.files.size();
  std::string line = files <= kNamed ? fmt::format("data: {}", fmt::join(report.files, ", ")) : fmt::format("data: {} files", files);
  if (report.rows > 0) line += fmt::format(", {} row{}", report.rows, report.rows == 1 ? "" : "s");
  line += fmt::format(", {} tokens", report.tokens);
  const std::string left_out = report.left_out_text();
  if (!left_out.empty()) line += "; left out: " + left_out;
  for (const std::string& note : report.notes) line += "; " + note;
  return line;
}

void say_data(const Common& common, const DataReport& report) {
  if (!common.quiet) std::fprintf(stderr, "%s\n", data_line(report).c_str());
}

void write_data(JsonWriter& w, const DataReport& report) {
  w.key("data").begin_object().field("files", report.files.size()).key("file_names").begin_array();
  for (const std::string& name : report.files) w.value(name);
  w.end_array().field("rows", report.rows).field("read_tokens", report.tokens).key("left_out").begin_array();
  for (const DataReport::LeftOut& l : report.left_out) {
    w.begin_object().field("what", l.what).field("count", l.count).key("names").begin_array();
    for (const std::string& name : l.names) w.value(name);
    w.end_array().end_object();
  }
  w.end_array().key("notes").begin_array();
  for (const std::string& note : report.notes) w.value(note);
  w.end_array().end_object();
}

}  // namespace lazuli::cli
