// Loads any bytes as tokenizer.json and, where that succeeds, encodes and decodes a few texts.
#include "fuzz.h"
#include "lazuli/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lazuli;
  return fuzz::survive([&] {
    fuzz::folder().write("tokenizer.json", fuzz::text_of(data, size));
    const Tokenizer tokenizer = Tokenizer::load(fuzz::folder().path("tokenizer.json"));
    for (const std::string_view text :
         {"", "Hello, world 123!", "\xE4\xBD\xA0\xE5\xA5\xBD e\xCC\x81 \xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x9A\x80\n\t  x",
          "\xFF\xC0\x80"}) {
      fuzz::survive([&] { tokenizer.decode(tokenizer.encode(text), false); });
    }
  });
}
