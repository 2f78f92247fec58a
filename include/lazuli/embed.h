// Defines EmbeddingModel, an encoder with what turns its states into one vector a text, and Embedder, which runs it over many texts.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lazuli/adapter.h"
#include "lazuli/encoder.h"
#include "lazuli/tokenizer.h"

namespace lazuli {

class ModelFolder;

/// The ids of a text, cut to the model's maximum length.
struct EmbeddingTokens {
  std::vector<int32_t> ids;  ///< special tokens included
  int64_t prompt = 0;        ///< how many of the first ids belong to the prompt
  int64_t cut = 0;           ///< how many more the whole text would have
};

/// Texts of one batch, padded to the same length.
struct EmbeddingBatch {
  Tensor ids;     ///< (rows, tokens) i32
  Tensor mask;    ///< (rows, tokens) bool: where a text has a token
  Tensor pooled;  ///< (rows, tokens) bool: the tokens that pooling takes
};

/// Texts of one batch, one after the other.
struct PackedBatch {
  Tensor ids;        ///< (tokens) i32
  Tensor positions;  ///< (tokens) i32: of each token in its text
  Tensor starts;     ///< (rows + 1) i32: where each text starts and the last ends
  Tensor pooled;     ///< (rows, tokens) bool: the tokens that pooling takes for each text
};

/// How two vectors are compared: more is closer, so distances count as negative.
enum class Similarity : uint8_t { cosine, dot, euclidean, manhattan };

/// A folder in the layout of sentence-transformers: an encoder, its tokenizer, and the modules after it. Immutable.
class EmbeddingModel {
 public:
  /// Reads `modules.json` and what it names: Transformer, Pooling, Dense and Normalize. A folder without it gives the mean of the tokens'
  /// states. Throws IoError, and FormatError naming the file and what was expected, for other modules too. `quantization`: of
  /// the encoder, as load_model says.
  static std::shared_ptr<const EmbeddingModel> load(const std::string& path, DType dtype = DType::f32,
                                                    Quantization quantization = Quantization::none);
  EmbeddingModel(const EmbeddingModel&) = delete;
  EmbeddingModel& operator=(const EmbeddingModel&) = delete;
  ~EmbeddingModel();

  /// The transformer.
  const Encoder& encoder() const;
  /// The tokenizer of the folder.
  const Tokenizer& tokenizer() const;
  int64_t dimensions() const;      ///< of a text's vector
  int64_t max_seq_length() const;  ///< tokens of a text, special ones included
  /// Texts to put before a text, by name.
  const std::map<std::string, std::string>& prompts() const;
  /// How the model's vectors are meant to be compared.
  Similarity similarity() const;
  /// The prompt of that name; the default one, or none, for an empty name. Throws ValueError naming those that exist.
  const std::string& prompt(const std::string& name) const;

  /// The ids of `prompt` and `text` as one, cut to `max_length` tokens where that is less than max_seq_length; 0: to that. Throws
  /// ValueError as Tokenizer::encode does.
  EmbeddingTokens tokenize(std::string_view text, const std::string& prompt = {}, int64_t max_length = 0) const;
  /// At least `rows` rows (those beyond the texts are to be ignored) and `length` tokens.
  EmbeddingBatch batch(std::span<const EmbeddingTokens* const> texts, int64_t rows, int64_t length) const;
  /// Records the vectors of a batch's tensors: (rows, dimensions) f32.
  LazyTensor forward(const LazyTensor& ids, const LazyTensor& mask, const LazyTensor& pooled,
                     const AdapterContext* adapter = nullptr) const;

  /// Whether its encoder and its pooling take packed batches.
  bool packs() const;
  /// At least `rows` rows (those beyond the texts are to be ignored) and `tokens` tokens. Throws ValueError for ids outside the vocabulary,
  /// ShapeError for texts that are longer than the model's positions.
  PackedBatch pack(std::span<const EmbeddingTokens* const> texts, int64_t rows, int64_t tokens) const;
  /// Records the vectors of a packed batch's tensors: (rows, dimensions) f32. They have no gradient.
  LazyTensor forward_packed(const LazyTensor& ids, const LazyTensor& positions, const LazyTensor& starts, const LazyTensor& pooled,
                            const AdapterContext* adapter = nullptr) const;

 private:
  struct Impl;
  friend std::shared_ptr<const EmbeddingModel> load_embedding_model(ModelFolder& folder, DType dtype, Quantization quantization);
  explicit EmbeddingModel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// How texts are embedded.
struct EmbedOptions {
  int64_t batch_size = 32;            ///< texts that are embedded at once
  std::string prompt_name;            ///< one of the model's prompts; empty: its default one, if it has one
  std::optional<std::string> prompt;  ///< put before every text instead
  /// Texts so far. Returning false ends the run.
  std::function<bool(int64_t done, int64_t total)> on_progress;
};

/// The vectors of texts, and what they took.
struct EmbedResult {
  Tensor embeddings;       ///< (texts, dimensions) f32, in the order of the texts
  int64_t tokens = 0;      ///< of all texts, special ones included
  double seconds = 0;      ///< spent in the model
  bool cancelled = false;  ///< embeddings are not complete then
};

/// Embeds texts in batches of about the same length. Not for several threads at once.
class Embedder {
 public:
  /// The model, with an adapter on its linear layers or without.
  explicit Embedder(std::shared_ptr<const EmbeddingModel> model, std::optional<Adapter> adapter = {});
  ~Embedder();
  /// Leaves the other empty.
  Embedder(Embedder&&) noexcept;

  /// Throws ValueError for a batch size below 1, an unknown prompt and ids outside the vocabulary.
  EmbedResult run(std::span<const std::string> texts, const EmbedOptions& options = {});
  /// The same for texts in tokens; no prompt is added.
  EmbedResult run(std::span<const EmbeddingTokens> texts, const EmbedOptions& options = {});
  /// What it embeds with.
  const EmbeddingModel& model() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The cosine of the angle between two vectors of the same size; 0 where one is zero.
double cosine_similarity(std::span<const float> a, std::span<const float> b);

}  // namespace lazuli
