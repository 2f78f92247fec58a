// Answers the requests of scripts/check_tokenizers.py; does nothing in an ordinary run of the tests.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "lazuli/tokenizer.h"
#include "support/json_tree.h"

namespace {

using json = lazuli::test::JsonTree;
using Texts = std::vector<std::string>;

void answer_texts(const lazuli::Tokenizer& tokenizer, const Texts& texts, json& answer) {
  for (const std::string& text : texts) {
    const auto ids = tokenizer.encode(text);
    answer["ids"].push_back(ids);
    answer["ids_plain_special"].push_back(tokenizer.encode(text, false));
    answer["ids_without_template"].push_back(tokenizer.encode(text, true, false));
    answer["text"].push_back(tokenizer.decode(ids, true));
    answer["text_with_special"].push_back(tokenizer.decode(ids, false));
  }
  for (std::size_t i = 0; i + 1 < std::min<std::size_t>(texts.size(), 501); ++i) {
    const lazuli::TokenizedText pair = tokenizer.encode_pair(texts[i], texts[i + 1]);
    answer["pair_ids"].push_back(pair.ids);
    answer["pair_types"].push_back(pair.type_ids);
  }
}

// The best time of so many rounds over all texts.
void answer_time(const lazuli::Tokenizer& tokenizer, const Texts& texts, int rounds, json& answer) {
  std::size_t tokens = 0;
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    tokens = 0;
    for (const std::string& text : texts) tokens += tokenizer.encode(text).size();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::min(best, seconds.count());
  }
  answer["tokens"] = tokens;
  answer["seconds"] = best;
}

TEST(TokenizerDump, DISABLED_AnswersRequest) {
  const char* request_path = std::getenv("LAZULI_TOKENIZER_REQUEST");
  const char* answer_path = std::getenv("LAZULI_TOKENIZER_ANSWER");
  if (request_path == nullptr || answer_path == nullptr) GTEST_SKIP() << "no request";
  const auto request = json::read(request_path);
  const auto tokenizer = lazuli::Tokenizer::load(request["tokenizer"].get<std::string>());
  json answer;
  answer_texts(tokenizer, request["texts"].get<Texts>(), answer);
  for (const auto& ids : request.value("decode", std::vector<std::vector<std::int32_t>>())) {
    answer["decoded"].push_back(tokenizer.decode(ids, false));
  }
  if (request.contains("rounds")) answer_time(tokenizer, request["timed"].get<Texts>(), request["rounds"].get<int>(), answer);
  std::ofstream(answer_path) << answer.dump();
}

}  // namespace
