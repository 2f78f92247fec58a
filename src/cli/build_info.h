// Declares what the program was built from.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace lazuli::cli {

struct BuildInfo {
  std::string version;  ///< the project's, from CMakeLists.txt
  std::string build_type;
  std::string compiler;
  std::vector<std::pair<std::string, std::string>> libraries;  ///< name and version; of shared ones that of the one in use
};
BuildInfo build_info();

/// What --version prints: `lazuli 0.1.0`, and what it was built from below it.
std::string version_text();

}  // namespace lazuli::cli
