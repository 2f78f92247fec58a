// Defines Tokenizer, which converts text to token ids and back as the files of a Hugging Face folder describe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lazuli {

class ModelFolder;

/// Token ids, and the segment of each. Segments are 0, except for the second text of a pair where the file says so.
struct TokenizedText {
  std::vector<std::int32_t> ids;       ///< token ids
  std::vector<std::int32_t> type_ids;  ///< segments, one for each id
};

/// How special tokens are encoded, and how long a text may be.
struct EncodeOptions {
  /// Whether special tokens spelled out in the text become their ids. Otherwise they are split like any text.
  bool allow_special = true;
  /// Whether to add the tokens that the file's post-processor puts around a text, such as BERT's `[CLS]` and `[SEP]`.
  bool add_special_tokens = true;
  /// The most ids to return, including those of the post-processor. The ids of the text are cut at its end, or at its start where the files
  /// say so. Of a pair, the longer text is cut first, down to the length of the other, and then both alike.
  std::size_t max_length = std::numeric_limits<std::size_t>::max();
};

/// Settings in addition to those of the files.
struct TokenizerOptions {
  /// Whether texts are lower-cased before the tokenizer's own steps, except special tokens in them. Nothing happens if one of the steps
  /// does it.
  bool lower_case = false;
};

/// A BPE, WordPiece or Unigram tokenizer. Its ids are equal to those of the `tokenizers` package.
///
/// It is immutable after loading, so any threads may share one. A copy shares the tables. The `truncation` and `padding` sections of the
/// file are not applied: the caller sets EncodeOptions::max_length and pads. Texts are cut at the side that the files say.
class Tokenizer {
 public:
  class StreamDecoder;

  /// Reads `tokenizer.json` from a folder, or the file itself, and the files beside it, combined as transformers 5 does.
  /// `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` add tokens, name a class that rebuilds the tokenizer, and
  /// give the special ids. `config.json` and `generation_config.json` give ids that end a text. Throws IoError or FormatError naming the
  /// file and what was expected there. Without `tokenizer.json` a vocabulary such as `tokenizer.model` or `vocab.txt` takes its place.
  static Tokenizer load(const std::filesystem::path& path, const TokenizerOptions& options = {});

  /// Returns the ids of `text`, cut to `max_length`. Throws ValueError if the special tokens alone exceed that, and as the other `encode`
  /// does.
  TokenizedText encode(std::string_view text, const EncodeOptions& options) const;
  /// Returns the ids of two texts that the post-processor joins, such as a question and an answer.
  TokenizedText encode_pair(std::string_view first, std::string_view second, const EncodeOptions& options = {}) const;

  /// Returns the ids of `text`. Bytes that are not UTF-8 are read as U+FFFD, one for each maximal part of a sequence, as decoders replace
  /// them.
  ///
  /// With `allow_special`, special tokens spelled out in the text become their ids. Otherwise they are split like any text. With
  /// `add_special_tokens`, the tokens of the file's post-processor are added, such as Llama 3's begin-of-text.
  ///
  /// The time is linear in the text, except for BPE words of n symbols, which take n log n. Throws ValueError if a regular expression of
  /// the file exceeds its match limit; the splits of GPT-2, Qwen2 and Llama 3 cannot. Throws ValueError if a Unigram file without an
  /// unknown token lacks a character.
  std::vector<std::int32_t> encode(std::string_view text, bool allow_special = true, bool add_special_tokens = true) const;

  /// Returns the text of `ids`, which is always UTF-8. Bytes that form no character become U+FFFD. Ids outside the vocabulary are skipped.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const;

  /// Returns one past the largest id.
  std::int32_t vocab_size() const;
  /// Returns the id of a token. Tokens are spelled as in the file: a leading space is `Ġ` in byte-level vocabularies.
  std::optional<std::int32_t> token_to_id(std::string_view token) const;
  /// Returns the token of an id. The view lives as long as this tokenizer or a copy of it.
  std::optional<std::string_view> id_to_token(std::int32_t id) const;
  /// Whether the id is an added token that the file calls special. `decode` can skip these.
  bool is_special(std::int32_t id) const;

  ///@{
  /// The ids of the tokens that the files call `bos_token` and `pad_token`.
  std::optional<std::int32_t> bos_id() const;
  std::optional<std::int32_t> pad_id() const;
  ///@}
  /// The id of `eos_token` of tokenizer_config.json, otherwise the first `eos_token_id` of generation_config.json or config.json.
  std::optional<std::int32_t> eos_id() const;
  /// All ids that end a generated text, `eos_id()` first.
  const std::vector<std::int32_t>& eos_ids() const;

 private:
  struct Tables;
  class TextEncoder;
  friend Tokenizer load_tokenizer(ModelFolder& folder, const TokenizerOptions& options, const std::string& name);
  explicit Tokenizer(std::shared_ptr<const Tables> tables);

  std::shared_ptr<const Tables> tables_;
};

/// Decodes ids as they arrive. The joined pieces that it returns equal `decode` of all the ids. Not thread-safe.
class Tokenizer::StreamDecoder {
 public:
  /// `skip_special` means the same as in Tokenizer::decode.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true);
  ///@{
  /// Leaves the other empty.
  StreamDecoder(StreamDecoder&&) noexcept;
  StreamDecoder& operator=(StreamDecoder&&) noexcept;
  ///@}
  ~StreamDecoder();

  /// Returns the text that these ids complete. Text that later ids may change is held back. That is bytes of an incomplete character, and
  /// with some decoders more, such as a run of byte tokens.
  std::string feed(std::span<const std::int32_t> ids);
  /// Returns the text that one id completes.
  std::string feed(std::int32_t id) { return feed(std::span<const std::int32_t>(&id, 1)); }
  /// Ends the text and returns the text held back, with U+FFFD for an incomplete character. The decoder is then as new.
  std::string flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lazuli
