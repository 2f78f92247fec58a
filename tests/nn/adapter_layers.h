// Defines layers for adapters to choose from, and settings that choose.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lazuli/adapter.h"

namespace lazuli {

inline const std::vector<LinearInfo> kLayers = {{"model.layers.0.self_attn.q_proj", 8, 8},
                                                {"model.layers.0.mlp.up_proj", 8, 12},
                                                {"model.layers.1.self_attn.q_proj", 8, 8},
                                                {"model.layers.1.mlp.up_proj", 8, 12}};

inline LoRAConfig targets(std::vector<std::string> names) {
  LoRAConfig c;
  c.rank = 2;
  c.target_modules = std::move(names);
  return c;
}

}  // namespace lazuli
