// Defines refuse_download_fault, which knows the files that downloads leave in the place of others.
#pragma once

#include <string>
#include <string_view>

namespace lazuli {

/// Throws FormatError that says what to do when a file that begins with `start` is a Git LFS pointer or a page of HTML, which downloads
/// leave in the place of a file.
void refuse_download_fault(const std::string& path, std::string_view start);

}  // namespace lazuli
