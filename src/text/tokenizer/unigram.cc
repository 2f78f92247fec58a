#include "text/tokenizer/unigram.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lazuli/error.h"
#include "text/tokenizer/unicode.h"
#include "text/tokenizer/word_cache.h"

namespace lazuli::tokenizer {
namespace {

// How much less probable an unknown character is than the least probable token.
constexpr double kUnknownPenalty = 10.0;

ByteTrie trie_of(const Vocabulary& vocabulary) {
  std::vector<std::pair<std::string_view, std::int32_t>> entries;
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
    if (const auto token = vocabulary.token(id)) entries.emplace_back(*token, id);
  }
  return ByteTrie(std::move(entries));
}

}  // namespace

Unigram::Unigram(Vocabulary vocabulary, std::vector<double> scores, std::optional<std::int32_t> unknown, bool byte_fallback)
    : vocabulary_(std::move(vocabulary)),
      scores_(std::move(scores)),
      unknown_(unknown),
      byte_fallback_(byte_fallback),
      unknown_score_((scores_.empty() ? 0 : *std::min_element(scores_.begin(), scores_.end())) - kUnknownPenalty),
      tokens_(trie_of(vocabulary_)),
      owner_(next_cache_owner()) {
  for (std::size_t b = 0; b < fallback_ids_.size(); ++b) fallback_ids_[b] = vocabulary_.find(fallback_token(b)).value_or(-1);
}

void Unigram::encode(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const {
  encode_cached(piece, owner_, scratch.tokens, out, [&] { encode_new(piece, scratch); });
}

void Unigram::find_path(std::string_view piece, std::vector<Step>& steps) const {
  steps.assign(piece.size() + 1, Step());
  const auto offer = [&](std::size_t begin, std::size_t end, double score, std::int32_t id) {
    Step& step = steps[end];
    if (step.begin == kUnreached || score > step.score) step = {score, begin, id};
  };
  for (std::size_t begin = 0; begin < piece.size();) {
    const double so_far = steps[begin].score;
    const std::size_t next = begin + code_point_at(piece, begin).length;
    bool single = false;  // whether a token is this character
    std::uint32_t node = ByteTrie::kRoot;
    for (std::size_t end = begin; end < piece.size();) {
      node = tokens_.child(node, piece[end++]);
      if (node == ByteTrie::kNone) break;
      const std::int32_t id = tokens_.value(node);
      if (id < 0) continue;
      offer(begin, end, scores_[static_cast<std::size_t>(id)] + so_far, id);
      single = single || end == next;
    }
    if (!single) {
      if (!unknown_) {
        throw ValueError(
            fmt::format("[tokenizer] \"{}\" is not in the vocabulary, which has no unknown token", piece.substr(begin, next - begin)));
      }
      offer(begin, next, unknown_score_ + so_far, *unknown_);
    }
    begin = next;
  }
}

void Unigram::encode_new(std::string_view piece, Scratch& scratch) const {
  auto& steps = scratch.steps;
  auto& ids = scratch.tokens;
  find_path(piece, steps);
  for (std::size_t end = piece.size(); end > 0;) {
    const Step& last = steps[end];
    std::size_t begin = last.begin;
    const bool unknown = unknown_ && last.id == *unknown_;
    while (unknown && begin > 0 && steps[begin].id == *unknown_) begin = steps[begin].begin;
    if (unknown) {
      append_reversed(piece.substr(begin, end - begin), last.id, ids);
    } else {
      ids.push_back(last.id);
    }
    end = begin;
  }
  std::reverse(ids.begin(), ids.end());
}

// A run of unknown characters may spell a token after all.
void Unigram::append_reversed(std::string_view text, std::int32_t id, std::vector<std::int32_t>& ids) const {
  if (const auto known = vocabulary_.find(text)) {
    ids.push_back(*known);
    return;
  }
  const std::size_t first = ids.size();
  if (byte_fallback_ && append_fallback(text, fallback_ids_, ids)) {
    std::reverse(ids.begin() + static_cast<std::ptrdiff_t>(first), ids.end());
  } else {
    ids.push_back(id);
  }
}

}  // namespace lazuli::tokenizer
