#include "lazuli/tokenizer.h"

#include <utility>

#include "io/tokenizer/tables.h"
#include "io/tokenizer/unicode.h"

namespace lazuli {
namespace {

using tokenizer::AddedTokens;

// What one call of encode works with.
struct EncodeRun {
  tokenizer::Pieces pieces;
  tokenizer::Bpe::Scratch model;
  std::string normal_storage;
  std::vector<AddedTokens::Part> raw_parts;
  std::vector<AddedTokens::Part> normal_parts;
  std::vector<std::int32_t> ids;
};

std::string_view part_of(std::string_view text, const AddedTokens::Part& part) { return text.substr(part.begin, part.end - part.begin); }

}  // namespace

std::optional<std::int32_t> Tokenizer::Tables::token_to_id(std::string_view token) const {
  if (const tokenizer::AddedToken* found = added.find(token)) return found->id;
  return std::visit([&](const auto& kind) { return kind.vocabulary().find(token); }, model);
}

std::optional<std::string_view> Tokenizer::Tables::id_to_token(std::int32_t id) const {
  if (const tokenizer::AddedToken* found = added.find(id)) return found->content;
  return std::visit([&](const auto& kind) { return kind.vocabulary().token(id); }, model);
}

Tokenizer::Tokenizer(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool allow_special, bool add_special_tokens) const {
  const Tables& t = *tables_;
  EncodeRun run;
  std::string valid_storage;
  const std::string_view valid = tokenizer::repaired(text, valid_storage);
  const auto encode_plain = [&](std::string_view plain) {
    run.pieces.reset(plain);
    t.pre_tokenizer.apply(run.pieces);
    for (const tokenizer::TextSpan span : run.pieces.spans) {
      const std::string_view piece = run.pieces.text.substr(span.begin, span.end - span.begin);
      std::visit([&](const auto& kind) { kind.encode(piece, run.model, run.ids); }, t.model);
    }
  };
  t.added.split_raw(valid, allow_special, run.raw_parts);
  for (const AddedTokens::Part& raw : run.raw_parts) {
    if (raw.id >= 0) {
      run.ids.push_back(raw.id);
      continue;
    }
    const std::string_view normal = t.normalizer.apply(part_of(valid, raw), run.normal_storage);
    run.normal_parts.clear();
    t.added.split_normalized(normal, allow_special, run.normal_parts);
    for (const AddedTokens::Part& part : run.normal_parts) {
      if (part.id >= 0) {
        run.ids.push_back(part.id);
      } else {
        encode_plain(part_of(normal, part));
      }
    }
  }
  return add_special_tokens ? t.post_processor.apply(std::move(run.ids)) : std::move(run.ids);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  StreamDecoder stream(*this, skip_special);
  std::string text = stream.feed(ids);
  text += stream.flush();
  return text;
}

std::int32_t Tokenizer::vocab_size() const { return tables_->vocab_size; }
std::optional<std::int32_t> Tokenizer::token_to_id(std::string_view token) const { return tables_->token_to_id(token); }
std::optional<std::string_view> Tokenizer::id_to_token(std::int32_t id) const { return tables_->id_to_token(id); }

bool Tokenizer::is_special(std::int32_t id) const {
  const tokenizer::AddedToken* token = tables_->added.find(id);
  return token != nullptr && token->special;
}

std::optional<std::int32_t> Tokenizer::bos_id() const { return tables_->bos; }
std::optional<std::int32_t> Tokenizer::pad_id() const { return tables_->pad; }
std::optional<std::int32_t> Tokenizer::eos_id() const { return tables_->eos.empty() ? std::nullopt : std::optional(tables_->eos.front()); }
const std::vector<std::int32_t>& Tokenizer::eos_ids() const { return tables_->eos; }

Tokenizer::StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tables_(tokenizer.tables_), skip_special_(skip_special) {}

std::string Tokenizer::StreamDecoder::feed(std::span<const std::int32_t> ids) {
  for (const std::int32_t id : ids) {
    const auto token = tables_->id_to_token(id);
    if (!token) continue;
    const tokenizer::AddedToken* added = skip_special_ ? tables_->added.find(id) : nullptr;
    if (added != nullptr && added->special) continue;
    tables_->decoder.append(*token, first_, incomplete_);
    first_ = false;
  }
  std::string text;
  const std::size_t left = tokenizer::append_repaired(incomplete_, text);
  incomplete_.erase(0, incomplete_.size() - left);
  return text;
}

std::string Tokenizer::StreamDecoder::flush() {
  std::string text;
  if (!incomplete_.empty()) tokenizer::append_utf8(text, U'\uFFFD');
  incomplete_.clear();
  first_ = true;
  return text;
}

}  // namespace lazuli
