// Implements the loading of AnyModel.
#include "embed/any_model.h"

#include "models/model_folder.h"

namespace lazuli {

AnyModel AnyModel::load(const std::string& folder, DType dtype, Quantization quantization) {
  if (holds_encoder(folder)) return {EmbeddingModel::load(folder, dtype, quantization)};
  return {load_model(folder, dtype, quantization)};
}

}  // namespace lazuli
