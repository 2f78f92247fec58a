// Defines SentencePieceModel, what a file of sentencepiece (`tokenizer.model`, `sentencepiece.bpe.model`) says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lazuli::tokenizer {

struct SentencePiece {
  enum class Type { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

  std::string_view text;
  float score = 0;
  Type type = Type::normal;
};

/// The parts of sentencepiece's ModelProto that encoding needs; texts are views of the file's bytes.
struct SentencePieceModel {
  enum class Kind { unigram = 1, bpe = 2 };

  /// By id; texts are UTF-8 and not empty, scores finite.
  std::vector<SentencePiece> pieces;

  // Its trainer_spec.
  Kind kind = Kind::unigram;
  bool byte_fallback = false;
  std::int32_t unknown_id = 0, bos_id = 1, eos_id = 2;  ///< negative for none
  std::string unknown_piece = "<unk>", bos_piece = "<s>", eos_piece = "</s>";

  // Its normalizer_spec.
  std::string_view precompiled_charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

/// Reads a file's bytes, which must outlive the result. Throws FormatError, without the file's name, for what is no ModelProto and for
/// models that are neither BPE nor unigram.
SentencePieceModel read_sentence_piece(std::string_view bytes);

}  // namespace lazuli::tokenizer
