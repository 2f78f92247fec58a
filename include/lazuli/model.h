// Defines LanguageModel, a decoder-only transformer, and how one is loaded from a folder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lazuli/adapter.h"
#include "lazuli/dtype.h"
#include "lazuli/lazy_tensor.h"
#include "lazuli/quantize.h"

namespace lazuli {

/// Sizes and names of a model.
struct ModelInfo {
  std::string architecture;                        ///< `model_type` of config.json
  std::string path;                                ///< the folder it came from
  DType dtype = DType::f32;                        ///< dtype of weights and activations
  Quantization quantization = Quantization::none;  ///< how the weights of linear layers and the embedding are quantised
  int64_t vocab_size = 0;                          ///< number of logits per token
  int64_t context = 0;                             ///< positions of the model's context; 0: not known
  int64_t hidden_size = 0;                         ///< elements of a state
  int64_t layers = 0;                              ///< transformer blocks
  int64_t kv_heads = 0;                            ///< heads of keys and values
  int64_t head_size = 0;                           ///< elements of a key
  int64_t parameters = 0;                          ///< elements of all weights
  std::vector<int64_t> eos_token_ids;              ///< tokens that end a text
  std::vector<int64_t> media_tokens;               ///< tokens that stand for images, videos or sound, which no text here may have
};

/// The kind of state that a layer keeps of earlier tokens.
enum class StateKind : uint8_t {
  attention,  ///< keys and values of all positions, or of those that its window can still show
  shared,     ///< no state of its own: it reads the keys and values of an earlier layer
  recurrent,  ///< tensors of a fixed size, which every token replaces
};

/// The layout of the state that a layer keeps of one text between runs.
struct LayerState {
  StateKind kind = StateKind::attention;  ///< kind of the state
  int64_t kv_heads = 0;                   ///< heads of keys and values
  int64_t key_size = 0;                   ///< elements of a key
  int64_t value_size = 0;                 ///< elements of a value
  int64_t window = 0;                     ///< positions up to its own that a query sees; 0: all
  std::vector<TensorSpec> tensors = {};   ///< tensors of a recurrent layer, without an axis for texts; zeros before the first token
};

/// The states of all layers, as one recording of a forward pass reads them. The pass donates the tensors and replaces them by the updated
/// ones.
struct DecodingState {
  /// The state of one layer.
  struct Layer {
    std::vector<LazyTensor> tensors;  ///< keys and values, each (batch, kv_heads, capacity, size); or (batch, ...) of a recurrent layer
    LazyTensor start = {};            ///< i32 like the offset: position of the first key; 0 if not defined
  };
  std::vector<Layer> layers;  ///< one for each layer of the model; empty for shared states
  int64_t positions = 0;      ///< number of positions that tokens may have
  LazyTensor count = {};  ///< i32 like the offset: tokens of a row before its padding, which changes no recurrent tensor; all if undefined
};

/// The inputs of one recording of a forward pass.
struct ForwardContext {
  LazyTensor ids;                           ///< (batch, tokens) i32
  LazyTensor offset;                        ///< i32, rank 0 or (batch): position of the first token; 0 if not defined
  DecodingState* state = nullptr;           ///< null: no state is kept
  const AdapterContext* adapter = nullptr;  ///< null: the model alone
  LazyTensor mask = {};                     ///< (batch, tokens) bool: the tokens that are seen from both sides; all if not defined
};

/// The base of decoders and encoders: weights, sizes and names. A model is immutable, so any threads may record with it.
class TransformerModel {
 public:
  virtual ~TransformerModel() = default;
  /// Sizes and names.
  const ModelInfo& info() const { return info_; }
  /// The linear layers that an adapter can change, which excludes the output layer.
  std::span<const LinearInfo> linears() const { return linears_; }

 protected:
  ModelInfo info_;                   ///< set by the architecture
  std::vector<LinearInfo> linears_;  ///< set by the architecture
};

/// A model that continues texts.
class LanguageModel : public TransformerModel {
 public:
  /// Records the states after the last norm, (batch, tokens, hidden_size). Tokens attend to the tokens before them in the same row. With a
  /// decoding state they also attend to the first `offset` tokens of the text, and the state of the layers is updated.
  virtual LazyTensor hidden(ForwardContext& context) const = 0;
  /// Whether tokens attend to the tokens on both sides of them, those of `mask`. Such a model makes embeddings and no text.
  virtual bool bidirectional() const { return false; }
  /// Returns the layout of the state that each layer keeps between runs.
  virtual std::vector<LayerState> states() const = 0;
  /// Records logits of states: (..., hidden_size) -> (..., vocab_size).
  virtual LazyTensor logits(const LazyTensor& hidden) const = 0;
  /// Records logits for the loss of a training. They are a product of floats even where weights are integers. With the loss fused, such
  /// logits are never completely in memory.
  virtual LazyTensor loss_logits(const LazyTensor& hidden) const { return logits(hidden); }
  /// Records logits of ids: (batch, tokens) -> (batch, tokens, vocab_size).
  LazyTensor forward(ForwardContext& context) const { return logits(hidden(context)); }
};

/// Loads a folder with `config.json` and safetensors files. Of a model of images or sound and text the text part is loaded, and a notice
/// says what is left out. Weights are memory-mapped if the file has `dtype`, and converted once
/// otherwise. With a quantization, weights are quantised one by one while they are read. `dtype` is then that of activations and of all
/// other weights. Throws IoError. Throws FormatError naming the file, the key or tensor and what was expected.
std::shared_ptr<const LanguageModel> load_model(const std::string& folder, DType dtype = DType::f32,
                                                Quantization quantization = Quantization::none);

/// Returns the architectures that are built in, by `model_type`.
std::vector<std::string> architectures();

}  // namespace lazuli
