// Defines the version that the program reports.
#pragma once

namespace lazuli::cli {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace lazuli::cli
