// Implements JsonWriter.
#include "base/json_writer.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "base/utf8.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

void append_escaped(std::string& out, char c) {
  constexpr std::string_view named = "\"\\\b\f\n\r\t", names = "\"\\bfnrt";
  if (const size_t at = named.find(c); at != std::string_view::npos) {
    out += '\\';
    out += names[at];
  } else if (static_cast<unsigned char>(c) < 0x20) {
    out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  } else {
    out += c;
  }
}

std::string quoted(std::string_view text) {
  std::string storage;
  std::string out = "\"";
  for (const char c : repaired(text, storage)) append_escaped(out, c);
  return out += '"';
}

/// The shortest text that reads back as the number, with a point or an exponent, so that it stays no integer.
std::string number_text(double number) {
  if (!std::isfinite(number)) return "null";
  constexpr int low = -4, high = 14;  // exponents of numbers that are written without one
  std::array<char, 40> buffer;
  const auto written = [&](std::chars_format format) {
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, format).ptr;
    return std::string(buffer.data(), end);
  };
  std::string text = written(std::chars_format::scientific);
  const int exponent = std::stoi(text.substr(text.find('e') + 1));
  if (exponent < low || exponent > high) return text;
  text = written(std::chars_format::fixed);
  return text.find('.') == std::string::npos ? text + ".0" : text;
}

}  // namespace

void JsonWriter::new_line() {
  if (indent_ <= 0) return;
  text_ += '\n';
  text_.append(levels_.size() * static_cast<size_t>(indent_), ' ');
}

void JsonWriter::next_item(Level& level) {
  if (!level.empty) text_ += ',';
  level.empty = false;
  new_line();
}

void JsonWriter::before_value() {
  if (levels_.empty()) {
    if (!text_.empty()) throw ValueError("json: one value at the top expected");
  } else if (levels_.back().open == '{') {
    if (!after_key_) throw ValueError("json: a key before the value of an object expected");
    after_key_ = false;
  } else {
    next_item(levels_.back());
  }
}

JsonWriter& JsonWriter::begin(char open) {
  before_value();
  text_ += open;
  levels_.push_back({open, true});
  return *this;
}

JsonWriter& JsonWriter::end(char close) {
  const char open = close == '}' ? '{' : '[';
  if (levels_.empty() || levels_.back().open != open || after_key_) throw ValueError("json: an end without its begin");
  const bool empty = levels_.back().empty;
  levels_.pop_back();
  if (!empty) new_line();
  text_ += close;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  if (levels_.empty() || levels_.back().open != '{' || after_key_) throw ValueError("json: a key outside an object");
  next_item(levels_.back());
  text_ += quoted(name);
  text_ += indent_ > 0 ? ": " : ":";
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  before_value();
  text_ += quoted(text);
  return *this;
}
JsonWriter& JsonWriter::value(double number) {
  before_value();
  text_ += number_text(number);
  return *this;
}
JsonWriter& JsonWriter::value(std::nullptr_t) {
  before_value();
  text_ += "null";
  return *this;
}
JsonWriter& JsonWriter::write_bool(bool v) {
  before_value();
  text_ += v ? "true" : "false";
  return *this;
}
JsonWriter& JsonWriter::write_int(int64_t v) {
  before_value();
  text_ += std::to_string(v);
  return *this;
}
JsonWriter& JsonWriter::write_uint(uint64_t v) {
  before_value();
  text_ += std::to_string(v);
  return *this;
}

const std::string& JsonWriter::text() const {
  if (!levels_.empty() || text_.empty()) throw ValueError("json: an unfinished text was read");
  return text_;
}

}  // namespace lazuli
