// Defines the reading and writing of PEFT's `adapter_config.json`.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lazuli/adapter.h"

namespace lazuli {

/// `heads`: whether the model has a head that an adapter may replace, so that `modules_to_save` and SEQ_CLS mean something. Throws IoError,
/// and FormatError for settings that are not supported, by name.
LoRAConfig read_adapter_config(const std::string& path, bool heads = false);
/// The file's text; `targets` are the names to save, sorted. Layers with a rank or alpha of their own are named by their paths.
std::string write_adapter_config(const LoRAConfig& config, const std::vector<std::string>& targets, std::span<const Adapter::Pair> pairs);

}  // namespace lazuli
