// Implements PathPattern on PCRE2.
#include "nn/path_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr uint32_t kMatchLimit = 100000;

struct FreeCode {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
};
struct FreeData {
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
};
struct FreeContext {
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
};

}  // namespace

struct PathPattern::Code {
  std::unique_ptr<pcre2_code, FreeCode> code;
  std::unique_ptr<pcre2_match_data, FreeData> data;
  std::unique_ptr<pcre2_match_context, FreeContext> context;
};

PathPattern::PathPattern(std::string_view setting, const std::string& text)
    : setting_(setting), text_(text), code_(std::make_unique<Code>()) {
  int error = 0;
  PCRE2_SIZE at = 0;
  code_->code.reset(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), PCRE2_UTF | PCRE2_ANCHORED, &error, &at, nullptr));
  if (!code_->code) throw ValueError(fmt::format("[lora] {} '{}' is not a regular expression: error at character {}", setting_, text, at));
  code_->data.reset(pcre2_match_data_create_from_pattern(code_->code.get(), nullptr));
  code_->context.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(code_->context.get(), kMatchLimit);
}
PathPattern::~PathPattern() = default;
PathPattern::PathPattern(PathPattern&&) noexcept = default;

int PathPattern::match(std::string_view path, bool whole) const {
  const int found = pcre2_match(code_->code.get(), reinterpret_cast<PCRE2_SPTR>(path.data()), path.size(), 0, whole ? PCRE2_ENDANCHORED : 0,
                                code_->data.get(), code_->context.get());
  if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
    throw ValueError(fmt::format("[lora] {} '{}' takes too long on '{}'", setting_, text_, path));
  }
  return found;
}

bool PathPattern::matches(std::string_view path) const { return match(path, true) >= 0; }

std::optional<std::string> PathPattern::first_group(std::string_view path) const {
  const int found = match(path, false);
  if (found < 2) return std::nullopt;
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(code_->data.get());
  if (ends[2] == PCRE2_UNSET) return std::nullopt;
  return std::string(path.substr(ends[2], ends[3] - ends[2]));
}

}  // namespace lazuli
