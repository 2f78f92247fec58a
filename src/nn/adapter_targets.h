// Declares the choice of the layers that an adapter changes, by PEFT's rules.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "lazuli/adapter.h"

namespace lazuli {

/// What a configuration chooses among the layers of a model.
struct ChosenLayers {
  std::vector<size_t> layers;       ///< ascending; those that nothing here computes with are among them
  std::vector<std::string> absent;  ///< names that fit no layer
};

/// Throws ValueError for expressions that are none or take too long.
ChosenLayers choose_layers(const LoRAConfig& config, std::span<const LinearInfo> layers);

/// The first of the patterns that the end of a path matches decides. Throws ValueError.
template <class T>
T by_pattern(const std::vector<std::pair<std::string, T>>& patterns, const std::string& path, T otherwise);

/// Names that choose exactly these layers in PEFT, too, where every layer of the list is there: ends of paths, or whole paths where shorter
/// ones would choose more, as they would inside a model of images and text; sorted.
std::vector<std::string> targets_to_save(std::span<const LinearInfo> layers, const std::vector<size_t>& chosen);

/// The names of layers that may be asked for, for messages.
std::string known_names(std::span<const LinearInfo> layers);

}  // namespace lazuli
