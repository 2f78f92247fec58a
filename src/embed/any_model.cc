// Implements the loading of AnyModel.
#include "embed/any_model.h"

#include "models/model_folder.h"

namespace lazuli {

AnyModel AnyModel::load(const std::string& folder, DType dtype) {
  if (holds_encoder(folder)) return {EmbeddingModel::load(folder, dtype)};
  return {load_model(folder, dtype)};
}

}  // namespace lazuli
