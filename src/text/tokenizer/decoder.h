// Defines Decoder, the steps that turn tokens back into text, and DecoderRun, one run of them over tokens as they arrive.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/tokenizer/normalizer.h"

namespace lazuli::tokenizer {

class DecoderOutput;

/// What a step keeps between tokens.
struct DecoderMemory {
  std::size_t tokens = 0;
  std::string held;
  std::string buffer;
  // Of the token that is being read in parts.
  std::string token;
  std::size_t stripped = 0;
  bool begun = false;
};

// A step's `token` receives one token whole; `finish` is called after the last. Steps that have `part` and `end` receive tokens in parts
// instead, so that a token made of many can be passed on before it ends.

/// Joins tokens by spaces: what files without a decoder mean.
struct SpacedDecoder {
  void token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const;
};

/// Tokens spelled in the byte-level alphabet become one token of valid UTF-8.
struct ByteLevelDecoder {
  void token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const;
  void finish(DecoderMemory& memory, DecoderOutput& out) const;
};

/// Runs of `<0x00>` to `<0xFF>` become the text that the bytes spell, or U+FFFD for each when they spell none.
struct ByteFallbackDecoder {
  void token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const;
  void finish(DecoderMemory& memory, DecoderOutput& out) const;
};

/// All tokens become one.
struct FuseDecoder {
  void part(std::string_view part, DecoderMemory& memory, DecoderOutput& out) const;
  void end(DecoderMemory&, DecoderOutput&) const {}
  void finish(DecoderMemory& memory, DecoderOutput& out) const;
};

/// Leaves out up to `start` characters `content` at the start of a token and up to `stop` at its end.
struct StripDecoder {
  std::string content = " ";
  std::size_t start = 0;
  std::size_t stop = 0;

  void part(std::string_view part, DecoderMemory& memory, DecoderOutput& out) const;
  void end(DecoderMemory& memory, DecoderOutput& out) const;
};

/// Puts `content` in the place of a character.
struct CharacterDecoder {
  std::string character;
  std::string content;

  void part(std::string_view part, DecoderMemory& memory, DecoderOutput& out) const;
  void end(DecoderMemory& memory, DecoderOutput& out) const;
};

/// Rewrites each token as the normaliser's step does.
struct ReplaceDecoder {
  Replace replace;

  void token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const;
};

/// Tokens with the prefix continue the word before; `cleanup` takes out spaces before punctuation and contractions.
struct WordPieceDecoder {
  std::string prefix = "##";
  bool cleanup = true;

  void token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const;
};

/// `replacement` stands for a space; the first token's go where encoding put one there.
struct MetaspaceDecoder {
  std::string replacement = "\u2581";
  bool prepended = true;

  void token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const;
};

/// `suffix` ends a word.
struct BpeDecoder {
  std::string suffix = "</w>";

  void token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const;
  void finish(DecoderMemory& memory, DecoderOutput& out) const;
};

/// Repeated tokens count once, `pad` is nothing and `delimiter` a space.
struct CtcDecoder {
  std::string pad = "<pad>";
  std::string delimiter = "|";
  bool cleanup = true;

  void token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const;
};

using DecoderStep = std::variant<SpacedDecoder, ByteLevelDecoder, ByteFallbackDecoder, FuseDecoder, StripDecoder, CharacterDecoder,
                                 ReplaceDecoder, WordPieceDecoder, MetaspaceDecoder, BpeDecoder, CtcDecoder>;
using Decoder = std::vector<DecoderStep>;

/// Appends to a text what the tokens become. The decoder must outlive it.
class DecoderRun {
 public:
  explicit DecoderRun(const Decoder& steps) : steps_(&steps), memories_(steps.size()) {}

  /// Appends what this token completes.
  void token(std::string_view token, std::string& text);
  /// Appends what is left; the run is then as new.
  void finish(std::string& text);

 private:
  friend class DecoderOutput;

  const Decoder* steps_;
  std::vector<DecoderMemory> memories_;
};

/// Where a step puts its tokens: the step after it, or the text.
class DecoderOutput {
 public:
  DecoderOutput(DecoderRun& run, std::size_t next, std::string& text) : run_(run), next_(next), text_(text) {}

  /// A token is put whole, or in parts that are then ended.
  void token(std::string_view token);
  void part(std::string_view part);
  void end();
  /// No token comes any more.
  void finish();

 private:
  template <typename F>
  bool with_step(const F& f);

  DecoderRun& run_;
  std::size_t next_;
  std::string& text_;
};

}  // namespace lazuli::tokenizer
