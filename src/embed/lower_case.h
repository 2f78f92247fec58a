// Declares the lower-casing of texts.
#pragma once

#include <string>
#include <string_view>

namespace lazuli {

/// Each character by Unicode's simple mapping. Bytes that are not UTF-8 stay as they are.
std::string to_lower_case(std::string_view text);

}  // namespace lazuli
