// Defines WholeModel: a model of real sizes whose weights, adapters and token ids are formulas, and what transformers and PEFT compute with
// it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "lazuli/adapter.h"
#include "lazuli/quantize.h"
#include "lazuli/safetensors.h"
#include "lazuli/tensor.h"
#include "support/temp_folder.h"

namespace lazuli::test {

/// Sum of numbers made of each byte and its place, as checksum() of tests/data/whole_model_numbers.py.
uint32_t checksum_of(std::span<const std::byte> bytes);
/// The same of a contiguous tensor's data.
uint32_t checksum_of(const Tensor& tensor);

/// How far values are from the right ones.
struct Distance {
  double rms = 0;            ///< of one value
  double largest = 0;        ///< of one value
  double largest_block = 0;  ///< of the sum, with signs, over a block of values, divided by the square root of their number
};

/// Rank of the adapter (0: none) and the lengths of the texts that are tried with it.
struct WholeModelTexts {
  int64_t rank;
  std::vector<int64_t> lengths;
};

/// A prompt and what greedy decoding makes of it.
struct WholeModelPrompt {
  int64_t rank;
  std::vector<int32_t> ids, tokens;
};

/// Writes the model into a folder of its own, which goes away with the object.
class WholeModel {
 public:
  /// llama, qwen2 or bert: a name of tests/data/whole-models.
  explicit WholeModel(const std::string& kind);

  std::string folder() const { return folder_.path(); }
  JsonValue expected() const { return document_.root(); }
  /// Each weight as it is in the file, bf16.
  std::vector<Tensor> weights() const;
  /// The adapter of that rank on all linear layers.
  Adapter adapter(std::span<const LinearInfo> layers, int64_t rank) const;
  std::vector<WholeModelTexts> texts() const;
  std::vector<int32_t> text(int64_t rank, int64_t length) const;
  std::vector<WholeModelPrompt> prompts(Quantization quantization) const;
  /// The ids of a batch of training, (batch, tokens + 1).
  Tensor batch(int64_t step) const;

  /// Of a text's logits (tokens, vocabulary), or its vector, from the right ones for weights rounded like that.
  Distance distance(Quantization quantization, int64_t rank, int64_t length, std::span<const float> values) const;
  /// What PyTorch is off by there. `run`: f32, bf16, ... as RUNS of tests/data/make_whole_models.py.
  Distance torch_distance(const std::string& run, int64_t rank, int64_t length) const;
  /// Root mean square of how far one number of a trained adapter is from the right one.
  double factor_distance(Quantization quantization, const Adapter& trained) const;

 private:
  std::vector<float> stored(const std::string& name) const;
  std::vector<int32_t> ids(const std::string& name, int64_t count) const;

  std::string kind_;
  JsonDocument document_;
  SafetensorsFile values_;
  int64_t vocabulary_;
  TempFolder folder_;
};

}  // namespace lazuli::test
