// Loads any bytes as the file beside tokenizer.json that their first byte chooses and, where that succeeds, encodes a text.
#include <array>
#include <fstream>
#include <iterator>

#include "fuzz.h"
#include "lazuli/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lazuli;
  static const std::string tokenizer = [] {
    std::ifstream file(std::string(LAZULI_SOURCE_DIR) + "/tests/text/tokenizer_data/files/byte_level.json");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  static constexpr std::array<const char*, 4> names = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
                                                       "config.json"};
  if (size == 0) return 0;
  return fuzz::survive([&] {
    for (const char* name : names) fuzz::folder().write(name, "{}");
    fuzz::folder().write("tokenizer.json", tokenizer);
    fuzz::folder().write(names[data[0] % names.size()], fuzz::text_of(data + 1, size - 1));
    Tokenizer::load(fuzz::folder().path("tokenizer.json")).encode("the <x> Cat");
  });
}
