#include "lazuli/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "lazuli/error.h"
#include "text/tokenizer/tables.h"
#include "text/tokenizer/unicode.h"

namespace lazuli {
namespace {

using tokenizer::AddedTokens;

std::string_view part_of(std::string_view text, const AddedTokens::Part& part) { return text.substr(part.begin, part.end - part.begin); }

// Cuts texts of `first` and `second` ids to `most` in all: the longer one to the other's length, then both alike.
void cut_pair(std::size_t most, std::size_t& first, std::size_t& second) {
  if (first <= most && second <= most - first) return;
  std::size_t& longer = first > second ? first : second;
  const std::size_t shorter = std::min(first, second);
  if (shorter <= most / 2) {
    longer = most - shorter;
    return;
  }
  const bool swapped = first > second;
  first = most / 2;
  second = most - most / 2;
  if (swapped) std::swap(first, second);
}

}  // namespace

std::optional<std::int32_t> Tokenizer::Tables::token_to_id(std::string_view token) const {
  if (const tokenizer::AddedToken* found = added.find(token)) return found->id;
  return std::visit([&](const auto& kind) { return kind.vocabulary().find(token); }, model);
}

std::optional<std::string_view> Tokenizer::Tables::id_to_token(std::int32_t id) const {
  if (const tokenizer::AddedToken* found = added.find(id)) return found->content;
  return std::visit([&](const auto& kind) { return kind.vocabulary().token(id); }, model);
}

std::size_t Tokenizer::Tables::room(const EncodeOptions& options, bool pair) const {
  const std::size_t added_ids = options.add_special_tokens ? post_processor.added(pair) : 0;
  if (added_ids > options.max_length) {
    throw ValueError(fmt::format("[tokenizer] max_length {} is below the {} special tokens of a text", options.max_length, added_ids));
  }
  return options.max_length - added_ids;
}

void Tokenizer::Tables::cut(std::vector<std::int32_t>& ids, std::size_t size) const {
  if (ids.size() <= size) return;
  if (cut_left) {
    ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(size));
  } else {
    ids.resize(size);
  }
}

Tokenizer::Tokenizer(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}

// Encodes texts without what the post-processor adds; keeps its memory from text to text.
class Tokenizer::TextEncoder {
 public:
  explicit TextEncoder(const Tables& tables) : tables_(tables), asks_for_start_(tables.pre_tokenizer.asks_for_start()) {}

  std::vector<std::int32_t> encode(std::string_view text, bool allow_special) {
    allow_special = allow_special && !tables_.split_special;
    ids_.clear();
    budget_ = tokenizer::MatchBudget(text.size());
    raw_parts_.clear();
    const std::string_view valid = repaired(text, valid_storage_);
    tables_.added.split_raw(valid, allow_special, raw_parts_);
    for (const AddedTokens::Part& raw : raw_parts_) {
      if (raw.id >= 0) {
        ids_.push_back(raw.id);
        continue;
      }
      bool at_start = asks_for_start_ && raw.begin == 0;
      const std::string_view normal =
          tables_.normalizer.apply(part_of(valid, raw), normal_storage_, budget_, at_start ? &at_start : nullptr);
      normal_parts_.clear();
      tables_.added.split_normalized(normal, allow_special, normal_parts_);
      for (const AddedTokens::Part& part : normal_parts_) {
        if (part.id >= 0) {
          ids_.push_back(part.id);
        } else {
          encode_plain(part_of(normal, part), at_start && part.begin == 0);
        }
      }
    }
    return std::move(ids_);
  }

 private:
  void encode_plain(std::string_view plain, bool at_start) {
    pieces_.reset(plain, at_start);
    tables_.pre_tokenizer.apply(pieces_);
    std::visit(
        [&](const auto& model) {
          for (const tokenizer::TextSpan span : pieces_.spans) {
            model.encode(pieces_.text.substr(span.begin, span.end - span.begin), scratch_, ids_);
          }
        },
        tables_.model);
  }

  const Tables& tables_;
  bool asks_for_start_;
  tokenizer::MatchBudget budget_{0};
  tokenizer::Pieces pieces_{budget_};
  tokenizer::ModelScratch scratch_;
  std::string valid_storage_;
  std::string normal_storage_;
  std::vector<AddedTokens::Part> raw_parts_;
  std::vector<AddedTokens::Part> normal_parts_;
  std::vector<std::int32_t> ids_;
};

TokenizedText Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<std::int32_t> ids = TextEncoder(*tables_).encode(text, options.allow_special);
  const std::size_t room = tables_->room(options, false);
  tables_->cut(ids, room);
  return tables_->post_processor.apply(std::move(ids), nullptr, options.add_special_tokens);
}

TokenizedText Tokenizer::encode_pair(std::string_view first, std::string_view second, const EncodeOptions& options) const {
  TextEncoder encoder(*tables_);
  std::vector<std::int32_t> first_ids = encoder.encode(first, options.allow_special);
  std::vector<std::int32_t> second_ids = encoder.encode(second, options.allow_special);
  std::size_t first_size = first_ids.size();
  std::size_t second_size = second_ids.size();
  cut_pair(tables_->room(options, true), first_size, second_size);
  tables_->cut(first_ids, first_size);
  tables_->cut(second_ids, second_size);
  return tables_->post_processor.apply(std::move(first_ids), &second_ids, options.add_special_tokens);
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool allow_special, bool add_special_tokens) const {
  return encode(text, EncodeOptions{allow_special, add_special_tokens}).ids;
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

struct Tokenizer::StreamDecoder::State {
  std::shared_ptr<const Tables> tables;
  bool skip_special;
  tokenizer::DecoderRun run;
};

Tokenizer::StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : state_(new State{tokenizer.tables_, skip_special, tokenizer::DecoderRun(tokenizer.tables_->decoder)}) {}
Tokenizer::StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;
Tokenizer::StreamDecoder& Tokenizer::StreamDecoder::operator=(StreamDecoder&&) noexcept = default;
Tokenizer::StreamDecoder::~StreamDecoder() = default;

std::string Tokenizer::StreamDecoder::feed(std::span<const std::int32_t> ids) {
  const Tables& tables = *state_->tables;
  std::string text;
  for (const std::int32_t id : ids) {
    if (const tokenizer::AddedToken* added = tables.added.find(id)) {
      if (!(added->special && state_->skip_special)) state_->run.token(added->decoded, text);
    } else if (const auto token = tables.id_to_token(id)) {
      state_->run.token(*token, text);
    }
  }
  return text;
}

std::string Tokenizer::StreamDecoder::flush() {
  std::string text;
  state_->run.finish(text);
  return text;
}

}  // namespace lazuli
