#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/byte_fallback.h"
#include "text/tokenizer/decoder.h"
#include "text/tokenizer/literal.h"
#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";

// What English detokenisation undoes, in order.
void clean_up(std::string& text) {
  using Rule = std::pair<std::string_view, std::string_view>;
  static constexpr std::array<Rule, 11> kRules = {{{" .", "."},
                                                   {" ?", "?"},
                                                   {" !", "!"},
                                                   {" ,", ","},
                                                   {" ' ", "'"},
                                                   {" n't", "n't"},
                                                   {" 'm", "'m"},
                                                   {" do not", " don't"},
                                                   {" 's", "'s"},
                                                   {" 've", "'ve"},
                                                   {" 're", "'re"}}};
  if (text.find(' ') == std::string::npos) return;
  std::string cleaned;
  for (const auto& [from, to] : kRules) {
    if (text.find(from) == std::string::npos) continue;
    cleaned.clear();
    replace_all(text, from, to, cleaned);
    std::swap(text, cleaned);
  }
}

// Passes the bytes of a run on as the token they spell.
void end_bytes(DecoderMemory& memory, DecoderOutput& out) {
  if (memory.held.empty()) return;
  memory.buffer.clear();
  if (is_utf8(memory.held)) {
    out.token(memory.held);
  } else {
    for (std::size_t i = 0; i < memory.held.size(); ++i) out.token(kReplacement);
  }
  memory.held.clear();
}

}  // namespace

void SpacedDecoder::token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const {
  if (memory.tokens++ > 0) out.token(" ");
  out.token(token);
}

void ByteLevelDecoder::token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const {
  append_unspelled(token, memory.held);
  memory.buffer.clear();
  const std::size_t left = append_repaired(memory.held, memory.buffer);
  memory.held.erase(0, memory.held.size() - left);
  out.part(memory.buffer);
}

void ByteLevelDecoder::finish(DecoderMemory& memory, DecoderOutput& out) const {
  if (!memory.held.empty()) out.part(kReplacement);
  out.end();
}

void ByteFallbackDecoder::token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const {
  if (const auto byte = fallback_byte(token)) {
    memory.held.push_back(static_cast<char>(*byte));
    return;
  }
  end_bytes(memory, out);
  out.token(token);
}

void ByteFallbackDecoder::finish(DecoderMemory& memory, DecoderOutput& out) const { end_bytes(memory, out); }

void FuseDecoder::part(std::string_view part, DecoderMemory&, DecoderOutput& out) const { out.part(part); }
void FuseDecoder::finish(DecoderMemory&, DecoderOutput& out) const { out.end(); }

void StripDecoder::part(std::string_view part, DecoderMemory& memory, DecoderOutput& out) const {
  while (!memory.begun && !part.empty()) {
    if (memory.stripped < start && part.starts_with(content)) {
      part.remove_prefix(content.size());
      ++memory.stripped;
    } else {
      memory.begun = true;
    }
  }
  if (stop == 0) return out.part(part);
  // What the end may strip waits.
  memory.held.append(part);
  std::size_t kept = memory.held.size();
  for (std::size_t i = 0; i < stop && std::string_view(memory.held).substr(0, kept).ends_with(content); ++i) kept -= content.size();
  out.part(std::string_view(memory.held).substr(0, kept));
  memory.held.erase(0, kept);
}

void StripDecoder::end(DecoderMemory& memory, DecoderOutput& out) const {
  memory.stripped = 0;
  memory.begun = false;
  memory.held.clear();
  out.end();
}

void CharacterDecoder::part(std::string_view part, DecoderMemory& memory, DecoderOutput& out) const {
  memory.buffer.clear();
  replace_all(part, character, content, memory.buffer);
  out.part(memory.buffer);
}

void CharacterDecoder::end(DecoderMemory&, DecoderOutput& out) const { out.end(); }

void ReplaceDecoder::token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const {
  MatchBudget budget(token.size());
  out.token(replace.apply(token, memory.buffer, budget));
}

void WordPieceDecoder::token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const {
  memory.buffer.clear();
  if (memory.tokens++ > 0) {
    if (token.starts_with(prefix)) {
      token.remove_prefix(prefix.size());
    } else {
      memory.buffer.push_back(' ');
    }
  }
  memory.buffer.append(token);
  if (cleanup) clean_up(memory.buffer);
  out.token(memory.buffer);
}

void MetaspaceDecoder::token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const {
  memory.buffer.clear();
  replace_all(token, replacement, memory.tokens == 0 && prepended ? "" : " ", memory.buffer);
  ++memory.tokens;
  out.token(memory.buffer);
}

// The last token's suffix is no space, so a token waits for the one after it.
void BpeDecoder::token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const {
  if (memory.tokens++ > 0) {
    memory.buffer.clear();
    replace_all(memory.held, suffix, " ", memory.buffer);
    out.token(memory.buffer);
  }
  memory.held.assign(token);
}

void BpeDecoder::finish(DecoderMemory& memory, DecoderOutput& out) const {
  if (memory.tokens == 0) return;
  memory.buffer.clear();
  replace_all(memory.held, suffix, "", memory.buffer);
  out.token(memory.buffer);
}

void CtcDecoder::token(std::string_view token, DecoderMemory& memory, DecoderOutput& out) const {
  if (memory.tokens++ > 0 && memory.held == token) return;
  memory.held.assign(token);
  memory.buffer.clear();
  replace_all(token, pad, "", memory.buffer);
  if (cleanup) {
    clean_up(memory.buffer);
    std::string spaced;
    replace_all(memory.buffer, delimiter, " ", spaced);
    std::swap(memory.buffer, spaced);
  }
  if (!memory.buffer.empty()) out.token(memory.buffer);
}

}  // namespace lazuli::tokenizer
