// Defines Modules, what a folder of sentence-transformers does with a text before its encoder and with the states after it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "embed/pooling.h"
#include "io/model_folder.h"
#include "lazuli/embed.h"
#include "lazuli/encoder.h"
#include "lazuli/nn.h"

namespace lazuli {

/// One step from vectors (batch, in) to vectors (batch, out), f32.
class VectorModule {
 public:
  virtual ~VectorModule() = default;
  virtual LazyTensor forward(const LazyTensor& x) const = 0;
};

struct Modules {
  std::shared_ptr<const Encoder> encoder;
  Pooling pooling;
  std::vector<std::unique_ptr<const VectorModule>> after;
  int64_t dimensions = 0;
  int64_t max_seq_length = 0;
  bool lower_case = false;
  Similarity similarity = Similarity::cosine;
  std::map<std::string, std::string> prompts;
  std::string default_prompt;  ///< its name; empty: none

  /// Throws IoError, and FormatError naming the file and what was expected.
  static Modules read(ModelFolder& folder, DType dtype, Quantization quantization);
};

/// As EmbeddingModel::load, from a folder that is open.
std::shared_ptr<const EmbeddingModel> load_embedding_model(ModelFolder& folder, DType dtype, Quantization quantization);

}  // namespace lazuli
