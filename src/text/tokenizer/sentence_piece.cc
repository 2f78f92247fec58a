#include "text/tokenizer/sentence_piece.h"

#include <fmt/format.h>

#include <cmath>

#include "base/utf8.h"
#include "lazuli/error.h"
#include "text/tokenizer/id_merges.h"
#include "text/tokenizer/wire_reader.h"

namespace lazuli::tokenizer {
namespace {

SentencePiece read_sentence_piece_at(std::string_view message, std::size_t id) {
  SentencePiece piece;
  WireReader reader(message);
  while (const auto field = reader.next()) {
    if (field->number == 1) piece.text = field->text("piece");
    if (field->number == 2) piece.score = field->number32("score");
    if (field->number == 3) {
      const std::int32_t type = field->integer("type");
      if (type < 1 || type > 6) throw FormatError(fmt::format("piece {} has the type {}, 1 to 6 expected", id, type));
      piece.type = static_cast<SentencePiece::Type>(type);
    }
  }
  if (piece.text.empty()) throw FormatError(fmt::format("piece {} is empty", id));
  if (piece.text.size() > kMaxPieceBytes) {
    throw FormatError(fmt::format("piece {} has {} bytes, at most {} are supported", id, piece.text.size(), kMaxPieceBytes));
  }
  if (!is_utf8(piece.text)) throw FormatError(fmt::format("piece {} is not UTF-8", id));
  if (!std::isfinite(piece.score)) throw FormatError(fmt::format("the score of piece {} (\"{}\") is no finite number", id, piece.text));
  return piece;
}

std::string piece_name(const WireField& field, std::string_view name, std::string_view fallback) {
  const std::string_view text = field.text(name);
  if (!is_utf8(text)) throw FormatError(fmt::format("{} of trainer_spec is not UTF-8", name));
  return std::string(text.empty() ? fallback : text);
}

SentencePieceModel::Kind read_model_type(const WireField& field) {
  const std::int32_t kind = field.integer("model_type");
  if (kind == 1 || kind == 2) return static_cast<SentencePieceModel::Kind>(kind);
  throw FormatError(fmt::format("model_type {}{} of trainer_spec is not supported (1, unigram, and 2, BPE, are)", kind,
                                kind == 3   ? ", word,"
                                : kind == 4 ? ", char,"
                                            : ""));
}

void read_trainer_spec(std::string_view message, SentencePieceModel& model) {
  WireReader reader(message);
  while (const auto field = reader.next()) {
    switch (field->number) {
      case 3:
        model.kind = read_model_type(*field);
        break;
      case 24:
        if (field->flag("treat_whitespace_as_suffix")) {
          throw FormatError("treat_whitespace_as_suffix of trainer_spec is not supported, must be false");
        }
        break;
      case 35:
        model.byte_fallback = field->flag("byte_fallback");
        break;
      case 40:
        model.unknown_id = field->integer("unk_id");
        break;
      case 41:
        model.bos_id = field->integer("bos_id");
        break;
      case 42:
        model.eos_id = field->integer("eos_id");
        break;
      case 45:
        model.unknown_piece = piece_name(*field, "unk_piece", "<unk>");
        break;
      case 46:
        model.bos_piece = piece_name(*field, "bos_piece", "<s>");
        break;
      case 47:
        model.eos_piece = piece_name(*field, "eos_piece", "</s>");
        break;
      default:
        break;  // how it was trained
    }
  }
}

void read_normalizer_spec(std::string_view message, SentencePieceModel& model) {
  WireReader reader(message);
  while (const auto field = reader.next()) {
    if (field->number == 2) model.precompiled_charsmap = field->text("precompiled_charsmap");
    if (field->number == 3) model.add_dummy_prefix = field->flag("add_dummy_prefix");
    if (field->number == 4) model.remove_extra_whitespaces = field->flag("remove_extra_whitespaces");
    if (field->number == 5) model.escape_whitespaces = field->flag("escape_whitespaces");
  }
}

}  // namespace

SentencePieceModel read_sentence_piece(std::string_view bytes) {
  SentencePieceModel model;
  WireReader reader(bytes);
  while (const auto field = reader.next()) {
    if (field->number == 1) model.pieces.push_back(read_sentence_piece_at(field->text("pieces"), model.pieces.size()));
    if (field->number == 2) read_trainer_spec(field->text("trainer_spec"), model);
    if (field->number == 3) read_normalizer_spec(field->text("normalizer_spec"), model);
  }
  if (model.pieces.empty()) throw FormatError("a model of sentencepiece expected, this one has no pieces");
  return model;
}

}  // namespace lazuli::tokenizer
