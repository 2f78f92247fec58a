// Declares as_encoder, a language model whose states make embeddings.
#pragma once

#include <memory>

#include "lazuli/encoder.h"
#include "lazuli/model.h"

namespace lazuli {

/// The model as an encoder of padded texts. Tokens attend to one side, so that padding at the end changes nothing, or to both if the model
/// says so. Its layers are named as in a model without a head.
std::shared_ptr<const Encoder> as_encoder(std::shared_ptr<const LanguageModel> model);

}  // namespace lazuli
