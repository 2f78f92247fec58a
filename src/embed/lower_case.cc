#include "embed/lower_case.h"

#include <utf8proc.h>

#include <algorithm>

namespace lazuli {

std::string to_lower_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const auto* next = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t code = 0;
    const utf8proc_ssize_t used = utf8proc_iterate(next, left, &code);
    if (used <= 0) {
      out.push_back(static_cast<char>(*next++));
      --left;
      continue;
    }
    utf8proc_uint8_t bytes[4];
    const utf8proc_ssize_t size = utf8proc_encode_char(utf8proc_tolower(code), bytes);
    out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
    next += used;
    left -= used;
  }
  return out;
}

}  // namespace lazuli
