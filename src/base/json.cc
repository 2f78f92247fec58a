// Implements JSON reading on simdjson, whose handles JsonValue keeps as bits so that its header stays in this file.
#include "base/json.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <bit>
#include <cmath>
#include <map>
#include <type_traits>
#include <utility>

#include "base/download_fault.h"
#include "base/file.h"
#include "base/human_size.h"
#include "base/json_scan.h"
#include "lazuli/error.h"

namespace lazuli {

namespace dom = simdjson::dom;

/// The parser owns the parsed document; `root` points into it.
struct JsonSource {
  std::string name;
  dom::parser parser;
  JsonValue::Bits root{};
  // What the document has stand-ins for, by its element there; a key by the element of its value.
  std::map<JsonValue::Bits, OddNumber> numbers;
  std::map<JsonValue::Bits, std::string> strings;
  std::map<JsonValue::Bits, std::string> keys;
};

namespace {

using Bits = std::array<uint64_t, 2>;

/// simdjson's handles are a pointer and an index. Keeping their bits hides its header from everyone else.
template <class T>
T from_bits(Bits bits) {
  static_assert(sizeof(T) == sizeof(Bits) && std::is_trivially_copyable_v<T>);
  return std::bit_cast<T>(bits);
}
template <class T>
Bits to_bits(const T& handle) {
  static_assert(sizeof(T) == sizeof(Bits) && std::is_trivially_copyable_v<T>);
  return std::bit_cast<Bits>(handle);
}

std::string_view kind_name(dom::element e) {
  switch (e.type()) {
    case dom::element_type::ARRAY:
      return "an array";
    case dom::element_type::OBJECT:
      return "an object";
    case dom::element_type::INT64:
    case dom::element_type::UINT64:
      return "an integer";
    case dom::element_type::DOUBLE:
      return "a number";
    case dom::element_type::STRING:
      return "a string";
    case dom::element_type::BOOL:
      return "a boolean";
    case dom::element_type::NULL_VALUE:
      break;
  }
  return "null";
}

/// Appends the way from `at` to the element of these bits; false when it is not below `at`. Only errors pay for this walk.
bool find_place(dom::element at, Bits wanted, std::string& place) {
  if (to_bits(at) == wanted) return true;
  const size_t length = place.size();
  dom::array array;
  dom::object object;
  if (at.get(array) == simdjson::SUCCESS) {
    size_t index = 0;
    for (dom::element e : array) {
      place += fmt::format("[{}]", index++);
      if (find_place(e, wanted, place)) return true;
      place.resize(length);
    }
  } else if (at.get(object) == simdjson::SUCCESS) {
    for (dom::key_value_pair member : object) {
      place += fmt::format(".{}", member.key);
      if (find_place(member.value, wanted, place)) return true;
      place.resize(length);
    }
  }
  return false;
}

constexpr size_t kShown = 40;  // bytes of a number in a message

std::string shortened(const std::string& text) {
  return text.size() <= kShown ? text : fmt::format("{}... of {} characters", text.substr(0, kShown), text.size());
}

/// Finds the elements that stand in for odd values, which are known by how many of their kind stand before them.
class OddFinder {
 public:
  OddFinder(JsonScan& scan, JsonSource& source) : scan_(scan), source_(source) {}

  void visit(dom::element element) {
    dom::array array;
    dom::object object;
    if (element.get(array) == simdjson::SUCCESS) {
      for (dom::element e : array) visit(e);
    } else if (element.get(object) == simdjson::SUCCESS) {
      for (dom::key_value_pair member : object) {
        string(to_bits(member.value), source_.keys);
        visit(member.value);
      }
    } else if (element.is_string()) {
      string(to_bits(element), source_.strings);
    } else if (element.is_number()) {
      if (number_ < scan_.numbers.size() && scan_.numbers[number_].place == numbers_++) {
        source_.numbers.emplace(to_bits(element), std::move(scan_.numbers[number_++]));
      }
    }
  }

 private:
  void string(Bits bits, std::map<Bits, std::string>& found) {
    if (string_ < scan_.strings.size() && scan_.strings[string_].place == strings_++) {
      found.emplace(bits, std::move(scan_.strings[string_++].text));
    }
  }

  JsonScan& scan_;
  JsonSource& source_;
  size_t numbers_ = 0, strings_ = 0;  // seen
  size_t number_ = 0, string_ = 0;    // the next ones of the scan
};

simdjson::error_code parse_into(JsonSource& source, std::string_view text, size_t max_depth, dom::element& root) {
  simdjson::error_code error = source.parser.allocate(text.size() + 1, max_depth + 1);
  if (error == simdjson::SUCCESS) error = source.parser.parse(text.data(), text.size(), true).get(root);
  if (error == simdjson::MEMALLOC) throw OutOfMemory(fmt::format("{}: no memory to parse {}", source.name, human_bytes(text.size())));
  return error;
}

template <class T>
T get_as(const JsonValue& value, Bits bits, std::string_view expected) {
  const auto element = from_bits<dom::element>(bits);
  T out;
  if (element.get(out) != simdjson::SUCCESS) value.fail(fmt::format("{} expected, got {}", expected, kind_name(element)));
  return out;
}

}  // namespace

bool JsonValue::is_null() const { return from_bits<dom::element>(bits_).is_null(); }
bool JsonValue::is_bool() const { return from_bits<dom::element>(bits_).is_bool(); }
bool JsonValue::is_string() const { return from_bits<dom::element>(bits_).is_string(); }
bool JsonValue::is_whole_string() const { return is_string() && !source_->strings.contains(bits_); }
bool JsonValue::is_array() const { return from_bits<dom::element>(bits_).is_array(); }
bool JsonValue::is_object() const { return from_bits<dom::element>(bits_).is_object(); }
bool JsonValue::is_int() const { return from_bits<dom::element>(bits_).is_int64(); }
bool JsonValue::is_number() const { return from_bits<dom::element>(bits_).is_number(); }

std::string_view JsonValue::odd_number() const {
  const auto found = source_->numbers.find(bits_);
  return found == source_->numbers.end() ? std::string_view() : found->second.text;
}

bool JsonValue::as_bool() const { return get_as<bool>(*this, bits_, "true or false"); }
int64_t JsonValue::as_int() const {
  constexpr std::string_view expected = "an integer of 64 bits";
  refuse_odd_number(expected);
  if (uint64_t large = 0; !is_int() && from_bits<dom::element>(bits_).get(large) == simdjson::SUCCESS) {
    fail(fmt::format("an integer of at most {} expected, got {}", INT64_MAX, large));
  }
  return get_as<int64_t>(*this, bits_, expected);
}
uint64_t JsonValue::as_uint() const {
  constexpr std::string_view expected = "an integer from 0 to 2^64 - 1";
  refuse_odd_number(expected);
  return get_as<uint64_t>(*this, bits_, expected);
}
double JsonValue::as_double() const {
  const auto odd = source_->numbers.find(bits_);
  if (odd == source_->numbers.end()) return get_as<double>(*this, bits_, "a number");
  if (!std::isfinite(odd->second.value)) refuse_odd_number("a finite number");
  return odd->second.value;
}
std::string_view JsonValue::as_string() const {
  if (source_->strings.contains(bits_)) fail("a string of whole characters expected, got one with half of a surrogate pair");
  return get_as<std::string_view>(*this, bits_, "a string");
}
std::string_view JsonValue::loose_string() const {
  const auto odd = source_->strings.find(bits_);
  return odd == source_->strings.end() ? get_as<std::string_view>(*this, bits_, "a string") : std::string_view(odd->second);
}
void JsonValue::refuse_odd_number(std::string_view expected) const {
  const auto odd = source_->numbers.find(bits_);
  if (odd != source_->numbers.end()) fail(fmt::format("{} expected, got {}", expected, shortened(odd->second.text)));
}
JsonArray JsonValue::as_array() const { return {source_, to_bits(get_as<dom::array>(*this, bits_, "an array"))}; }
JsonObject JsonValue::as_object() const { return {source_, to_bits(get_as<dom::object>(*this, bits_, "an object"))}; }

std::optional<JsonValue> JsonValue::find(std::string_view key) const {
  std::optional<JsonValue> found;
  for (const dom::key_value_pair member : get_as<dom::object>(*this, bits_, "an object")) {
    if (member.key == key) found = JsonValue(source_, to_bits(member.value));
  }
  // A stand-in for half of a surrogate pair is no part of a key.
  if (found && source_->keys.contains(found->bits_)) found.reset();
  return found;
}

JsonValue JsonValue::get(std::string_view key) const {
  const std::optional<JsonValue> found = find(key);
  if (!found) fail(fmt::format("key '{}' expected", key));
  return *found;
}

std::optional<JsonValue> JsonValue::find_set(std::string_view key) const {
  std::optional<JsonValue> found = find(key);
  if (found && found->is_null()) found.reset();
  return found;
}

bool JsonValue::bool_or(std::string_view key, bool fallback) const {
  const auto v = find_set(key);
  return v ? v->as_bool() : fallback;
}
int64_t JsonValue::int_or(std::string_view key, int64_t fallback) const {
  const auto v = find_set(key);
  return v ? v->as_int() : fallback;
}
double JsonValue::double_or(std::string_view key, double fallback) const {
  const auto v = find_set(key);
  return v ? v->as_double() : fallback;
}
std::string JsonValue::string_or(std::string_view key, std::string_view fallback) const {
  const auto v = find_set(key);
  return std::string(v ? v->as_string() : fallback);
}

std::string JsonValue::place() const {
  std::string place = "$";
  find_place(from_bits<dom::element>(source_->root), bits_, place);
  return place;
}

void JsonValue::fail(std::string_view message) const {
  std::string text = fmt::format("{}: {}: {}", source_->name, place(), message);
  // Whoever reads an error's text takes it to end at a NUL.
  for (size_t at = 0; (at = text.find('\0', at)) != std::string::npos;) text.replace(at, 1, "\\u0000");
  throw FormatError(text);
}

JsonValue JsonArray::Iterator::operator*() const { return {source_, to_bits(*from_bits<dom::array::iterator>(bits_))}; }
JsonArray::Iterator& JsonArray::Iterator::operator++() {
  auto it = from_bits<dom::array::iterator>(bits_);
  bits_ = to_bits(++it);
  return *this;
}
JsonArray::Iterator JsonArray::begin() const { return {source_, to_bits(from_bits<dom::array>(bits_).begin())}; }
JsonArray::Iterator JsonArray::end() const { return {source_, to_bits(from_bits<dom::array>(bits_).end())}; }
size_t JsonArray::size() const {
  size_t count = 0;
  for (auto it = begin(); it != end(); ++it) ++count;
  return count;
}

JsonMember JsonObject::Iterator::operator*() const {
  const auto it = from_bits<dom::object::iterator>(bits_);
  const JsonValue value(source_, to_bits(it.value()));
  const auto odd = source_->keys.find(value.bits_);
  return {odd == source_->keys.end() ? it.key() : std::string_view(odd->second), value};
}
JsonObject::Iterator& JsonObject::Iterator::operator++() {
  auto it = from_bits<dom::object::iterator>(bits_);
  bits_ = to_bits(++it);
  return *this;
}
JsonObject::Iterator JsonObject::begin() const { return {source_, to_bits(from_bits<dom::object>(bits_).begin())}; }
JsonObject::Iterator JsonObject::end() const { return {source_, to_bits(from_bits<dom::object>(bits_).end())}; }
size_t JsonObject::size() const {
  size_t count = 0;
  for (auto it = begin(); it != end(); ++it) ++count;
  return count;
}

JsonDocument JsonDocument::parse(std::string_view text, std::string name, size_t max_depth) {
  constexpr std::string_view mark = "\xef\xbb\xbf";
  if (text.starts_with(mark)) text.remove_prefix(mark.size());
  auto source = std::make_unique<JsonSource>();
  source->name = std::move(name);
  dom::element root;
  if (parse_into(*source, text, max_depth, root) != simdjson::SUCCESS) {
    JsonScan scan = scan_json(text, source->name, max_depth);
    if (const auto error = parse_into(*source, scan.text, max_depth, root); error != simdjson::SUCCESS) {
      throw FormatError(fmt::format("{}: valid JSON expected: {}", source->name, simdjson::error_message(error)));
    }
    OddFinder(scan, *source).visit(root);
  }
  source->root = to_bits(root);
  return JsonDocument(std::move(source));
}

JsonDocument JsonDocument::read(const std::string& path, size_t max_bytes) {
  const std::string text = read_file(path, max_bytes);
  refuse_download_fault(path, text);
  if (text.empty()) throw FormatError(fmt::format("{}: JSON expected, the file is empty", path));
  return parse(text, path);
}

JsonDocument::JsonDocument(std::unique_ptr<JsonSource> source) : source_(std::move(source)) {}
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;
JsonDocument::~JsonDocument() = default;
JsonValue JsonDocument::root() const { return {source_.get(), source_->root}; }
const std::string& JsonDocument::name() const { return source_->name; }

}  // namespace lazuli
