#include "io/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include "io/tokenizer/unicode.h"
#include "lazuli/error.h"

namespace lazuli::tokenizer {
namespace {

// A sane expression needs a few steps for each character of a word; these allow words of tens of thousands and stop runaways in
// milliseconds.
constexpr std::uint32_t kMatchLimit = 1'000'000;
constexpr std::uint32_t kHeapLimitKib = 65'536;

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

}  // namespace

struct Regex::Code {
  CodePtr code;
  MatchContextPtr limits;
};

Regex::Regex(std::string_view expression) : expression_(expression) {
  if (expression.find("&&") != std::string_view::npos) {
    throw FormatError(fmt::format("split expression {}: class intersection (&&) is not supported", expression));
  }
  CompileContextPtr context(pcre2_compile_context_create(nullptr));
  MatchContextPtr limits(pcre2_match_context_create(nullptr));
  if (!context || !limits) throw OutOfMemory("split expression: no memory to compile it");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_match_limit(limits.get(), kMatchLimit);
  pcre2_set_heap_limit(limits.get(), kHeapLimitKib);
  int error = 0;
  PCRE2_SIZE offset = 0;
  CodePtr code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset, context.get()));
  if (!code) throw FormatError(fmt::format("split expression {}: {} at offset {}", expression, message_of(error), offset));
  // Without machine code matching is slower and otherwise the same.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  code_ = std::make_shared<const Code>(Code{std::move(code), std::move(limits)});
}

void Regex::matches(std::string_view text, TextSpan range, std::vector<TextSpan>& out) const {
  const std::string_view subject = text.substr(range.begin, range.end - range.begin);
  // Room for the whole match is enough, whatever groups the expression has.
  static thread_local const MatchDataPtr found(pcre2_match_data_create(1, nullptr));
  if (!found) throw OutOfMemory("split expression: no memory to match it");
  const auto match_from = [&](std::size_t pos, std::uint32_t options) {
    return pcre2_match(code_->code.get(), reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(), pos, PCRE2_NO_UTF_CHECK | options,
                       found.get(), code_->limits.get());
  };
  std::size_t last_end = std::string_view::npos;
  for (std::size_t pos = 0; pos <= subject.size();) {
    int status = match_from(pos, 0);
    if (status == PCRE2_ERROR_JIT_STACKLIMIT) status = match_from(pos, PCRE2_NO_JIT);
    if (status == PCRE2_ERROR_NOMATCH) return;
    if (status < 0) {
      throw ValueError(fmt::format("[tokenizer] split expression {}: {} at byte {} of a text of {}", expression_, message_of(status), pos,
                                   subject.size()));
    }
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(found.get());
    // An empty match just after a match does not count, and the search after an empty one goes on at the next character.
    const bool empty = bounds[0] == bounds[1];
    if (!empty || bounds[1] != last_end) out.push_back({range.begin + bounds[0], range.begin + bounds[1]});
    last_end = bounds[1];
    pos = bounds[1];
    if (empty) pos += pos < subject.size() ? code_point_at(subject, pos).length : 1;
  }
}

}  // namespace lazuli::tokenizer
