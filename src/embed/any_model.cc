// Implements the loading of AnyModel.
#include "embed/any_model.h"

#include "embed/modules.h"
#include "models/module_list.h"
#include "models/registry.h"

namespace lazuli {

AnyModel AnyModel::load(const std::string& path, DType dtype, Quantization quantization) {
  ModelFolder folder(path);
  return load(folder, dtype, quantization);
}

AnyModel AnyModel::load(ModelFolder& folder, DType dtype, Quantization quantization) {
  if (holds_encoder(folder)) return {load_embedding_model(folder, dtype, quantization)};
  return {load_language_model(folder, dtype, quantization).model};
}

}  // namespace lazuli
