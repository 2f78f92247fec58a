// Declares fuse_adapter, which makes an adapter part of a model's weights.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace lazuli {

struct FuseReport {
  int64_t layers = 0;      ///< whose weights the adapter changed
  int64_t tensors = 0;     ///< written in all
  uint64_t bytes = 0;      ///< of their data
  bool cancelled = false;  ///< nothing was written then
};

/// Called between tensors; false ends the work, and nothing is left of it.
using FuseProgress = std::function<bool(int64_t done, int64_t layers)>;

/// Writes the folder `save_path`: the weights of a language model or encoder in their own dtype and division into files, with scale * b a
/// added to every layer that the adapter changes (computed in f32, rounded once), and the other files and modules that belong to a model as
/// they are. The folder appears complete or not at all. Throws IoError and FormatError.
FuseReport fuse_adapter(const std::string& model, const std::string& adapter, const std::string& save_path, const FuseProgress& progress);

}  // namespace lazuli
