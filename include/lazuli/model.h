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

/// What callers may ask of any model.
struct ModelInfo {
  std::string architecture;                        ///< `model_type` of config.json
  std::string path;                                ///< the folder it came from
  DType dtype = DType::f32;                        ///< of weights and activations
  Quantization quantization = Quantization::none;  ///< what became of the weights of linear layers and the embedding
  int64_t vocab_size = 0;                          ///< tokens that logits are given for
  int64_t context = 0;                             ///< positions that the model knows; 0: it does not say
  int64_t hidden_size = 0;                         ///< numbers of a state
  int64_t layers = 0;                              ///< transformer blocks
  int64_t kv_heads = 0;                            ///< heads of keys and values
  int64_t head_size = 0;                           ///< numbers of a key
  int64_t parameters = 0;                          ///< numbers in all weights
  std::vector<int64_t> eos_token_ids;              ///< tokens that end a text
};

/// How a layer keeps what it needs of earlier tokens.
enum class StateKind : uint8_t {
  attention,  ///< keys and values of all positions, or of those that its window can still show
  shared,     ///< nothing of its own: it reads the keys and values of an earlier layer
  recurrent,  ///< tensors of a fixed size, which every token replaces
};

/// What a layer keeps of one text between runs.
struct LayerState {
  StateKind kind = StateKind::attention;  ///< how it keeps it
  int64_t kv_heads = 0;                   ///< heads of keys and values
  int64_t key_size = 0;                   ///< numbers of a key
  int64_t value_size = 0;                 ///< numbers of a value
  int64_t window = 0;                     ///< positions up to its own that a query sees; 0: all
  std::vector<TensorSpec> tensors = {};   ///< of a recurrent layer, without an axis for texts; zeros before the first token
};

/// What all layers keep, as one recording of a forward pass reads it. The pass donates the tensors and puts the updated ones in their
/// place.
struct DecodingState {
  /// What one layer keeps.
  struct Layer {
    std::vector<LazyTensor> tensors;  ///< keys and values, each (batch, kv_heads, capacity, size); or (batch, ...) of a recurrent layer
    LazyTensor start = {};            ///< i32 like the offset: position of the first key; 0 where not defined
  };
  std::vector<Layer> layers;  ///< one a layer of the model; shared ones are empty
  int64_t positions = 0;      ///< that tokens may be at
  LazyTensor count = {};  ///< i32 like the offset: tokens of a row before its padding, which changes no recurrent tensor; all if undefined
};

/// What one recording of a forward pass reads.
struct ForwardContext {
  LazyTensor ids;                           ///< (batch, tokens) i32
  LazyTensor offset;                        ///< i32, rank 0 or (batch): position of the first token; 0 when not defined
  DecodingState* state = nullptr;           ///< null: nothing is kept
  const AdapterContext* adapter = nullptr;  ///< null: the model alone
};

/// What every model is, decoder or encoder: weights, sizes and names. Immutable, so any threads may record with it.
class TransformerModel {
 public:
  virtual ~TransformerModel() = default;
  /// Sizes and names.
  const ModelInfo& info() const { return info_; }
  /// The linear layers that an adapter can change; not the output layer.
  std::span<const LinearInfo> linears() const { return linears_; }

 protected:
  ModelInfo info_;                   ///< filled by the architecture
  std::vector<LinearInfo> linears_;  ///< filled by the architecture
};

/// A model that continues texts.
class LanguageModel : public TransformerModel {
 public:
  /// States after the last norm, (batch, tokens, hidden_size). Without a decoding state tokens see those before them in the same row; with
  /// one also the first `offset` tokens of the text, and what the layers keep is brought up to date.
  virtual LazyTensor hidden(ForwardContext& context) const = 0;
  /// What each layer keeps between runs.
  virtual std::vector<LayerState> states() const = 0;
  /// Logits of states: (..., hidden_size) -> (..., vocab_size).
  virtual LazyTensor logits(const LazyTensor& hidden) const = 0;
  /// The same for a training's loss, as a product of floats even where weights are integers: with their loss such logits are never in
  /// memory whole.
  virtual LazyTensor loss_logits(const LazyTensor& hidden) const { return logits(hidden); }
  /// Ids to logits: (batch, tokens) -> (batch, tokens, vocab_size).
  LazyTensor forward(ForwardContext& context) const { return logits(hidden(context)); }
};

/// Loads a folder with `config.json` and safetensors files. Weights are mapped where the file has `dtype`, and converted once where not.
/// With a quantization weights are rounded one by one while they are read, and `dtype` is that of activations and of what is not rounded.
/// Throws IoError, and FormatError naming the file, the key or tensor and what was expected.
std::shared_ptr<const LanguageModel> load_model(const std::string& folder, DType dtype = DType::f32,
                                                Quantization quantization = Quantization::none);

/// The architectures that are built in, by `model_type`.
std::vector<std::string> architectures();

}  // namespace lazuli
