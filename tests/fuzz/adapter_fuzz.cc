// Reads any bytes as adapter_config.json and, after a zero byte, adapter_model.safetensors.
#include "fuzz.h"
#include "lazuli/adapter.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lazuli;
  static const std::vector<LinearInfo> layers = {{"model.layers.0.self_attn.q_proj", 4, 8}, {"model.layers.0.mlp.up_proj", 4, 6}};
  const fuzz::TwoParts parts(fuzz::text_of(data, size));
  return fuzz::survive([&] {
    fuzz::folder().write("adapter_config.json", parts.first);
    fuzz::folder().write("adapter_model.safetensors", parts.second);
    Adapter::load(fuzz::folder().path(), layers);
  });
}
