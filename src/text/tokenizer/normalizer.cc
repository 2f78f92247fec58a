#include "text/tokenizer/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <functional>
#include <type_traits>
#include <variant>

#include "base/utf8.h"
#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/literal.h"
#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

bool has_flag(char32_t code_point, std::uint16_t flag) { return (UnicodeClasses::instance().of(code_point) & flag) != 0; }

bool is_nmt_control(char32_t c) {
  return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
}

bool is_nmt_space(char32_t c) {
  return c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
         c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
}

// Lower case that utf8proc 2.8 does not know.
char32_t newer_lower(char32_t c) {
  if (c == 0x1C89 || c == 0xA7CC || c == 0xA7CE || c == 0xA7D2 || c == 0xA7D4 || c == 0xA7DA) return c + 1;
  if (c == 0xA7CB) return 0x264;
  if (c == 0xA7DC) return 0x19B;
  if (c >= 0x10D50 && c <= 0x10D65) return c + 0x20;
  if (c >= 0x16EA0 && c <= 0x16EB8) return c + 0x1B;
  return c;
}

// Appends what `each` gives for every character; `each` is called with the character and `storage`.
template <typename Each>
std::string_view rewrite(std::string_view text, std::string& storage, const Each& each) {
  storage.clear();
  storage.reserve(text.size());
  for (std::size_t pos = 0; pos < text.size();) {
    const CodePoint c = code_point_at(text, pos);
    each(c.value, storage);
    pos += c.length;
  }
  return storage;
}

// What is put in the place of a match starts where the match's last character does.
bool replace_keeps_start(const Replace& step, std::string_view text, MatchBudget& budget) {
  const std::size_t first = code_point_at(text, 0).length;
  std::size_t end = 0;
  if (const std::string* literal = std::get_if<std::string>(&step.pattern)) {
    if (!text.starts_with(*literal)) return true;
    end = literal->size();
  } else {
    std::vector<TextSpan> matches;
    std::get<Regex>(step.pattern).matches(text, {0, text.size()}, matches, budget);
    if (matches.empty() || matches.front().begin > 0 || matches.front().end == 0) return true;
    end = matches.front().end;
  }
  return end <= first && !step.content.empty();
}

bool bert_keeps_start(const BertNormalizer& step, std::string_view text) {
  const std::string_view first = text.substr(0, code_point_at(text, 0).length);
  std::string storage;
  return !step.apply(first, storage).empty();
}

bool step_keeps_start(const NormalizerStep& step, std::string_view text, MatchBudget& budget) {
  const char32_t first = code_point_at(text, 0).value;
  if (const Strip* strip = std::get_if<Strip>(&step)) return !strip->left || !has_flag(first, UnicodeClasses::kSpace);
  if (std::holds_alternative<StripAccents>(step)) return !has_flag(first, UnicodeClasses::kMark);
  if (std::holds_alternative<Nmt>(step)) return !is_nmt_control(first);
  if (const Replace* replace = std::get_if<Replace>(&step)) return replace_keeps_start(*replace, text, budget);
  if (const BertNormalizer* bert = std::get_if<BertNormalizer>(&step)) return bert_keeps_start(*bert, text);
  return true;
}

}  // namespace

void append_lower(char32_t c, std::string& out) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c));
  } else if (c == 0x130) {
    out.append("i\u0307");
  } else {
    const auto lower = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
    append_utf8(out, lower == c ? newer_lower(c) : lower);
  }
}

std::string_view Lowercase::apply(std::string_view text, std::string& storage) const { return rewrite(text, storage, append_lower); }

std::string_view StripAccents::apply(std::string_view text, std::string& storage) const {
  return rewrite(text, storage, [](char32_t c, std::string& out) {
    if (!has_flag(c, UnicodeClasses::kMark)) append_utf8(out, c);
  });
}

std::string_view Replace::apply(std::string_view text, std::string& storage, MatchBudget& budget) const {
  storage.clear();
  if (const std::string* literal = std::get_if<std::string>(&pattern)) {
    replace_all(text, *literal, content, storage);
    return storage;
  }
  static thread_local std::vector<TextSpan> matches;
  matches.clear();
  std::get<Regex>(pattern).matches(text, {0, text.size()}, matches, budget);
  std::size_t copied = 0;
  for (const TextSpan match : matches) {
    storage.append(text.substr(copied, match.begin - copied)).append(content);
    copied = match.end;
  }
  storage.append(text.substr(copied));
  return storage;
}

std::string_view Prepend::apply(std::string_view text, std::string& storage) const {
  if (text.empty()) return text;
  storage.assign(content).append(text);
  return storage;
}

std::string_view Strip::apply(std::string_view text, std::string&) const {
  const auto is_space = [&](std::size_t pos) { return has_flag(code_point_at(text, pos).value, UnicodeClasses::kSpace); };
  std::size_t begin = 0;
  while (left && begin < text.size() && is_space(begin)) begin += code_point_at(text, begin).length;
  std::size_t end = text.size();
  while (right && end > begin && is_space(previous_start(text, end))) end = previous_start(text, end);
  return text.substr(begin, end - begin);
}

std::string_view Nmt::apply(std::string_view text, std::string& storage) const {
  return rewrite(text, storage, [](char32_t c, std::string& out) {
    if (!is_nmt_control(c)) append_utf8(out, is_nmt_space(c) ? U' ' : c);
  });
}

std::string_view SpellBytes::apply(std::string_view text, std::string& storage) const {
  storage.clear();
  append_spelled(text, storage);
  return storage;
}

void Normalizer::lower_first() {
  const bool there = std::any_of(steps_.begin(), steps_.end(), [](const auto& step) { return std::holds_alternative<Lowercase>(step); });
  if (!there) steps_.insert(steps_.begin(), Lowercase());
}

std::string_view Normalizer::apply(std::string_view text, std::string& storage, MatchBudget& budget, bool* keeps_start) const {
  static thread_local std::string previous;
  const auto lies_in = [&](const std::string& owner) {
    return std::greater_equal<>()(text.data(), owner.data()) && std::less_equal<>()(text.data(), owner.data() + owner.size());
  };
  for (const NormalizerStep& step : steps_) {
    // The text may lie in `storage`, which the next step writes.
    if (lies_in(storage)) {
      const auto offset = static_cast<std::size_t>(text.data() - storage.data());
      std::swap(previous, storage);
      text = std::string_view(previous).substr(offset, text.size());
    }
    if (keeps_start != nullptr && *keeps_start && !text.empty()) *keeps_start = step_keeps_start(step, text, budget);
    text = std::visit(
        [&](const auto& kind) {
          if constexpr (std::is_same_v<decltype(kind), const Replace&>) {
            return kind.apply(text, storage, budget);
          } else {
            return kind.apply(text, storage);
          }
        },
        step);
  }
  if (lies_in(previous)) {
    const auto offset = static_cast<std::size_t>(text.data() - previous.data());
    std::swap(previous, storage);
    text = std::string_view(storage).substr(offset, text.size());
  }
  return text;
}

}  // namespace lazuli::tokenizer
