// Defines EmbeddingModel, an encoder with the pooling that gives one vector per text, and Embedder, which runs it over many texts.
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
  int64_t cut = 0;           ///< how many ids were cut off
};

/// Texts of one batch, padded to the same length.
struct EmbeddingBatch {
  Tensor ids;     ///< (rows, tokens) i32
  Tensor mask;    ///< (rows, tokens) bool: where a text has a token
  Tensor pooled;  ///< (rows, tokens) bool: the tokens that pooling uses
};

/// Packed texts of one batch: one after the other, without padding.
struct PackedBatch {
  Tensor ids;        ///< (tokens) i32
  Tensor positions;  ///< (tokens) i32: the position of each token in its text
  Tensor starts;     ///< (rows + 1) i32: where each text starts, and where the last one ends
  Tensor pooled;     ///< (rows, tokens) bool: the tokens that pooling uses for each text
};

/// How two vectors are compared. A larger number means closer, so distances are negated.
enum class Similarity : uint8_t { cosine, dot, euclidean, manhattan };

/// A folder in the layout of sentence-transformers: an encoder, its tokenizer, and the modules after it. Immutable.
class EmbeddingModel {
 public:
  /// Reads `modules.json` and the modules that it names: Transformer, Pooling, Dense and Normalize. A folder without it gives the mean of
  /// the states of the tokens, or the state of the last one if config.json names a class that makes text. `quantization` applies to the
  /// encoder, as load_model says. Throws IoError. Throws FormatError, also for other modules, which names the file and what was expected.
  static std::shared_ptr<const EmbeddingModel> load(const std::string& path, DType dtype = DType::f32,
                                                    Quantization quantization = Quantization::none);
  EmbeddingModel(const EmbeddingModel&) = delete;
  EmbeddingModel& operator=(const EmbeddingModel&) = delete;
  ~EmbeddingModel();

  /// The transformer.
  const Encoder& encoder() const;
  /// The tokenizer of the folder.
  const Tokenizer& tokenizer() const;
  int64_t dimensions() const;      ///< elements of a text's vector
  int64_t max_seq_length() const;  ///< the most tokens of a text, special tokens included
  /// The prompts, which are texts to put before a text, by name.
  const std::map<std::string, std::string>& prompts() const;
  /// How the model's vectors are meant to be compared.
  Similarity similarity() const;
  /// The prompt of that name. An empty name gives the default prompt, or none. Throws ValueError naming the prompts that exist.
  const std::string& prompt(const std::string& name) const;

  /// Returns the ids of `prompt` and `text` as one text. They are cut to `max_length` tokens, or to max_seq_length if that is less or
  /// `max_length` is 0. Throws ValueError as Tokenizer::encode does.
  EmbeddingTokens tokenize(std::string_view text, const std::string& prompt = {}, int64_t max_length = 0) const;
  /// Makes a padded batch of at least `rows` rows and `length` tokens. Rows beyond the texts are to be ignored.
  EmbeddingBatch batch(std::span<const EmbeddingTokens* const> texts, int64_t rows, int64_t length) const;
  /// Records the vectors of a padded batch: (rows, dimensions) f32.
  LazyTensor forward(const LazyTensor& ids, const LazyTensor& mask, const LazyTensor& pooled,
                     const AdapterContext* adapter = nullptr) const;

  /// Whether the encoder and the pooling support packed batches.
  bool packs() const;
  /// Makes a packed batch of at least `rows` rows and `tokens` tokens. Rows beyond the texts are to be ignored. Throws ValueError for ids
  /// outside the vocabulary, ShapeError for texts that are longer than the model's positions.
  PackedBatch pack(std::span<const EmbeddingTokens* const> texts, int64_t rows, int64_t tokens) const;
  /// Records the vectors of a packed batch: (rows, dimensions) f32. They have no gradient.
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
  std::string prompt_name;            ///< one of the model's prompts; empty: its default prompt, if it has one
  std::optional<std::string> prompt;  ///< a text to use as the prompt instead
  /// Called with the number of texts so far. Returning false ends the run.
  std::function<bool(int64_t done, int64_t total)> on_progress;
};

/// The vectors of texts, with counters of the run.
struct EmbedResult {
  Tensor embeddings;       ///< (texts, dimensions) f32, in the order of the texts
  int64_t tokens = 0;      ///< of all texts, special ones included
  double seconds = 0;      ///< spent in the model
  bool cancelled = false;  ///< true: the embeddings are not complete
};

/// Embeds texts in batches of similar length. Not thread-safe.
class Embedder {
 public:
  /// Uses the model, with or without an adapter on its linear layers.
  explicit Embedder(std::shared_ptr<const EmbeddingModel> model, std::optional<Adapter> adapter = {});
  ~Embedder();
  /// Leaves the other empty.
  Embedder(Embedder&&) noexcept;

  /// Embeds the texts. Throws ValueError for a batch size below 1, an unknown prompt and ids outside the vocabulary.
  EmbedResult run(std::span<const std::string> texts, const EmbedOptions& options = {});
  /// Embeds texts that are tokens already. No prompt is added.
  EmbedResult run(std::span<const EmbeddingTokens> texts, const EmbedOptions& options = {});
  /// The model that it uses.
  const EmbeddingModel& model() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Returns the first `dimensions` numbers of each vector (texts, size) f32, divided by their length if `normalize`. Throws ValueError
/// unless the vectors have that many.
Tensor truncate_vectors(const Tensor& vectors, int64_t dimensions, bool normalize = false);

/// How vectors are stored, as quantize_embeddings of sentence-transformers names it.
enum class VectorPrecision : uint8_t {
  f32,      ///< as computed
  int8,     ///< the range of each dimension in 255 steps, from -128 on
  uint8,    ///< the same from 0 on
  binary,   ///< a bit a dimension, 1 where it is above 0, the first in a byte's highest bit; bytes are stored as i8, less 128
  ubinary,  ///< the same as u8
};

/// The precision of that name. Throws ValueError listing the names.
VectorPrecision parse_vector_precision(std::string_view name);

/// Vectors as they are stored.
struct QuantizedVectors {
  Tensor values;  ///< (texts, dimensions), or (texts, bytes) for bits
  Tensor ranges;  ///< (2, dimensions) f32: where the steps of int8 and uint8 begin and end; otherwise not defined
};

/// Rounds vectors (texts, dimensions) f32. The ranges of int8 and uint8 are those of the given vectors, of which two are needed at least.
/// Throws ShapeError and DTypeError for other vectors, and ValueError for numbers that are not finite where ranges are needed.
QuantizedVectors quantize_vectors(const Tensor& vectors, VectorPrecision precision);

/// Returns the cosine of the angle between two vectors of the same size, or 0 if one of them is zero.
double cosine_similarity(std::span<const float> a, std::span<const float> b);

}  // namespace lazuli
