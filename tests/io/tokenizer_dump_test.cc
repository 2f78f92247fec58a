// Answers the requests of tokenizer_differential.py; does nothing in an ordinary run of the tests.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "lazuli/tokenizer.h"

namespace {

TEST(TokenizerDump, DISABLED_AnswersRequest) {
  const char* request_path = std::getenv("LAZULI_TOKENIZER_REQUEST");
  const char* answer_path = std::getenv("LAZULI_TOKENIZER_ANSWER");
  if (request_path == nullptr || answer_path == nullptr) GTEST_SKIP() << "no request";
  const auto request = nlohmann::json::parse(std::ifstream(request_path));
  const auto tokenizer = lazuli::Tokenizer::load(request["tokenizer"].get<std::string>());
  nlohmann::json answer;
  for (const std::string text : request["texts"]) {
    const auto ids = tokenizer.encode(text);
    answer["ids"].push_back(ids);
    answer["ids_plain_special"].push_back(tokenizer.encode(text, false));
    answer["ids_without_template"].push_back(tokenizer.encode(text, true, false));
    answer["text"].push_back(tokenizer.decode(ids, true));
    answer["text_with_special"].push_back(tokenizer.decode(ids, false));
  }
  std::ofstream(answer_path) << answer.dump();
}

}  // namespace
