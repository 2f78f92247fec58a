// Declares how sizes and counts are written for people.
#pragma once

#include <string>

namespace lazuli {

/// `31.8 MB`: decimal units, three digits.
std::string human_bytes(double bytes);
inline std::string human_bytes(size_t bytes) { return human_bytes(static_cast<double>(bytes)); }
/// `15.9 M`.
std::string human_count(double count);

}  // namespace lazuli
