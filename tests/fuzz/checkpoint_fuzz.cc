// Reads any bytes as config.json, with a zero byte then as model.safetensors.index.json, beside a small model's weights.
#include "fuzz.h"
#include "lazuli/model.h"
#include "support/tiny_llama.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lazuli;
  static const bool written = [] {
    save_safetensors(fuzz::folder().path("model.safetensors"), test::tiny_llama_weights());
    return true;
  }();
  const fuzz::TwoParts parts(fuzz::text_of(data, size));
  return fuzz::survive([&] {
    fuzz::folder().write("config.json", parts.first);
    if (written && !parts.second.empty()) {
      fuzz::folder().write("model.safetensors.index.json", parts.second);
    } else {
      std::filesystem::remove(fuzz::folder().path("model.safetensors.index.json"));
    }
    load_model(fuzz::folder().path());
  });
}
