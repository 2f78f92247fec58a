// Defines the buffer of a file mapped into memory.
#pragma once

#include <string>

#include "lazuli/tensor.h"

namespace lazuli {

/// Maps the whole file. Writes to the memory stay private to this process. Throws IoError.
BufferRef map_file(const std::string& path);

}  // namespace lazuli
