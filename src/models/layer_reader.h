// Defines LayerReader, which takes the weights of a model's layers in their order and lists the linear ones.
#pragma once

#include <string>
#include <vector>

#include "lazuli/adapter.h"
#include "models/weights.h"
#include "nn/attention.h"

namespace lazuli {

struct LayerReader {
  WeightReader& weights;
  std::string stored;                ///< what names in the file begin with
  std::string listed;                ///< what PEFT's names of the same layers begin with, whatever the file's are
  std::vector<LinearInfo>& linears;  ///< grows by one with each layer

  AdaptedLinear linear(const std::string& path, int64_t out, int64_t in, bool bias, const std::string& meaning,
                       WeightRole role = WeightRole::layer) {
    const std::string name = stored + path;
    Linear layer = weights.linear(name + ".weight", bias ? name + ".bias" : "", out, in, meaning, role);
    const StoredPart& part = weights.origin(name + ".weight");
    const std::string file_name = weights.stored_name(part.name.empty() ? name + ".weight" : part.name);
    linears.push_back({weights.module_path(listed + path), in, out, true, file_name, part.row});
    return {std::move(layer), linears.size() - 1};
  }
};

}  // namespace lazuli
