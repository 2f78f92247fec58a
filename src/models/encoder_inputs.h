// Declares the checks of what an encoder is given.
#pragma once

#include "lazuli/encoder.h"

namespace lazuli {

/// Throws ShapeError and DTypeError as Encoder::hidden says.
void check_inputs(const EncoderInputs& inputs, const ModelInfo& info);

/// Throws ShapeError as Encoder::hidden_packed says.
void check_packed(const PackedInputs& inputs, const ModelInfo& info);

}  // namespace lazuli
