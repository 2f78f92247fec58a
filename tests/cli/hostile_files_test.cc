// Checks that the program answers hostile model folders with one line that names file and fault, exit code 1, and little memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "cli/program.h"
#include "lazuli/safetensors.h"
#include "support/tiny_llama.h"

namespace lazuli {
namespace {

/// The parts of a small model's folder, to be spoilt.
struct Files {
  std::string config = test::kTinyLlamaConfig;
  std::string weights;  ///< model.safetensors
  std::string index;    ///< model.safetensors.index.json; empty: none
  std::string tokenizer = R"({"added_tokens": [], "decoder": {"type": "ByteLevel"},
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})";
};

struct Hostile {
  const char* name;
  std::function<void(Files&)> spoil;
  const char* file;  ///< that the message names
  const char* fault;
};

void replace(std::string& text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
}

std::string with_header(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + header + std::string(data_bytes, '\0');
}

/// The same header length, so that only what is replaced is wrong.
void edit_header(Files& f, const std::string& from, const std::string& to) {
  ASSERT_EQ(from.size(), to.size());
  replace(f.weights, from, to);
}

const std::vector<Hostile>& corpus() {
  static const std::vector<Hostile> all = {
      {"TruncatedWeights", [](Files& f) { f.weights.resize(f.weights.size() / 2); }, "model.safetensors", "data_offsets"},
      {"TruncatedHeader", [](Files& f) { f.weights.resize(20); }, "model.safetensors", "header"},
      {"EmptyWeights", [](Files& f) { f.weights.clear(); }, "model.safetensors", "header length of 8 bytes"},
      {"HugeHeader", [](Files& f) { f.weights.replace(0, 8, std::string(7, '\xFF') + '\x7F'); }, "model.safetensors", "header"},
      {"OverlappingTensors",
       [](Files& f) {
         f.weights = with_header(
             R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12);
       },
       "model.safetensors", "'b'"},
      {"OverflowingShape",
       [](Files& f) { f.weights = with_header(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4); },
       "model.safetensors", "'a'"},
      {"WrongDType", [](Files& f) { edit_header(f, R"("F32")", R"("I32")"); }, "model.safetensors", "I32"},
      {"UnknownDType", [](Files& f) { edit_header(f, R"("F32")", R"("X32")"); }, "model.safetensors", "X32"},
      {"DuplicateTensors",
       [](Files& f) {
         f.weights = with_header(
             R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8);
       },
       "model.safetensors", "'a'"},
      {"DeepNestingInHeader", [](Files& f) { f.weights = with_header("{\"a\":" + std::string(100000, '['), 0); }, "model.safetensors",
       "JSON"},
      {"DeepNestingInConfig", [](Files& f) { f.config = std::string(100000, '['); }, "config.json", "JSON"},
      {"DeepNestingInTokenizer", [](Files& f) { f.tokenizer = std::string(100000, '['); }, "tokenizer.json", "JSON"},
      {"ZeroHeads", [](Files& f) { replace(f.config, R"("num_attention_heads": 4)", R"("num_attention_heads": 0)"); }, "config.json",
       "num_attention_heads"},
      {"HugeVocabulary", [](Files& f) { replace(f.config, R"("vocab_size": 64)", R"("vocab_size": 2147483648)"); }, "config.json",
       "vocab_size"},
      {"LargestVocabulary", [](Files& f) { replace(f.config, R"("vocab_size": 64)", R"("vocab_size": 2147483647)"); }, "model.safetensors",
       "64"},
      {"ManyLayers", [](Files& f) { replace(f.config, R"("num_hidden_layers": 2)", R"("num_hidden_layers": 1000)"); }, "model.safetensors",
       "model.layers.2."},
      {"IndexOutsideTheFolder", [](Files& f) { f.index = R"({"metadata": {}, "weight_map": {"lm_head.weight": "../../etc/passwd"}})"; },
       "model.safetensors.index.json", "../../etc/passwd"},
      {"IndexOfAbsolutePath", [](Files& f) { f.index = R"({"metadata": {}, "weight_map": {"lm_head.weight": "/etc/passwd"}})"; },
       "model.safetensors.index.json", "/etc/passwd"},
      {"NaNWeights",
       [](Files& f) {
         auto weights = test::tiny_llama_weights();
         for (float& v : weights.at("model.norm.weight").mutable_data<float>()) v = std::numeric_limits<float>::quiet_NaN();
         const std::string path = testing::TempDir() + "lazuli_nan_" + std::to_string(getpid());
         save_safetensors(path, weights);
         f.weights = read_file(path, size_t{1} << 24);
         std::filesystem::remove(path);
       },
       "generate", "NaN"},
      {"TokenIdBeyondTheModel", [](Files& f) { replace(f.tokenizer, R"("a": 0)", R"("a": 1000)"); }, "", "1000"},
      {"HugeTokenId", [](Files& f) { replace(f.tokenizer, R"("a": 0)", R"("a": 2147483647)"); }, "tokenizer.json", "an integer in 0 to"},
      {"MergeOfUnknownTokens", [](Files& f) { replace(f.tokenizer, R"("a b")", R"("a z")"); }, "tokenizer.json", "z"},
  };
  return all;
}

class HostileFiles : public testing::TestWithParam<Hostile> {};

TEST_P(HostileFiles, GetOneLineThatNamesTheFault) {
  const TestFolder folder;
  Files files;
  save_safetensors(folder / "model.safetensors", test::tiny_llama_weights());
  files.weights = read_file(folder / "model.safetensors", size_t{1} << 24);
  GetParam().spoil(files);
  const auto write = [&](const std::string& name, const std::string& bytes) { std::ofstream(folder / name, std::ios::binary) << bytes; };
  if (files.index.empty()) {
    write("model.safetensors", files.weights);
  } else {
    write("model.safetensors.index.json", files.index);
    std::filesystem::remove(folder / "model.safetensors");
  }
  write("config.json", files.config);
  write("tokenizer.json", files.tokenizer);
  const Program program(folder, {"generate", "--model", folder / "", "--prompt", "ab a", "--max-tokens", "3", "--threads", "1"});
  EXPECT_EQ(program.wait(), 1);
  const std::string message = program.err();
  EXPECT_THAT(message, testing::StartsWith("lazuli: error: "));
  EXPECT_THAT(message, testing::HasSubstr(GetParam().file));
  EXPECT_THAT(message, testing::HasSubstr(GetParam().fault));
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 1) << message;
}

INSTANTIATE_TEST_SUITE_P(Corpus, HostileFiles, testing::ValuesIn(corpus()), [](const auto& chosen) { return chosen.param.name; });

}  // namespace
}  // namespace lazuli
