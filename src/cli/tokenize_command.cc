// Defines the command `tokenize`, which turns text into token ids and back.
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <memory>
#include <string_view>

#include "base/json_writer.h"
#include "cli/command.h"
#include "cli/input.h"
#include "lazuli/tokenizer.h"

namespace lazuli::cli {

namespace {

struct TokenizeFlags {
  std::string model, text, input;
  bool decode = false, no_special = false, ids = false;
};

std::string text_of(const TokenizeFlags& flags) {
  if (flags.text.empty() == flags.input.empty()) throw UsageError("one of --text and --input is expected (see lazuli tokenize --help)");
  return flags.input.empty() ? flags.text : read_text_input(flags.input);
}

/// Integers with blanks, commas or brackets between them.
std::vector<int32_t> parse_ids(std::string_view text) {
  constexpr std::string_view between = " \t\r\n,[]";
  std::vector<int32_t> ids;
  for (size_t at = text.find_first_not_of(between); at != std::string_view::npos; at = text.find_first_not_of(between, at)) {
    const size_t end = std::min(text.find_first_of(between, at), text.size());
    const std::string_view word = text.substr(at, end - at);
    int32_t id = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || stop != word.data() + word.size() || id < 0) {
      throw ValueError(fmt::format("[tokenize] a token id is expected, got '{}'", word));
    }
    ids.push_back(id);
    at = end;
  }
  return ids;
}

std::string spelled(const Tokenizer& tokenizer, int32_t id) { return std::string(tokenizer.id_to_token(id).value_or("")); }

void print_tokens(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, const TokenizeFlags& flags, const Common& common) {
  if (common.json) {
    JsonWriter w;
    w.begin_object().key("ids").begin_array();
    for (int32_t id : ids) w.value(id);
    w.end_array().key("tokens").begin_array();
    for (int32_t id : ids) w.value(spelled(tokenizer, id));
    w.end_array().field("count", ids.size()).end_object();
    print_json(w.text());
    return;
  }
  if (flags.ids) {
    print_text(fmt::format("{}\n", fmt::join(ids, " ")));
    return;
  }
  fmt::memory_buffer lines;
  for (int32_t id : ids) fmt::format_to(std::back_inserter(lines), "{:>8}  {}\n", id, spelled(tokenizer, id));
  print_text(fmt::to_string(lines));
  if (!common.quiet) std::fprintf(stderr, "%zu tokens\n", ids.size());
}

void print_decoded(const std::string& text, size_t count, const Common& common) {
  if (!common.json) {
    print_text(text + "\n");
    return;
  }
  JsonWriter w;
  w.begin_object().field("text", text).field("count", count).end_object();
  print_json(w.text());
}

int run_tokenize(const TokenizeFlags& flags, const Common& common) {
  const std::string text = text_of(flags);
  const Tokenizer tokenizer = Tokenizer::load(flags.model);
  if (flags.decode) {
    const std::vector<int32_t> ids = parse_ids(text);
    for (const int32_t id : ids) {
      if (!tokenizer.id_to_token(id)) throw ValueError(fmt::format("[tokenize] the id {} is not in the vocabulary", id));
    }
    print_decoded(tokenizer.decode(ids, flags.no_special), ids.size(), common);
  } else {
    print_tokens(tokenizer, tokenizer.encode(text, !flags.no_special, !flags.no_special), flags, common);
  }
  return kOk;
}

}  // namespace

Command tokenize_command() {
  const auto flags = std::make_shared<TokenizeFlags>();
  Command c;
  c.name = "tokenize";
  c.summary = "Show the tokens of a text, or the text of tokens";
  c.details =
      "Prints each token's id and spelling on a line. With --no-special nothing is put around the text, special tokens spelled out in it\n"
      "are split like any text, and decoding leaves special tokens out.";
  c.examples =
      "lazuli tokenize --model models/pycoder-16m --text 'def main():'\n"
      "lazuli tokenize --model models/pycoder-16m --input start.py --json\n"
      "lazuli tokenize --model models/pycoder-16m --text 'x = 1' --ids | lazuli tokenize --model models/pycoder-16m --decode --input -";
  c.options = {
      model_option(&flags->model),
      {.name = "--text", .target = &flags->text, .help = "Text to tokenize; with --decode token ids"},
      {.name = "--input", .target = &flags->input, .help = "File with the text or the token ids; - reads standard input", .value = "FILE"},
      {.name = "--decode", .target = &flags->decode, .help = "Decode token ids into text"},
      {.name = "--ids", .target = &flags->ids, .help = "Print the token ids only, on one line"},
      {.name = "--no-special", .target = &flags->no_special, .help = "Add no special tokens"},
  };
  c.run = [flags](const Common& common) { return run_tokenize(*flags, common); };
  return c;
}

}  // namespace lazuli::cli
