// Implements the checks of what an encoder is given.
#include "models/encoder_inputs.h"

#include <fmt/format.h>

#include "lazuli/error.h"

namespace lazuli {

LazyTensor Encoder::hidden_packed(const PackedInputs&) const {
  throw ValueError(fmt::format("[{}] padded texts are expected: this architecture does not take packed ones", info_.architecture));
}

void check_inputs(const EncoderInputs& inputs, const ModelInfo& info) {
  const Shape& shape = inputs.ids.shape();
  if (shape.rank() != 2 || inputs.mask.shape() != shape) {
    throw ShapeError(fmt::format("[{}] ids and mask (batch, tokens) are expected, got {} and {}", info.architecture, to_string(shape),
                                 to_string(inputs.mask.shape())));
  }
  if (inputs.types.defined() && inputs.types.shape() != shape) {
    throw ShapeError(fmt::format("[{}] types of the shape of ids {} are expected, got {}", info.architecture, to_string(shape),
                                 to_string(inputs.types.shape())));
  }
  if (inputs.mask.dtype() != DType::boolean) {
    throw DTypeError(fmt::format("[{}] a bool mask is expected, got {}", info.architecture, name_of(inputs.mask.dtype())));
  }
  if (shape[1] > info.context) {
    throw ShapeError(fmt::format("[{}] at most {} tokens are expected, got {}", info.architecture, info.context, shape[1]));
  }
}

void check_packed(const PackedInputs& inputs, const ModelInfo& info) {
  const Shape& shape = inputs.ids.shape();
  if (shape.rank() == 1 && inputs.positions.shape() == shape && inputs.starts.rank() == 1) return;
  throw ShapeError(fmt::format("[{}] ids and positions (tokens) and starts (texts + 1) are expected, got {}, {} and {}", info.architecture,
                               to_string(shape), to_string(inputs.positions.shape()), to_string(inputs.starts.shape())));
}

}  // namespace lazuli
