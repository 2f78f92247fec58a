// Opens any bytes as a safetensors file and reads every tensor of it.
#include "fuzz.h"
#include "lazuli/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lazuli;
  return fuzz::survive([&] {
    fuzz::folder().write("any.safetensors", fuzz::text_of(data, size));
    const SafetensorsFile file = SafetensorsFile::open(fuzz::folder().path("any.safetensors"));
    for (const std::string& name : file.names()) {
      fuzz::survive([&] { file.tensor(name).contiguous(); });
    }
  });
}
