// Loads any bytes as the vocabulary that their first byte chooses in a folder without tokenizer.json and, where that succeeds, encodes a
// text.
#include <array>

#include "fuzz.h"
#include "lazuli/tokenizer.h"

namespace {

/// A class, the file that it reads, and what stands beside that.
struct Kind {
  const char* file;
  const char* settings;
};
constexpr std::array<Kind, 7> kKinds = {{{"tokenizer.model", "{}"},
                                         {"tokenizer.model", R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": true})"},
                                         {"tokenizer.model", R"({"tokenizer_class": "GemmaTokenizer"})"},
                                         {"sentencepiece.bpe.model", R"({"tokenizer_class": "XLMRobertaTokenizer"})"},
                                         {"vocab.txt", R"({"tokenizer_class": "BertTokenizer"})"},
                                         {"vocab.json", R"({"tokenizer_class": "GPT2Tokenizer"})"},
                                         {"merges.txt", R"({"tokenizer_class": "Qwen2Tokenizer"})"}}};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lazuli;
  if (size == 0) return 0;
  const Kind& kind = kKinds[data[0] % kKinds.size()];
  return fuzz::survive([&] {
    for (const Kind& other : kKinds) std::filesystem::remove(fuzz::folder().path(other.file));
    fuzz::folder().write("config.json", R"({"model_type": "llama"})");
    fuzz::folder().write("tokenizer_config.json", kind.settings);
    fuzz::folder().write("vocab.json", R"({"a": 0, "b": 1, "ab": 2})");
    fuzz::folder().write("merges.txt", "a b\n");
    fuzz::folder().write(kind.file, fuzz::text_of(data + 1, size - 1));
    Tokenizer::load(fuzz::folder().path()).encode("the <x> Cat");
  });
}
