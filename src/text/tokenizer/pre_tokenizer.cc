#include "text/tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <string>

#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/literal.h"
#include "text/tokenizer/unicode.h"

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

// Splits at the runs or characters that have `flag`.
void split_at_class(Pieces& pieces, std::uint16_t flag, SplitBehavior behavior) {
  const UnicodeClasses& classes = UnicodeClasses::instance();
  pieces.next_spans.clear();
  for (const TextSpan span : pieces.spans) {
    pieces.matches.clear();
    for (std::size_t pos = span.begin; pos < span.end;) {
      const CodePoint c = code_point_at(pieces.text, pos);
      if ((classes.of(c.value) & flag) != 0) pieces.matches.push_back({pos, pos + c.length});
      pos += c.length;
    }
    join_matches(pieces.matches, span, false, Joiner(behavior, pieces.next_spans));
  }
  std::swap(pieces.spans, pieces.next_spans);
}

// Keeps the runs of characters for which `kind_of` gives the same positive kind; kGap goes and kAlone stands by itself.
constexpr int kGap = 0;
constexpr int kAlone = -1;

template <typename KindOf>
void keep_runs(Pieces& pieces, const KindOf& kind_of) {
  const UnicodeClasses& classes = UnicodeClasses::instance();
  pieces.next_spans.clear();
  for (const TextSpan span : pieces.spans) {
    int open = kGap;
    for (std::size_t pos = span.begin; pos < span.end;) {
      const CodePoint c = code_point_at(pieces.text, pos);
      const int kind = kind_of(classes.of(c.value));
      const TextSpan character = {pos, pos + c.length};
      if (kind > 0 && kind == open) {
        pieces.next_spans.back().end = character.end;
      } else if (kind != kGap) {
        pieces.next_spans.push_back(character);
      }
      open = kind;
      pos = character.end;
    }
  }
  std::swap(pieces.spans, pieces.next_spans);
}

// Gives every piece a leading space, in a text made anew.
void add_leading_spaces(Pieces& pieces) {
  const auto starts_with_space = [&](TextSpan s) { return pieces.text[s.begin] == ' '; };
  if (std::all_of(pieces.spans.begin(), pieces.spans.end(), starts_with_space)) return;
  pieces.at_start = pieces.starts_at_start();
  std::string text;
  text.reserve(pieces.text.size() + pieces.spans.size());
  for (TextSpan& span : pieces.spans) {
    const std::size_t begin = text.size();
    if (!starts_with_space(span)) text.push_back(' ');
    text.append(pieces.text.substr(span.begin, span.end - span.begin));
    span = {begin, text.size()};
  }
  pieces.rewrite(text);
}

void spell_pieces(Pieces& pieces) {
  pieces.at_start = pieces.starts_at_start();
  std::string text;
  for (TextSpan& span : pieces.spans) {
    const std::size_t begin = text.size();
    append_spelled(pieces.text.substr(span.begin, span.end - span.begin), text);
    span = {begin, text.size()};
  }
  pieces.rewrite(text);
}

}  // namespace

void Pieces::reset(std::string_view new_text, bool is_start) {
  text = new_text;
  at_start = is_start;
  spans.clear();
  if (!text.empty()) spans.push_back({0, text.size()});
}

void Pieces::rewrite(std::string& rewritten) {
  std::swap(storage, rewritten);
  text = storage;
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
      regex->matches(pieces.text, span, pieces.matches, pieces.budget);
    } else {
      find_all(std::get<std::string>(pattern), pieces.text, span, pieces.matches);
    }
    join_matches(pieces.matches, span, invert, Joiner(behavior, pieces.next_spans));
  }
  drop_empty(pieces.next_spans);
  std::swap(pieces.spans, pieces.next_spans);
}

void Digits::apply(Pieces& pieces) const {
  split_at_class(pieces, UnicodeClasses::kNumeric, individual ? SplitBehavior::isolated : SplitBehavior::contiguous);
}

void Punctuation::apply(Pieces& pieces) const { split_at_class(pieces, UnicodeClasses::kPunctuation, behavior); }

void WhitespaceSplit::apply(Pieces& pieces) const {
  keep_runs(pieces, [](std::uint16_t flags) { return (flags & UnicodeClasses::kSpace) != 0 ? kGap : 1; });
}

void Words::apply(Pieces& pieces) const {
  keep_runs(pieces, [](std::uint16_t flags) {
    if ((flags & UnicodeClasses::kWord) != 0) return 1;
    return (flags & UnicodeClasses::kSpace) != 0 ? kGap : 2;
  });
}

void BertSplit::apply(Pieces& pieces) const {
  keep_runs(pieces, [](std::uint16_t flags) {
    if ((flags & (UnicodeClasses::kSpace | UnicodeClasses::kPunctuation)) == 0) return 1;
    return (flags & UnicodeClasses::kSpace) != 0 ? kGap : kAlone;
  });
}

void Metaspace::apply(Pieces& pieces) const {
  std::string& out = pieces.next_storage;
  out.clear();
  pieces.next_spans.clear();
  const bool first_at_start = pieces.starts_at_start();
  for (const TextSpan span : pieces.spans) {
    const std::string_view piece = pieces.text.substr(span.begin, span.end - span.begin);
    const bool wanted = prepend == PrependScheme::always || (prepend == PrependScheme::first && first_at_start && span.begin == 0);
    const bool marked = piece.starts_with(' ') || piece.starts_with(replacement);
    TextSpan part = {out.size(), out.size()};
    if (wanted && !marked) out.append(replacement);
    const auto mark = [&](std::string_view text) {
      if (split && out.size() > part.begin) {
        pieces.next_spans.push_back({part.begin, out.size()});
        part.begin = out.size();
      }
      out.append(text);
    };
    for (std::size_t pos = 0; pos < piece.size();) {
      if (piece[pos] == ' ') {
        mark(replacement);
        ++pos;
      } else if (piece[pos] == replacement[0] && piece.substr(pos).starts_with(replacement)) {
        mark(replacement);
        pos += replacement.size();
      } else {
        out.push_back(piece[pos++]);
      }
    }
    if (out.size() > part.begin) pieces.next_spans.push_back({part.begin, out.size()});
  }
  pieces.at_start = first_at_start;
  std::swap(pieces.spans, pieces.next_spans);
  pieces.rewrite(out);
}

void ByteLevel::apply(Pieces& pieces) const {
  if (add_prefix_space) add_leading_spaces(pieces);
  if (use_regex) {
    pieces.next_spans.clear();
    for (const TextSpan span : pieces.spans) scan(KnownSplit::gpt2, pieces.text, span, pieces.next_spans);
    std::swap(pieces.spans, pieces.next_spans);
  }
  if (spell) spell_pieces(pieces);
}

void PreTokenizer::apply(Pieces& pieces) const {
  for (const PreTokenizerStep& step : steps_) {
    std::visit([&](const auto& kind) { kind.apply(pieces); }, step);
  }
}

bool PreTokenizer::leaves_spelling() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const auto& step) {
    const ByteLevel* bytes = std::get_if<ByteLevel>(&step);
    return bytes != nullptr && !bytes->spell;
  });
}

bool PreTokenizer::asks_for_start() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const auto& step) {
    const Metaspace* metaspace = std::get_if<Metaspace>(&step);
    return metaspace != nullptr && metaspace->prepend == Metaspace::PrependScheme::first;
  });
}

void PreTokenizer::spell() {
  for (PreTokenizerStep& step : steps_) {
    if (ByteLevel* bytes = std::get_if<ByteLevel>(&step)) bytes->spell = true;
  }
}

}  // namespace lazuli::tokenizer
