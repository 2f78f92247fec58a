// Implements JSON reading on simdjson, which no other file needs to know.
#include "base/json.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <bit>
#include <limits>
#include <type_traits>

#include "base/file.h"
#include "base/human_size.h"
#include "lazuli/error.h"

namespace lazuli {

namespace dom = simdjson::dom;

/// The parser owns the parsed document; `root` points into it.
struct JsonSource {
  std::string name;
  dom::parser parser;
  JsonValue::Bits root{};
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
bool JsonValue::is_array() const { return from_bits<dom::element>(bits_).is_array(); }
bool JsonValue::is_object() const { return from_bits<dom::element>(bits_).is_object(); }
bool JsonValue::is_int() const { return from_bits<dom::element>(bits_).is_int64(); }
bool JsonValue::is_number() const { return from_bits<dom::element>(bits_).is_number(); }

bool JsonValue::as_bool() const { return get_as<bool>(*this, bits_, "true or false"); }
int64_t JsonValue::as_int() const { return get_as<int64_t>(*this, bits_, "an integer of 64 bits"); }
uint64_t JsonValue::as_uint() const { return get_as<uint64_t>(*this, bits_, "an integer of at least 0"); }
double JsonValue::as_double() const { return get_as<double>(*this, bits_, "a number"); }
std::string_view JsonValue::as_string() const { return get_as<std::string_view>(*this, bits_, "a string"); }
JsonArray JsonValue::as_array() const { return {source_, to_bits(get_as<dom::array>(*this, bits_, "an array"))}; }
JsonObject JsonValue::as_object() const { return {source_, to_bits(get_as<dom::object>(*this, bits_, "an object"))}; }

std::optional<JsonValue> JsonValue::find(std::string_view key) const {
  const auto object = get_as<dom::object>(*this, bits_, "an object");
  dom::element found;
  if (object.at_key(key).get(found) != simdjson::SUCCESS) return std::nullopt;
  return JsonValue(source_, to_bits(found));
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

void JsonValue::fail(std::string_view message) const { throw FormatError(fmt::format("{}: {}: {}", source_->name, place(), message)); }

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
  return {it.key(), JsonValue(source_, to_bits(it.value()))};
}
JsonObject::Iterator& JsonObject::Iterator::operator++() {
  auto it = from_bits<dom::object::iterator>(bits_);
  bits_ = to_bits(++it);
  return *this;
}
JsonObject::Iterator JsonObject::begin() const { return {source_, to_bits(from_bits<dom::object>(bits_).begin())}; }
JsonObject::Iterator JsonObject::end() const { return {source_, to_bits(from_bits<dom::object>(bits_).end())}; }

JsonDocument JsonDocument::parse(std::string_view text, std::string name, size_t max_depth) {
  auto source = std::make_unique<JsonSource>();
  source->name = std::move(name);
  dom::element root;
  simdjson::error_code error = source->parser.allocate(text.size() + 1, max_depth);
  if (error == simdjson::SUCCESS) error = source->parser.parse(text.data(), text.size(), true).get(root);
  if (error == simdjson::MEMALLOC) throw OutOfMemory(fmt::format("{}: no memory to parse {}", source->name, human_bytes(text.size())));
  if (error == simdjson::DEPTH_ERROR) {
    throw FormatError(fmt::format("{}: valid JSON of at most {} levels expected", source->name, max_depth));
  }
  if (error != simdjson::SUCCESS) {
    throw FormatError(fmt::format("{}: valid JSON expected: {}", source->name, simdjson::error_message(error)));
  }
  source->root = to_bits(root);
  return JsonDocument(std::move(source));
}

JsonDocument JsonDocument::read(const std::string& path, size_t max_bytes) { return parse(read_file(path, max_bytes), path); }

JsonDocument::JsonDocument(std::unique_ptr<JsonSource> source) : source_(std::move(source)) {}
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;
JsonDocument::~JsonDocument() = default;
JsonValue JsonDocument::root() const { return {source_.get(), source_->root}; }
const std::string& JsonDocument::name() const { return source_->name; }

}  // namespace lazuli
