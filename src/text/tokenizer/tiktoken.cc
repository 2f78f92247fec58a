#include "text/tokenizer/tiktoken.h"

#include <fmt/format.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "lazuli/error.h"
#include "text/tokenizer/base64.h"
#include "text/tokenizer/id_merges.h"
#include "text/tokenizer/lines.h"

namespace lazuli::tokenizer {
namespace {

struct RankedToken {
  std::string token;
  std::uint32_t rank;
};

std::optional<RankedToken> ranked_token(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == 0 || space == std::string_view::npos) return std::nullopt;
  const auto token = from_base64(line.substr(0, space));
  if (!token || token->empty()) return std::nullopt;
  RankedToken result{*token, 0};
  const char* end = line.data() + line.size();
  const auto [stop, error] = std::from_chars(line.data() + space + 1, end, result.rank);
  if (error != std::errc() || stop != end) return std::nullopt;
  return result;
}

}  // namespace

bool is_tiktoken(std::string_view bytes) { return ranked_token(take_line(bytes)).has_value(); }

TiktokenRanks read_tiktoken(std::string_view bytes) {
  std::vector<RankedToken> tokens;
  for (std::size_t number = 1; !bytes.empty(); ++number) {
    const std::string_view line = take_line(bytes);
    if (line.empty()) continue;
    auto token = ranked_token(line);
    if (!token) throw FormatError(fmt::format("line {}: a token in base64, a space and its rank expected", number));
    if (token->token.size() > kMaxPieceBytes) {
      throw FormatError(fmt::format("line {}: a token of {} bytes, at most {} are supported", number, token->token.size(), kMaxPieceBytes));
    }
    tokens.push_back(*std::move(token));
  }
  TiktokenRanks ranks(tokens.size());
  for (RankedToken& token : tokens) {
    // Added tokens take the ids from the number of ranks on, so that a gap would give an id twice.
    if (token.rank >= ranks.size() || !ranks[token.rank].empty()) {
      throw FormatError(fmt::format("rank {} of {} tokens: each of 0 to {} expected once", token.rank, ranks.size(), ranks.size() - 1));
    }
    ranks[token.rank] = std::move(token.token);
  }
  if (ranks.empty()) throw FormatError("no tokens");
  return ranks;
}

}  // namespace lazuli::tokenizer
