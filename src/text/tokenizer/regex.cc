#include "text/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <utility>

#include "lazuli/error.h"
#include "text/tokenizer/run_guards.h"
#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

// A sane expression needs a few steps for each character of what it looks at; these stop runaways in milliseconds.
constexpr std::uint64_t kMatchLimit = 1'000'000;
constexpr std::uint64_t kStepsForEachByte = 16;
constexpr std::uint32_t kHeapLimitKib = 65'536;
// PCRE2 does not say how much it did, so a search sees a bounded part of the text, and more of it, for a price, only when the part does not
// decide whether there is a match.
constexpr std::size_t kWindow = 256;
constexpr std::uint32_t kWindowSteps = 1024;
constexpr std::uint32_t kFirstSteps = 64;
constexpr std::uint32_t kGrowth = 4;

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using CodePtr = std::unique_ptr<pcre2_code, Freed<pcre2_code_free>>;
using MatchDataPtr = std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>>;
using MatchContextPtr = std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context_free>>;
using CompileContextPtr = std::unique_ptr<pcre2_compile_context, Freed<pcre2_compile_context_free>>;

std::string message_of(int code) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

bool asks_for_search_start(std::string_view expression) {
  for (std::size_t pos = 0; pos + 1 < expression.size(); ++pos) {
    if (expression[pos] != '\\') continue;
    if (expression[++pos] == 'G') return true;
  }
  return false;
}

CodePtr compile(std::string_view expression, std::uint32_t options) {
  CompileContextPtr context(pcre2_compile_context_create(nullptr));
  if (!context) throw OutOfMemory("split expression: no memory to compile it");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  CodePtr code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | options, &error, &offset, context.get()));
  if (!code) throw FormatError(fmt::format("split expression {}: {} at offset {}", expression, message_of(error), offset));
  // Without machine code matching is slower and otherwise the same.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
  return code;
}

// What a call of PCRE2 needs beside the expression. Room for the whole match is enough, whatever groups the expression has.
struct MatchMemory {
  MatchDataPtr found{pcre2_match_data_create(1, nullptr)};
  MatchContextPtr limits{pcre2_match_context_create(nullptr)};

  static MatchMemory& of_this_thread() {
    static thread_local MatchMemory memory;
    if (!memory.found || !memory.limits) throw OutOfMemory("split expression: no memory to match it");
    pcre2_set_heap_limit(memory.limits.get(), kHeapLimitKib);
    return memory;
  }
};

}  // namespace

struct Regex::Code {
  CodePtr anywhere;
  CodePtr at_start;  // matches only where the search starts
  // The same for where the character before was tried in vain; null where that makes no difference.
  CodePtr anywhere_after, at_start_after;
};

/// Looks for the matches of an expression in one text.
class Regex::Search {
 public:
  Search(const Regex& regex, std::string_view subject, MatchBudget& budget)
      : expression_(regex.expression_), code_(*regex.code_), subject_(subject), budget_(budget) {}

  /// The first match that starts at `pos` or later.
  std::optional<TextSpan> from(std::size_t pos) {
    after_failure_ = false;
    if (code_.anywhere_after) {
      if (const auto match = starting_at(pos)) return match;
      if (pos == subject_.size()) return std::nullopt;
      pos = next(pos);
      after_failure_ = true;
    }
    while (true) {
      const std::size_t end = window_end(pos, kWindow);
      const int status = run(after_failure_ ? *code_.anywhere_after : *code_.anywhere, pos, end, kWindowSteps);
      if (status >= 0) {
        // What starts at the end of the window has not seen what follows.
        if (end == subject_.size() || found().begin < end) return found();
        pos = end;
      } else if (status == PCRE2_ERROR_NOMATCH) {
        if (end == subject_.size()) return std::nullopt;
        pos = end;
      } else if (status == PCRE2_ERROR_PARTIAL) {
        const std::size_t begin = found().begin;
        if (const auto match = starting_at(begin)) return match;
        pos = next(begin);
      } else if (status == PCRE2_ERROR_MATCHLIMIT) {
        // One of the window's starts needs more.
        for (; pos < end; pos = next(pos)) {
          if (const auto match = starting_at(pos)) return match;
        }
        if (end == subject_.size()) return starting_at(end);
      } else {
        fail(status, pos);
      }
    }
  }

 private:
  /// The match that starts at `pos`, whatever it costs that the budget has.
  std::optional<TextSpan> starting_at(std::size_t pos) {
    std::size_t seen = kFirstSteps;
    std::uint64_t steps = kFirstSteps;
    while (true) {
      const std::size_t end = window_end(pos, seen);
      if (!budget_.spend(end - pos + steps)) {
        throw ValueError(
            fmt::format("[tokenizer] split expression {}: takes too many steps for a text of {} bytes", expression_, subject_.size()));
      }
      const int status = run(after_failure_ ? *code_.at_start_after : *code_.at_start, pos, end, steps);
      if (status >= 0) return found();
      if (status == PCRE2_ERROR_NOMATCH) return std::nullopt;
      const std::uint64_t most = kMatchLimit + kStepsForEachByte * (end - pos);
      if (status == PCRE2_ERROR_PARTIAL) {
        seen *= kGrowth;
      } else if (status == PCRE2_ERROR_MATCHLIMIT && steps < most) {
        steps = std::min(steps * kGrowth, most);
      } else {
        fail(status, pos);
      }
    }
  }

  int run(const pcre2_code& code, std::size_t pos, std::size_t end, std::uint64_t steps) {
    pcre2_set_match_limit(memory_.limits.get(), static_cast<std::uint32_t>(std::min<std::uint64_t>(steps, UINT32_MAX)));
    const std::uint32_t options = PCRE2_NO_UTF_CHECK | (end < subject_.size() ? PCRE2_PARTIAL_HARD : 0U);
    const auto match = [&](std::uint32_t more) {
      return pcre2_match(&code, reinterpret_cast<PCRE2_SPTR>(subject_.data()), end, pos, options | more, memory_.found.get(),
                         memory_.limits.get());
    };
    const int status = match(0);
    return status == PCRE2_ERROR_JIT_STACKLIMIT ? match(PCRE2_NO_JIT) : status;
  }

  TextSpan found() const {
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(memory_.found.get());
    return {bounds[0], bounds[1]};
  }

  /// Where a window of at least `bytes` from `pos` ends: between characters.
  std::size_t window_end(std::size_t pos, std::size_t bytes) const {
    if (bytes >= subject_.size() - pos) return subject_.size();
    std::size_t end = pos + bytes;
    while (end < subject_.size() && continues_character(subject_[end])) ++end;
    return end;
  }

  std::size_t next(std::size_t pos) const { return pos + (pos < subject_.size() ? code_point_at(subject_, pos).length : 1); }

  [[noreturn]] void fail(int status, std::size_t pos) const {
    throw ValueError(fmt::format("[tokenizer] split expression {}: {} at byte {} of a text of {}", expression_, message_of(status), pos,
                                 subject_.size()));
  }

  const std::string& expression_;
  const Code& code_;
  std::string_view subject_;
  MatchBudget& budget_;
  MatchMemory& memory_ = MatchMemory::of_this_thread();
  bool after_failure_ = false;  // whether every start before the present one, from that of the search on, was in vain
};

Regex::Regex(std::string_view expression) : expression_(expression) {
  if (expression.find("&&") != std::string_view::npos) {
    throw FormatError(fmt::format("split expression {}: class intersection (&&) is not supported", expression));
  }
  if (asks_for_search_start(expression)) throw FormatError(fmt::format("split expression {}: \\G is not supported", expression));
  Code code{compile(expression, 0), compile(expression, PCRE2_ANCHORED), nullptr, nullptr};
  if (const std::string guarded = with_run_guards(expression); guarded != expression) {
    code.anywhere_after = compile(guarded, 0);
    code.at_start_after = compile(guarded, PCRE2_ANCHORED);
  }
  code_ = std::make_shared<const Code>(std::move(code));
}

void Regex::matches(std::string_view text, TextSpan range, std::vector<TextSpan>& out, MatchBudget& budget) const {
  const std::string_view subject = text.substr(range.begin, range.end - range.begin);
  Search search(*this, subject, budget);
  std::size_t last_end = std::string_view::npos;
  for (std::size_t pos = 0; pos <= subject.size();) {
    const auto match = search.from(pos);
    if (!match) return;
    // An empty match just after a match does not count, and the search after an empty one goes on at the next character.
    const bool empty = match->begin == match->end;
    if (!empty || match->end != last_end) out.push_back({range.begin + match->begin, range.begin + match->end});
    last_end = match->end;
    pos = match->end;
    if (empty) pos += pos < subject.size() ? code_point_at(subject, pos).length : 1;
  }
}

}  // namespace lazuli::tokenizer
