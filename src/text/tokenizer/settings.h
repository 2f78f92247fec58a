// Defines Settings, what the files beside tokenizer.json make of it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "io/model_folder.h"
#include "text/tokenizer/added_tokens.h"

namespace lazuli::tokenizer {

/// The classes of transformers that build a tokenizer anew from the vocabulary and their settings, and `as_file`, which takes
/// tokenizer.json as it stands.
enum class TokenizerClass { as_file, bert, mpnet, roberta, xlm_roberta, gpt2, gpt_neox, qwen2, qwen3_5, llama, gemma };

/// Tokens of transformers' own names, in the order in which they are added.
inline constexpr std::string_view kTokenNames[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                   "pad_token", "cls_token", "mask_token"};

/// Which of its ends a text gets a token at.
struct Ends {
  bool bos = false;
  bool eos = false;
};

/// tokenizer_config.json, special_tokens_map.json and added_tokens.json in the precedence of transformers 5.
struct Settings {
  TokenizerClass kind = TokenizerClass::as_file;
  std::string class_name;  ///< for errors

  /// Tokens by name, first those of kTokenNames, then the model's own.
  std::vector<std::pair<std::string, AddedToken>> named;
  std::vector<AddedToken> extra;               ///< without names
  std::vector<AddedToken> listed;              ///< those of them that extra_special_tokens lists
  std::map<std::int64_t, AddedToken> decoder;  ///< to be added in this order; the numbers are no ids

  // Settings of classes that build anew.
  bool do_lower_case = true;
  bool tokenize_chinese_chars = true;
  std::optional<bool> strip_accents;
  std::optional<bool> add_prefix_space;
  bool legacy = false;

  bool cut_left = false;       ///< texts that are too long lose their start
  bool split_special = false;  ///< special tokens in a text are split like any text

  /// Only of folders without tokenizer.json, since that file's post-processor counts.
  std::optional<Ends> ends;
  bool says_ends = false;  ///< whether tokenizer_config.json has one of the two

  const AddedToken* find(std::string_view name) const;
};

/// Tokens that a vocabulary without tokenizer.json names itself.
struct VocabularyTokens {
  std::optional<std::vector<AddedToken>> listed;  ///< count where extra_special_tokens lists none
  std::optional<std::string> bos, eos, unknown;   ///< count where no file names one
};

/// Reads the files of `folder` beside tokenizer.json, whose content is `root`. Where there is no such file, `tokens` are those of the
/// vocabulary in its place, and `root` is an empty object. Throws IoError, and FormatError naming the file and what was expected there.
Settings read_settings(ModelFolder& folder, const JsonValue& root, const VocabularyTokens* tokens = nullptr);

/// Sets the class that AutoTokenizer of transformers takes, by tokenizer_config.json, config.json (null without) and tokenizer.json,
/// `root`; `has_file` is whether there is one. Throws FormatError for a class that builds a tokenizer in a way that is not supported.
void choose_class(Settings& settings, const JsonDocument* config, const JsonDocument* model, const JsonValue& root, bool has_file = true);

/// A token as a string, or as an object with its content and flags. `special` is what it is when the object does not say.
AddedToken read_token(const JsonValue& value, bool special);

}  // namespace lazuli::tokenizer
