// Implements JsonWriter; nlohmann-json formats strings and numbers, and only here.
#include "base/json_writer.h"

#include <nlohmann/json.hpp>

#include "lazuli/error.h"

namespace lazuli {

namespace {

std::string dump(const nlohmann::json& scalar) { return scalar.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

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
  text_ += dump(name);
  text_ += indent_ > 0 ? ": " : ":";
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  before_value();
  text_ += dump(text);
  return *this;
}
JsonWriter& JsonWriter::value(double number) {
  before_value();
  text_ += dump(number);
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
