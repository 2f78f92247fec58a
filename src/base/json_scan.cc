// Implements scan_json: a scanner without recursion, which only texts that simdjson refuses ever reach.
#include "base/json_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "base/utf8.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr size_t kEscape = 6;  // of \u and four digits

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Of an escape \uXXXX at the start of `text`.
std::optional<uint32_t> escaped_unit(std::string_view text) {
  if (text.size() < kEscape || text[0] != '\\' || text[1] != 'u') return std::nullopt;
  uint32_t unit = 0;
  const char* end = text.data() + kEscape;
  if (std::from_chars(text.data() + 2, end, unit, 16).ptr != end) return std::nullopt;
  return unit;
}

bool is_high(uint32_t unit) { return unit >= 0xd800 && unit < 0xdc00; }
bool is_low(uint32_t unit) { return unit >= 0xdc00 && unit < 0xe000; }

/// The value of the text between two quotes, whose escapes are known to be right.
std::string unescaped(std::string_view raw) {
  std::string out;
  while (!raw.empty()) {
    size_t used = 1;
    if (raw[0] != '\\') {
      out.push_back(raw[0]);
    } else if (const auto unit = escaped_unit(raw)) {
      used = kEscape;
      const auto second = is_high(*unit) ? escaped_unit(raw.substr(used)) : std::nullopt;
      const bool pair = second && is_low(*second);
      append_utf8(out, pair ? 0x10000 + ((*unit - 0xd800) << 10) + (*second - 0xdc00) : *unit);
      if (pair) used += kEscape;
    } else {
      used = 2;
      constexpr std::string_view names = "bfnrt", values = "\b\f\n\r\t";
      const size_t known = names.find(raw[1]);
      out.push_back(known == std::string_view::npos ? raw[1] : values[known]);
    }
    raw.remove_prefix(used);
  }
  return out;
}

/// A number too large for a double, or too small. Its digits are known to be right.
double beyond_double(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const size_t mark = std::min(text.find_first_of("eE"), text.size());
  const std::string_view digits = text.substr(0, mark);
  const size_t point = std::min(digits.find('.'), digits.size());
  const size_t first = digits.find_first_of("123456789");
  bool large = first < point;
  if (mark < text.size()) {
    const bool down = text[mark + 1] == '-';
    int64_t exponent = 0;
    const char* start = text.data() + mark + (is_digit(text[mark + 1]) ? 1 : 2);
    const bool huge = std::from_chars(start, text.data() + text.size(), exponent).ec != std::errc();
    const auto leading = static_cast<int64_t>(point) - static_cast<int64_t>(first);
    exponent = std::min(exponent, int64_t{1} << 60);
    large = huge ? !down : leading + (down ? -exponent : exponent) > 0;
  }
  const double size = large && first != std::string_view::npos ? std::numeric_limits<double>::infinity() : 0.0;
  return negative ? -size : size;
}

class Scanner {
 public:
  Scanner(std::string_view text, const std::string& name, size_t max_depth) : text_(text), name_(name), max_depth_(max_depth) {}

  JsonScan run() {
    if (text_.starts_with("\xff\xfe") || text_.starts_with("\xfe\xff")) fail_here("UTF-8 expected, got UTF-16");
    value();
    while (!done()) {
      if (after_key_ || in_array_start()) {
        value();
      } else {
        next();
      }
    }
    scan_.text.append(text_.substr(copied_));
    return std::move(scan_);
  }

 private:
  [[noreturn]] void fail(std::string_view expected) const {
    std::string got = "the end of the text";
    if (at_ < text_.size()) {
      const size_t length = utf8_length(text_.substr(at_));
      const auto byte = static_cast<unsigned char>(text_[at_]);
      const bool shown = length > 0 && byte >= 0x20;
      got = shown ? fmt::format("'{}'", text_.substr(at_, length)) : fmt::format("byte 0x{:02x}", byte);
    }
    fail_here(fmt::format("{} expected, got {}", expected, got));
  }
  [[noreturn]] void fail_here(std::string_view what) const {
    const std::string_view before = text_.substr(0, at_);
    const size_t start = before.rfind('\n') + 1;  // 0 when there is none
    const auto inside = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
    const auto column = static_cast<size_t>(
        std::count_if(before.begin() + static_cast<std::ptrdiff_t>(start), before.end(), [&](char c) { return !inside(c); }));
    const auto line = std::count(before.begin(), before.end(), '\n');
    throw FormatError(fmt::format("{}: valid JSON expected: line {}, column {}: {}", name_, line + 1, column + 1, what));
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_space() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  bool done() {
    skip_space();
    if (!open_.empty() || after_key_) return false;
    if (at_ < text_.size()) fail("the end of the text");
    return true;
  }
  bool in_array_start() const { return fresh_ && open_.back() == '[' && peek() != ']'; }

  /// What follows a value or the start of a container: an end, or a comma and what it separates.
  void next() {
    const bool fresh = std::exchange(fresh_, false);
    const char close = open_.back() == '{' ? '}' : ']';
    if (take(close)) {
      open_.pop_back();
      return;
    }
    if (!fresh && !take(',')) fail(fmt::format("',' or '{}'", close));
    skip_space();
    if (open_.back() == '[') return value();
    if (peek() != '"') fail("a key in quotes");
    string();
    skip_space();
    if (!take(':')) fail("':'");
    after_key_ = true;
  }

  void value() {
    after_key_ = fresh_ = false;
    skip_space();
    const char c = peek();
    if (c == '{' || c == '[') {
      if (open_.size() == max_depth_) fail_here(fmt::format("at most {} levels expected", max_depth_));
      open_.push_back(c);
      fresh_ = true;
      ++at_;
    } else if (c == '"') {
      string();
    } else if (c == '-' || is_digit(c) || c == 'N' || c == 'I') {
      number();
    } else if (!take("true") && !take("false") && !take("null")) {
      fail("a value");
    }
  }

  /// Puts `with` in the place of the text from `from` to here.
  void replace(size_t from, std::string_view with) {
    scan_.text.append(text_.substr(copied_, from - copied_)).append(with);
    copied_ = at_;
  }

  void odd_number(size_t from, double value) {
    scan_.numbers.push_back({numbers_, std::string(text_.substr(from, at_ - from)), value});
    replace(from, "0.5");
  }

  void digits() {
    if (!is_digit(peek())) fail("a digit");
    while (is_digit(peek())) ++at_;
  }

  void number() {
    const size_t from = at_;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (take("NaN")) {
      odd_number(from, std::numeric_limits<double>::quiet_NaN());
    } else if (take("Infinity")) {
      odd_number(from, infinity);
    } else if (take("-Infinity")) {
      odd_number(from, -infinity);
    } else {
      finite_number(from);
    }
    ++numbers_;
  }

  void finite_number(size_t from) {
    take('-');
    if (!take('0')) digits();
    bool integer = true;
    if (take('.')) {
      digits();
      integer = false;
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      digits();
      integer = false;
    }
    const char* first = text_.data() + from;
    const char* last = text_.data() + at_;
    int64_t whole = 0;
    uint64_t natural = 0;
    if (integer && (std::from_chars(first, last, whole).ec == std::errc() || std::from_chars(first, last, natural).ec == std::errc())) {
      return;
    }
    double value = 0;
    const bool held = std::from_chars(first, last, value).ec == std::errc();
    if (!held) value = beyond_double(text_.substr(from, at_ - from));
    if (integer || !held) odd_number(from, value);
  }

  void string() {
    const size_t from = ++at_;
    bool odd = false;
    while (peek() != '"') {
      const auto byte = static_cast<unsigned char>(peek());
      if (byte < 0x20) fail(at_ < text_.size() ? "an escape in a string" : "'\"'");
      if (byte == '\\') {
        odd = escape() || odd;
        continue;
      }
      const size_t length = utf8_length(text_.substr(at_));
      if (length == 0) fail("UTF-8");
      at_ += length;
    }
    if (odd) scan_.strings.push_back({strings_, unescaped(text_.substr(from, at_ - from))});
    ++strings_;
    ++at_;
  }

  /// True for half of a surrogate pair, which U+FFFD stands in for.
  bool escape() {
    const auto unit = escaped_unit(text_.substr(at_));
    if (!unit) {
      constexpr std::string_view known = "\"\\/bfnrt";
      ++at_;
      if (at_ >= text_.size() || known.find(text_[at_]) == std::string_view::npos) fail("one of \"\\/bfnrt, or u and four digits,");
      ++at_;
      return false;
    }
    const size_t from = at_;
    at_ += kEscape;
    if (is_high(*unit)) {
      const auto second = escaped_unit(text_.substr(at_));
      if (second && is_low(*second)) {
        at_ += kEscape;
        return false;
      }
    } else if (!is_low(*unit)) {
      return false;
    }
    replace(from, "\\ufffd");
    return true;
  }

  std::string_view text_;
  const std::string& name_;
  size_t max_depth_;
  JsonScan scan_;
  std::string open_;  // the containers around
  size_t at_ = 0;
  size_t copied_ = 0;
  size_t numbers_ = 0;
  size_t strings_ = 0;
  bool fresh_ = false;      // directly after the start of a container
  bool after_key_ = false;  // a value must follow
};

}  // namespace

JsonScan scan_json(std::string_view text, const std::string& name, size_t max_depth) { return Scanner(text, name, max_depth).run(); }

}  // namespace lazuli
