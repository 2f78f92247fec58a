// Defines the parsing and checking of a safetensors header.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>

#include "lazuli/safetensors.h"

namespace lazuli {

struct SafetensorsHeader {
  std::map<std::string, TensorInfo, std::less<>> tensors;
  std::map<std::string, std::string> metadata;
};

/// Checks the whole layout of a file with these bytes; `path` is for the errors. Throws FormatError.
SafetensorsHeader parse_safetensors_header(const std::string& path, std::span<const std::byte> file);

}  // namespace lazuli
