// Defines QuantizedWeight, the tensors of a weight that is stored in a format of a few bits.
#pragma once

#include <cstdint>
#include <vector>

#include "lazuli/quant_format.h"
#include "lazuli/tensor.h"

namespace lazuli {

/// A weight (rows, columns) as its format stores it.
struct QuantizedWeight {
  QuantFormatId format = QuantFormatId::int8;  ///< not `none`
  int64_t rows = 0;                            ///< outputs
  int64_t columns = 0;                         ///< inputs
  std::vector<Tensor> parts;                   ///< what parts_of lists; an optional one may be undefined
  ///@{
  /// The first two parts; a format of blocks has only the first.
  const Tensor& values() const { return parts.at(0); }
  const Tensor& scales() const { return parts.at(1); }
  ///@}
};

}  // namespace lazuli
