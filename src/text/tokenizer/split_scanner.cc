#include "text/tokenizer/split_scanner.h"

#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

constexpr std::uint16_t kLetter = UnicodeClasses::kLetter;
constexpr std::uint16_t kNumber = UnicodeClasses::kNumber;
constexpr std::uint16_t kSpace = UnicodeClasses::kSpace;
constexpr std::uint16_t kAny = kLetter | kNumber | kSpace;

bool is_line_end(char c) { return c == '\n' || c == '\r'; }

// Each member function returns the end of a match that starts at `pos`.
class Scanner {
 public:
  Scanner(std::string_view text, std::size_t end) : text_(text), end_(end), classes_(UnicodeClasses::instance()) {}

  std::size_t gpt2(std::size_t pos) const {
    if (const std::size_t end = contraction(pos, false); end != pos) return end;
    const bool space = text_[pos] == ' ' && pos + 1 < end_;
    const std::size_t start = space ? pos + 1 : pos;
    const std::uint16_t kind = class_at(start) & kAny;
    if (kind == kSpace) return spaces(pos);
    return kind == 0 ? symbols(start) : run(start, kind);
  }

  std::size_t cl100k(std::size_t pos, std::size_t digits) const {
    if (const std::size_t end = contraction(pos, true); end != pos) return end;
    const CodePoint c = code_point_at(text_, pos);
    const std::uint16_t kind = classes_.of(c.value) & kAny;
    if (kind == kLetter) return run(pos, kLetter);
    if (kind == kNumber) return numbers(pos, digits);
    const std::size_t next = pos + c.length;
    const std::uint16_t next_kind = next < end_ ? class_at(next) & kAny : kSpace;
    if (next_kind == kLetter && !is_line_end(text_[pos])) return run(next, kLetter);
    if (kind == 0) return line_ends(symbols(pos));
    if (c.value == U' ' && next_kind == 0) return line_ends(symbols(next));
    return spaces_and_lines(pos);
  }

 private:
  std::uint16_t class_at(std::size_t pos) const { return classes_.of(code_point_at(text_, pos).value); }

  // 's|'t|'re|'ve|'m|'ll|'d; where case is ignored the long s is an s too.
  std::size_t contraction(std::size_t pos, bool any_case) const {
    if (text_[pos] != '\'') return pos;
    const auto letter = [&](std::size_t i) {
      const char c = pos + i < end_ ? text_[pos + i] : '\0';
      return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    const char first = letter(1);
    const char second = letter(2);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return pos + 2;
    if (second == 'e' && (first == 'r' || first == 'v')) return pos + 3;
    if (first == 'l' && second == 'l') return pos + 3;
    if (any_case && first == '\xC5' && second == '\xBF') return pos + 3;
    return pos;
  }

  // [class]+ from a start that is in it
  std::size_t run(std::size_t pos, std::uint16_t kind) const {
    while (pos < end_) {
      const CodePoint c = code_point_at(text_, pos);
      if ((classes_.of(c.value) & kind) == 0) break;
      pos += c.length;
    }
    return pos;
  }

  std::size_t numbers(std::size_t pos, std::size_t most) const {
    for (; most > 0 && pos < end_; --most) {
      const CodePoint c = code_point_at(text_, pos);
      if ((classes_.of(c.value) & kNumber) == 0) break;
      pos += c.length;
    }
    return pos;
  }

  // [^\s\p{L}\p{N}]+
  std::size_t symbols(std::size_t pos) const {
    while (pos < end_) {
      const CodePoint c = code_point_at(text_, pos);
      if ((classes_.of(c.value) & kAny) != 0) break;
      pos += c.length;
    }
    return pos;
  }

  // [\r\n]*
  std::size_t line_ends(std::size_t pos) const {
    while (pos < end_ && is_line_end(text_[pos])) ++pos;
    return pos;
  }

  // \s+(?!\S)|\s+: a run of spaces leaves its last one to what follows it.
  std::size_t spaces(std::size_t pos) const { return spaces_until(pos, run(pos, kSpace)); }

  std::size_t spaces_until(std::size_t pos, std::size_t end) const {
    if (end == end_) return end;
    const std::size_t last = previous_start(text_, end);
    return last > pos ? last : end;
  }

  // \s*[\r\n]+|\s+(?!\S)|\s+: a run of spaces with line ends is matched up to the last line end.
  std::size_t spaces_and_lines(std::size_t pos) const {
    const std::size_t end = run(pos, kSpace);
    for (std::size_t i = end; i > pos; --i) {
      if (is_line_end(text_[i - 1])) return i;
    }
    return spaces_until(pos, end);
  }

  std::string_view text_;
  std::size_t end_;
  const UnicodeClasses& classes_;
};

}  // namespace

std::optional<KnownSplit> known_split(std::string_view expression) {
  if (expression == kGpt2Expression) return KnownSplit::gpt2;
  if (expression == kQwen2Expression) return KnownSplit::qwen2;
  if (expression == kLlama3Expression) return KnownSplit::llama3;
  return std::nullopt;
}

void scan(KnownSplit split, std::string_view text, TextSpan range, std::vector<TextSpan>& out) {
  const Scanner scanner(text, range.end);
  const std::size_t digits = split == KnownSplit::llama3 ? 3 : 1;
  for (std::size_t pos = range.begin; pos < range.end;) {
    const std::size_t end = split == KnownSplit::gpt2 ? scanner.gpt2(pos) : scanner.cl100k(pos, digits);
    out.push_back({pos, end});
    pos = end;
  }
}

}  // namespace lazuli::tokenizer
