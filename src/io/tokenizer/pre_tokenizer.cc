#include "io/tokenizer/pre_tokenizer.h"

#include <algorithm>

#include "io/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

// Receives matches and the gaps between them in order and joins them into pieces.
class Joiner {
 public:
  Joiner(SplitBehavior behavior, std::vector<TextSpan>& out) : behavior_(behavior), out_(out), first_(out.size()) {}

  void add(TextSpan span, bool is_match) {
    switch (behavior_) {
      case SplitBehavior::isolated:
        out_.push_back(span);
        break;
      case SplitBehavior::removed:
        if (!is_match) out_.push_back(span);
        break;
      case SplitBehavior::merged_with_previous:
        join_or_add(span, is_match && !previous_is_match_);
        break;
      case SplitBehavior::merged_with_next:
        join_or_add(span, previous_is_match_ && !is_match);
        break;
      case SplitBehavior::contiguous:
        join_or_add(span, is_match == previous_is_match_);
        break;
    }
    previous_is_match_ = is_match;
  }

 private:
  void join_or_add(TextSpan span, bool join) {
    if (join && out_.size() > first_) {
      out_.back().end = span.end;
    } else {
      out_.push_back(span);
    }
  }

  SplitBehavior behavior_;
  std::vector<TextSpan>& out_;
  std::size_t first_;
  bool previous_is_match_ = false;
};

void find_literal(std::string_view literal, std::string_view text, TextSpan range, std::vector<TextSpan>& out) {
  if (literal.empty()) return;
  const std::string_view searched = text.substr(0, range.end);
  for (std::size_t pos = searched.find(literal, range.begin); pos != std::string_view::npos; pos = searched.find(literal, pos)) {
    out.push_back({pos, pos + literal.size()});
    pos += literal.size();
  }
}

void join_matches(const std::vector<TextSpan>& matches, TextSpan range, bool invert, Joiner joiner) {
  std::size_t pos = range.begin;
  for (const TextSpan match : matches) {
    if (pos < match.begin) joiner.add({pos, match.begin}, invert);
    joiner.add(match, !invert);
    pos = match.end;
  }
  if (pos < range.end) joiner.add({pos, range.end}, invert);
}

void drop_empty(std::vector<TextSpan>& spans) {
  spans.erase(std::remove_if(spans.begin(), spans.end(), [](TextSpan s) { return s.begin == s.end; }), spans.end());
}

// Gives every piece a leading space, in a text made anew.
void add_leading_spaces(Pieces& pieces) {
  const auto starts_with_space = [&](TextSpan s) { return pieces.text[s.begin] == ' '; };
  if (std::all_of(pieces.spans.begin(), pieces.spans.end(), starts_with_space)) return;
  std::string text;
  text.reserve(pieces.text.size() + pieces.spans.size());
  for (TextSpan& span : pieces.spans) {
    const std::size_t begin = text.size();
    if (!starts_with_space(span)) text.push_back(' ');
    text.append(pieces.text.substr(span.begin, span.end - span.begin));
    span = {begin, text.size()};
  }
  pieces.storage = std::move(text);
  pieces.text = pieces.storage;
}

}  // namespace

void Pieces::reset(std::string_view new_text) {
  text = new_text;
  spans.clear();
  if (!text.empty()) spans.push_back({0, text.size()});
}

void Split::apply(Pieces& pieces) const {
  pieces.next_spans.clear();
  const KnownSplit* known = std::get_if<KnownSplit>(&pattern);
  for (const TextSpan span : pieces.spans) {
    if (known != nullptr && behavior == SplitBehavior::isolated) {
      scan(*known, pieces.text, span, pieces.next_spans);
      continue;
    }
    pieces.matches.clear();
    if (known != nullptr) {
      scan(*known, pieces.text, span, pieces.matches);
    } else if (const Regex* regex = std::get_if<Regex>(&pattern)) {
      regex->matches(pieces.text, span, pieces.matches);
    } else {
      find_literal(std::get<std::string>(pattern), pieces.text, span, pieces.matches);
    }
    join_matches(pieces.matches, span, invert, Joiner(behavior, pieces.next_spans));
  }
  drop_empty(pieces.next_spans);
  std::swap(pieces.spans, pieces.next_spans);
}

void Digits::apply(Pieces& pieces) const {
  const UnicodeClasses& classes = UnicodeClasses::instance();
  pieces.next_spans.clear();
  for (const TextSpan span : pieces.spans) {
    pieces.matches.clear();
    for (std::size_t pos = span.begin; pos < span.end;) {
      const CodePoint c = code_point_at(pieces.text, pos);
      if ((classes.of(c.value) & UnicodeClasses::kNumber) != 0) pieces.matches.push_back({pos, pos + c.length});
      pos += c.length;
    }
    const SplitBehavior behavior = individual ? SplitBehavior::isolated : SplitBehavior::contiguous;
    join_matches(pieces.matches, span, false, Joiner(behavior, pieces.next_spans));
  }
  std::swap(pieces.spans, pieces.next_spans);
}

void ByteLevel::apply(Pieces& pieces) const {
  if (add_prefix_space) add_leading_spaces(pieces);
  if (!use_regex) return;
  pieces.next_spans.clear();
  for (const TextSpan span : pieces.spans) scan(KnownSplit::gpt2, pieces.text, span, pieces.next_spans);
  std::swap(pieces.spans, pieces.next_spans);
}

void PreTokenizer::apply(Pieces& pieces) const {
  for (const PreTokenizerStep& step : steps_) {
    std::visit([&](const auto& kind) { kind.apply(pieces); }, step);
  }
}

bool PreTokenizer::is_byte_level() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const auto& step) { return std::holds_alternative<ByteLevel>(step); });
}

}  // namespace lazuli::tokenizer
