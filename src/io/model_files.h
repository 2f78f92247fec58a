// Defines require_model_file, which knows what stands where a model's file is missing, and says what to do.
#pragma once

#include <string>
#include <string_view>

namespace lazuli {

/// The path of file `name` in `folder`. Throws IoError when it is not there, which says what is there instead and what to do next: a name
/// of the Hugging Face hub, a file in the place of the folder, the folder above or below, a folder of the hub's cache, an adapter in the
/// place of a model or the other way round, a download that was not finished, weights or a tokenizer of another kind.
std::string require_model_file(const std::string& folder, std::string_view name);

}  // namespace lazuli
