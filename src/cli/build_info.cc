// The versions of the program and of what it is built from. LAZULI_VERSION and LAZULI_BUILD_TYPE come from CMake.
#include "cli/build_info.h"

#include <fmt/format.h>
#include <hwy/highway.h>
#include <simdjson.h>
#include <utf8proc.h>

#include <CLI/Version.hpp>
#include <array>
#include <oneapi/dnnl/dnnl.hpp>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace lazuli::cli {

namespace {

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "g++ " __VERSION__;
#else
  return "unknown";
#endif
}

std::string pcre2_version() {
  std::array<char, 64> text{};
  if (pcre2_config(PCRE2_CONFIG_VERSION, nullptr) >= static_cast<int>(text.size())) return {};
  pcre2_config(PCRE2_CONFIG_VERSION, text.data());
  const std::string all = text.data();  // with the date behind it
  return all.substr(0, all.find(' '));
}

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

}  // namespace

BuildInfo build_info() {
  BuildInfo info;
  info.version = LAZULI_VERSION;
  info.build_type = LAZULI_BUILD_TYPE;
  info.compiler = trimmed(compiler());
  const dnnl_version_t* dnnl = dnnl_version();
  info.libraries = {
      {"oneDNN", fmt::format("{}.{}.{}", dnnl->major, dnnl->minor, dnnl->patch)},
      {"highway", fmt::format("{}.{}.{}", HWY_MAJOR, HWY_MINOR, HWY_PATCH)},
      {"simdjson", fmt::format("{}.{}.{}", int{simdjson::SIMDJSON_VERSION_MAJOR}, int{simdjson::SIMDJSON_VERSION_MINOR},
                               int{simdjson::SIMDJSON_VERSION_REVISION})},
      {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
      {"CLI11", CLI11_VERSION},
      {"utf8proc", utf8proc_version()},
      {"pcre2", pcre2_version()},
  };
  return info;
}

std::string version_text() {
  const BuildInfo info = build_info();
  std::string text = fmt::format("lazuli {}\nbuild: {}, {}\nlibraries:", info.version, info.build_type, info.compiler);
  for (size_t k = 0; k < info.libraries.size(); ++k) {
    text += fmt::format("{} {} {}", k == 0 ? "" : ",", info.libraries[k].first, info.libraries[k].second);
  }
  return text;
}

}  // namespace lazuli::cli
