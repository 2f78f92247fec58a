// Defines RerankModel, a cross-encoder that reads a query and a text together, and Reranker, which scores many texts for one query.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lazuli/adapter.h"
#include "lazuli/lazy_tensor.h"
#include "lazuli/model.h"

namespace lazuli {

/// The ids of a query and a text as one row, cut to the model's maximum length.
struct PairTokens {
  std::vector<int32_t> ids;    ///< special tokens included
  std::vector<int32_t> types;  ///< the kind of each id: 0, or 1 for the second text where the tokenizer says so
  int64_t cut = 0;             ///< how many ids were cut off
};

/// Pairs of one batch, padded at the end to the same length.
struct PairBatch {
  Tensor ids;    ///< (rows, tokens) i32
  Tensor types;  ///< (rows, tokens) i32
  Tensor mask;   ///< (rows, tokens) bool: where a pair has a token
  Tensor last;   ///< (rows) i32: the place of each row's last token among all rows * tokens
};

/// The recorded inputs of one forward pass, which are those of a PairBatch.
struct PairInputs {
  LazyTensor ids;                           ///< (rows, tokens) i32
  LazyTensor types;                         ///< (rows, tokens) i32
  LazyTensor mask;                          ///< (rows, tokens) bool
  LazyTensor last;                          ///< (rows) i32
  const AdapterContext* adapter = nullptr;  ///< null: the model alone
};

/// A head for a folder that has none, as one is trained.
struct NewHead {
  int64_t labels = 0;  ///< its labels; 0: the folder must have a head
  uint64_t seed = 0;   ///< of its random numbers, whose deviation is `initializer_range`
};

/// A cross-encoder: an encoder with a classification head, or a decoder that answers yes or no (Qwen3-Reranker). Immutable.
class RerankModel {
 public:
  /// Reads a folder as CrossEncoder of sentence-transformers does, with its activation, maximum length and prompts. Throws IoError. Throws
  /// FormatError for architectures and modules that are not supported, and names them.
  static std::shared_ptr<const RerankModel> load(const std::string& path, DType dtype = DType::f32,
                                                 Quantization quantization = Quantization::none, const NewHead& head = {});
  virtual ~RerankModel() = default;

  /// Sizes and names of the transformer.
  virtual const ModelInfo& info() const = 0;
  /// The linear layers that an adapter can change.
  virtual std::span<const LinearInfo> linears() const = 0;
  /// The numbers that the head gives for a pair.
  virtual int64_t labels() const = 0;
  /// The names of the labels, by id2label of config.json; none of a decoder.
  virtual std::span<const std::string> label_names() const { return {}; }
  /// The tensors of the head, which an adapter may replace whole; none of a decoder.
  virtual std::span<const WholeTensor> head() const { return {}; }
  /// Whether the head is a new one, which knows nothing until an adapter replaces it.
  virtual bool has_new_head() const { return false; }
  /// The most tokens of a pair, special tokens included.
  virtual int64_t max_length() const = 0;
  /// The prompt of that name. An empty name gives the default prompt, or an empty one. Throws ValueError naming the prompts that exist.
  virtual const std::string& prompt(const std::string& name) const = 0;
  /// Returns the ids of a pair, the longer text cut first. `prompt` is put before the query; of a decoder it is the instruction. They are
  /// cut to `most` tokens, or to max_length if that is less or `most` is 0.
  virtual PairTokens tokenize(std::string_view query, std::string_view text, const std::string& prompt = {}, int64_t most = 0) const = 0;
  /// Returns the ids of one text alone, as classification has it. Throws ValueError if the model takes pairs only.
  virtual PairTokens tokenize_text(std::string_view text, int64_t most = 0) const = 0;
  /// Records the head's numbers before the activation: (rows, labels) f32.
  virtual LazyTensor logits(const PairInputs& inputs) const = 0;
  /// Records the scores of logits, of the same shape.
  virtual LazyTensor scores(const LazyTensor& logits) const = 0;
  /// Records the probabilities of the labels, of the same shape: they sum to 1, or each is of its own where `problem_type` says so or there
  /// is one label alone.
  virtual LazyTensor probabilities(const LazyTensor& logits) const = 0;

  /// Makes a batch of at least `rows` rows and `tokens` tokens. Rows beyond the pairs are to be ignored. Throws ValueError for ids outside
  /// the vocabulary.
  PairBatch batch(std::span<const PairTokens* const> pairs, int64_t rows, int64_t tokens) const;
};

/// What is made of a head's numbers: scores for ranking, or probabilities of labels.
enum class PairOutput : uint8_t { scores, probabilities };

/// How texts are scored.
struct RerankOptions {
  int64_t batch_size = 32;            ///< pairs that are scored at once
  std::string prompt_name;            ///< one of the model's prompts; empty: its default prompt, if it has one
  std::optional<std::string> prompt;  ///< a text to use as the prompt instead
  /// Called with the number of texts so far. Returning false ends the run.
  std::function<bool(int64_t done, int64_t total)> on_progress;
};

/// The scores of texts, with counters of the run.
struct RerankResult {
  Tensor scores;           ///< (texts, labels) f32, in the order of the texts; the larger, the more a text fits the query or the label
  int64_t tokens = 0;      ///< of all pairs, special ones included
  double seconds = 0;      ///< spent in the model
  bool cancelled = false;  ///< true: the scores are not complete
};

/// Scores texts for a query in batches of similar length. Not thread-safe.
class Reranker {
 public:
  /// Uses the model, with or without an adapter on its linear layers.
  explicit Reranker(std::shared_ptr<const RerankModel> model, std::optional<Adapter> adapter = {}, PairOutput output = PairOutput::scores);
  ~Reranker();
  /// Leaves the other empty.
  Reranker(Reranker&&) noexcept;

  /// Scores each text. Throws ValueError for a batch size below 1, an unknown prompt and ids outside the vocabulary.
  RerankResult run(std::string_view query, std::span<const std::string> texts, const RerankOptions& options = {});
  /// Scores pairs that are tokens already. No prompt is added.
  RerankResult run(std::span<const PairTokens> pairs, const RerankOptions& options = {});
  /// The model that it uses.
  const RerankModel& model() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lazuli
