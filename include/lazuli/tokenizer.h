// Defines Tokenizer, which turns text into token ids and back as a Hugging Face `tokenizer.json` describes.
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

/// Ids and, for each, the segment it belongs to: 0 but for the second text of a pair, where the file says so.
struct TokenizedText {
  std::vector<std::int32_t> ids;       ///< tokens
  std::vector<std::int32_t> type_ids;  ///< segments, as many
};

/// What becomes of special tokens, and how long a text may be.
struct EncodeOptions {
  /// Special tokens spelled out in the text become their ids; otherwise they are split like any text.
  bool allow_special = true;
  /// Adds what the file's post-processor puts around a text, such as BERT's `[CLS]` and `[SEP]`.
  bool add_special_tokens = true;
  /// The most ids to give, those of the post-processor included: the text's own are cut at its end, or at its start where the files say so.
  /// Of a pair the longer text is cut first, down to the other's length, then both alike.
  std::size_t max_length = std::numeric_limits<std::size_t>::max();
};

/// What is done beside what the files say.
struct TokenizerOptions {
  /// Texts are lower-cased before the tokenizer's own steps, special tokens in them excepted, unless one of these steps does it.
  bool lower_case = false;
};

/// A BPE, WordPiece or Unigram tokenizer, equal in its ids to the `tokenizers` package.
///
/// Immutable after loading, so any threads may share one; a copy shares the tables. The `truncation` and `padding` sections of the file are
/// not applied: a caller gives EncodeOptions::max_length, and pads itself. Texts are cut at the side that the files say.
class Tokenizer {
 public:
  class StreamDecoder;

  /// Reads `tokenizer.json` from a folder, or the file itself, and what is beside it, as transformers 5 puts them together:
  /// `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` add tokens, name a class that builds the splits anew, and
  /// give the special ids; `config.json` and `generation_config.json` give ids that end a text. Throws IoError or FormatError naming the
  /// file and what was expected there.
  static Tokenizer load(const std::filesystem::path& path, const TokenizerOptions& options = {});

  /// Ids of `text`, cut to the longest allowed. Throws ValueError when the special tokens alone exceed that, and as the other `encode`
  /// does.
  TokenizedText encode(std::string_view text, const EncodeOptions& options) const;
  /// The same for two texts that the post-processor joins, such as a question and an answer.
  TokenizedText encode_pair(std::string_view first, std::string_view second, const EncodeOptions& options = {}) const;

  /// Ids of `text`. Bytes that are not UTF-8 are read as U+FFFD, one for each maximal part of a sequence, as decoders replace them.
  /// `allow_special`: special tokens spelled out in the text become their ids; otherwise they are split like any text.
  /// `add_special_tokens`: adds what the file's post-processor puts around a text, such as Llama 3's begin-of-text.
  /// Time is linear in the text but for BPE words of n symbols, which take n log n. Throws ValueError when one of the file's own
  /// expressions (other than the splits of GPT-2, Qwen2 and Llama 3, which cannot) exceeds its match limit, and when a Unigram file
  /// without an unknown token lacks a character.
  std::vector<std::int32_t> encode(std::string_view text, bool allow_special = true, bool add_special_tokens = true) const;

  /// Text of `ids`, always UTF-8: bytes that form no character become U+FFFD. Ids that the vocabulary does not have are left out.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const;

  /// One past the largest id.
  std::int32_t vocab_size() const;
  /// Tokens are spelled as in the file: a leading space is `Ġ` in byte-level vocabularies.
  std::optional<std::int32_t> token_to_id(std::string_view token) const;
  /// The view lives as long as this tokenizer or a copy of it.
  std::optional<std::string_view> id_to_token(std::int32_t id) const;
  /// Whether `decode` can skip it: an added token that the file calls special.
  bool is_special(std::int32_t id) const;

  ///@{
  /// Of the tokens that the files call `bos_token` and `pad_token`.
  std::optional<std::int32_t> bos_id() const;
  std::optional<std::int32_t> pad_id() const;
  ///@}
  /// `eos_token` of tokenizer_config.json, else the first `eos_token_id` of generation_config.json or config.json.
  std::optional<std::int32_t> eos_id() const;
  /// Every id that ends a generated text, `eos_id()` first.
  const std::vector<std::int32_t>& eos_ids() const;

 private:
  struct Tables;
  class TextEncoder;
  friend Tokenizer load_tokenizer(ModelFolder& folder, const TokenizerOptions& options, const std::string& name);
  explicit Tokenizer(std::shared_ptr<const Tables> tables);

  std::shared_ptr<const Tables> tables_;
};

/// Decodes ids as they arrive: the pieces it returns, joined, equal `decode` of all the ids. Not for several threads at once.
class Tokenizer::StreamDecoder {
 public:
  /// `skip_special` as in Tokenizer::decode.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true);
  ///@{
  /// Leaves the other empty.
  StreamDecoder(StreamDecoder&&) noexcept;
  StreamDecoder& operator=(StreamDecoder&&) noexcept;
  ///@}
  ~StreamDecoder();

  /// The text that these ids complete. What later ids may change waits: bytes of a character still incomplete, and with some decoders more,
  /// such as a run of byte tokens.
  std::string feed(std::span<const std::int32_t> ids);
  /// The same for one id.
  std::string feed(std::int32_t id) { return feed(std::span<const std::int32_t>(&id, 1)); }
  /// Ends the text and returns what waited, with U+FFFD for an incomplete character. The decoder is then as new.
  std::string flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lazuli
