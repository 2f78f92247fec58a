// Encodes any bytes with the shipped tokenizer: ids are in range, and UTF-8 text without special tokens comes back as it was.
#include <cstdlib>

#include "fuzz.h"
#include "lazuli/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lazuli;
  static const Tokenizer tokenizer = Tokenizer::load(LAZULI_SOURCE_DIR "/models/pycoder-16m");
  const std::string_view text = fuzz::text_of(data, size);
  const auto ids = tokenizer.encode(text, false);
  for (const int32_t id : ids) {
    if (id < 0 || id >= tokenizer.vocab_size()) std::abort();
  }
  const std::string back = tokenizer.decode(ids, false);
  // The same ids and text again: what repair and normal form have done once, they leave.
  if (tokenizer.decode(tokenizer.encode(back, false), false) != back) std::abort();
  Tokenizer::StreamDecoder stream(tokenizer, false);
  std::string streamed;
  for (const int32_t id : ids) streamed += stream.feed(id);
  if (streamed + stream.flush() != back) std::abort();
  return 0;
}
