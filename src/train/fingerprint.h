// Declares fingerprints of what a training reads, by which --resume tells whether it is still the same.
#pragma once

#include <string>

#include "train/batches.h"

namespace lazuli {

/// Of all examples in their order: everything that an Objective sees. Takes the time of reading them once.
std::string fingerprint_of(const Examples& examples);

/// Of the folder's configuration, and of names, dtypes, shapes and some of the bytes of every tensor, which tells models apart without
/// reading them whole. The folder's name has no part in it. Throws IoError and FormatError.
std::string fingerprint_of_model(const std::string& folder);

}  // namespace lazuli
