// Declares how the weights of a gated delta net are read.
#pragma once

#include <memory>
#include <string>

#include "models/layer_reader.h"
#include "nn/delta_net.h"

namespace lazuli {

/// What an architecture's own file says about its layers of linear attention.
struct DeltaNetSpec {
  int64_t hidden = 0, key_heads = 0, value_heads = 0, key_size = 0, value_size = 0;
  int64_t taps = 0;      ///< of the convolution
  bool by_head = false;  ///< weights of queries, keys, values and gates are one, and those of rates and decays another, head by head
  double norm_eps = 0;
  LazyTensor (*activation)(const LazyTensor&, Where) = nullptr;
};

/// The layer at `path`.
std::shared_ptr<const GatedDeltaNet> read_delta_net(LayerReader& reader, const std::string& path, const DeltaNetSpec& spec);

}  // namespace lazuli
