// Defines scan_json, which reads a JSON text that simdjson refuses: as Python's json reads it, or with the place where it is wrong.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lazuli {

/// A number that neither 64 bits nor a finite double hold: NaN, Infinity, -Infinity, 1e400, a longer integer.
struct OddNumber {
  size_t place;      ///< how many numbers stand before it
  std::string text;  ///< as it is written
  double value;      ///< the nearest double
};

/// A string with half of a surrogate pair, which is no character.
struct OddString {
  size_t place;      ///< how many strings stand before it, keys included
  std::string text;  ///< each half in the three bytes that UTF-8 would give its number
};

/// A text for simdjson, and what other values stand in for there.
struct JsonScan {
  std::string text;
  std::vector<OddNumber> numbers;
  std::vector<OddString> strings;
};

/// Throws FormatError "NAME: valid JSON expected: line 3, column 7: ..." where Python's json finds no JSON either, and for nesting beyond
/// `max_depth`.
JsonScan scan_json(std::string_view text, const std::string& name, size_t max_depth);

}  // namespace lazuli
