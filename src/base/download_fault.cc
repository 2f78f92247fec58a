#include "base/download_fault.h"

#include <fmt/format.h>

#include <algorithm>

#include "lazuli/error.h"

namespace lazuli {

namespace {

bool is_page(std::string_view start) {
  start.remove_prefix(std::min(start.find_first_not_of(" \t\r\n"), start.size()));
  return start.starts_with("<!DOCTYPE html") || start.starts_with("<!doctype html") || start.starts_with("<html");
}

}  // namespace

void refuse_download_fault(const std::string& path, std::string_view start) {
  if (start.starts_with("version https://git-lfs.github.com/spec/")) {
    throw FormatError(
        fmt::format("{}: the file itself expected, got a Git LFS pointer to it; 'git lfs pull' in its folder fetches it", path));
  }
  if (is_page(start)) {
    throw FormatError(fmt::format("{}: the file itself expected, got a page of HTML; download the raw file", path));
  }
}

}  // namespace lazuli
