#include "text/tokenizer/run_guards.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// How much of the text from `pos` is a quantifier: 0 for none.
std::size_t quantifier(std::string_view e, std::size_t pos, bool& unbounded) {
  unbounded = false;
  std::size_t end = pos;
  if (pos < e.size() && (e[pos] == '*' || e[pos] == '+' || e[pos] == '?')) {
    unbounded = e[pos] != '?';
    ++end;
  } else if (pos < e.size() && e[pos] == '{') {
    std::size_t at = pos + 1;
    while (at < e.size() && is_digit(e[at])) ++at;
    if (at == pos + 1 || at == e.size()) return 0;
    if (e[at] == ',') {
      unbounded = at + 1 < e.size() && e[at + 1] == '}';
      for (++at; at < e.size() && is_digit(e[at]);) ++at;
    }
    if (at == e.size() || e[at] != '}') {
      unbounded = false;
      return 0;
    }
    end = at + 1;
  } else {
    return 0;
  }
  if (end < e.size() && (e[end] == '?' || e[end] == '+')) ++end;
  return end - pos;
}

// The end of the class that opens at `pos`.
std::size_t class_end(std::string_view e, std::size_t pos) {
  std::size_t at = pos + 1;
  if (at < e.size() && e[at] == '^') ++at;
  if (at < e.size() && e[at] == ']') ++at;
  while (at < e.size() && e[at] != ']') {
    if (e[at] == '\\') {
      ++at;
    } else if (e.substr(at).starts_with("[:")) {
      const std::size_t named = e.find(":]", at + 2);
      if (named != kNone) at = named + 1;
    }
    ++at;
  }
  return at < e.size() ? at + 1 : kNone;
}

// The end of the escape at `pos`; `single`: whether it stands for one character of a fixed set.
std::size_t escape_end(std::string_view e, std::size_t pos, bool& single) {
  constexpr std::string_view kSets = "dDsSwWhHvVpPnrtf";
  if (pos + 1 >= e.size()) return kNone;
  const char c = e[pos + 1];
  single = kSets.find(c) != kNone || !(is_letter(c) || is_digit(c));
  if ((c == 'p' || c == 'P' || c == 'x' || c == 'o' || c == 'N') && pos + 2 < e.size() && e[pos + 2] == '{') {
    const std::size_t close = e.find('}', pos + 2);
    return close == kNone ? kNone : close + 1;
  }
  if (c == 'p' || c == 'P') return pos + 3 <= e.size() ? pos + 3 : kNone;
  return pos + 1 + (static_cast<unsigned char>(c) < 0x80 ? 1 : code_point_at(e, pos + 1).length);
}

// Walks through an expression, nested as its groups are, and writes it again with its guards.
class Writer {
 public:
  explicit Writer(std::string_view expression) : e_(expression) {}

  /// Nothing where something is met that is not understood.
  std::string write() {
    alternatives(true);
    return understood_ && at_ == e_.size() ? out_ : std::string(e_);
  }

 private:
  struct Opening {
    std::string_view text;
    bool plain;  // a group whose matches are those of its inside, all of them to be tried
  };

  // `first`: whether a match may begin with what stands here.
  void alternatives(bool first) {
    branch(first);
    while (understood_ && at_ < e_.size() && e_[at_] == '|') {
      copy(1);
      branch(first);
    }
  }

  void branch(bool first) {
    for (; understood_ && at_ < e_.size() && e_[at_] != '|' && e_[at_] != ')'; first = false) {
      if (e_[at_] == '(') {
        group(first);
      } else {
        item(first);
      }
    }
  }

  void item(bool first) {
    bool single = true;
    std::size_t end = kNone;
    if (e_[at_] == '\\') {
      end = escape_end(e_, at_, single);
      // Back references, calls, \K, \Q.
      const char c = at_ + 1 < e_.size() ? e_[at_ + 1] : '\0';
      if ((c >= '1' && c <= '9') || c == 'g' || c == 'k' || c == 'K' || c == 'Q' || c == 'E') end = kNone;
    } else if (e_[at_] == '[') {
      end = class_end(e_, at_);
    } else {
      single = e_[at_] != '^' && e_[at_] != '$';
      end = at_ + code_point_at(e_, at_).length;
    }
    if (end == kNone) {
      understood_ = false;
      return;
    }
    bool unbounded = false;
    const std::size_t repeated = quantifier(e_, end, unbounded);
    if (first && single && unbounded) out_.append("(?<!").append(e_.substr(at_, end - at_)).append(")");
    copy(end + repeated - at_);
  }

  void group(bool first) {
    const Opening* opening = opening_here();
    const std::size_t close = opening != nullptr ? closing(at_ + opening->text.size()) : kNone;
    if (close == kNone) {
      understood_ = false;
      return;
    }
    bool unbounded = false;
    const std::size_t repeated = quantifier(e_, close + 1, unbounded);
    copy(opening->text.size());
    alternatives(first && opening->plain && repeated == 0);
    if (understood_ && at_ != close) understood_ = false;
    if (understood_) copy(1 + repeated);
  }

  const Opening* opening_here() const {
    static constexpr std::array<Opening, 8> kOpenings = {
        {{"(?:", true}, {"(?i:", true}, {"(?=", false}, {"(?!", false}, {"(?<=", false}, {"(?<!", false}, {"(?>", false}, {"(", true}}};
    const std::string_view rest = e_.substr(at_);
    const auto* found = std::find_if(kOpenings.begin(), kOpenings.end(), [&](const Opening& o) { return rest.starts_with(o.text); });
    if (found->text == "(" && rest.size() > 1 && (rest[1] == '?' || rest[1] == '*')) return nullptr;
    return found;
  }

  // Where the group closes whose inside begins at `pos`.
  std::size_t closing(std::size_t pos) const {
    std::size_t depth = 1;
    while (pos < e_.size()) {
      bool single = false;
      if (e_[pos] == '\\') {
        pos = escape_end(e_, pos, single);
      } else if (e_[pos] == '[') {
        pos = class_end(e_, pos);
      } else {
        if (e_[pos] == '(') ++depth;
        if (e_[pos] == ')' && --depth == 0) return pos;
        ++pos;
      }
      if (pos == kNone) return kNone;
    }
    return kNone;
  }

  void copy(std::size_t bytes) {
    out_.append(e_.substr(at_, bytes));
    at_ += bytes;
  }

  std::string_view e_;
  std::size_t at_ = 0;
  std::string out_;
  bool understood_ = true;
};

}  // namespace

std::string with_run_guards(std::string_view expression) { return Writer(expression).write(); }

}  // namespace lazuli::tokenizer
