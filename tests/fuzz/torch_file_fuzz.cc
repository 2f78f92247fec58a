// Reads any bytes as a file of torch.save and every tensor of it; what begins as no archive does is read as its pickle alone.
#include "fuzz.h"
#include "io/pickled_tensors.h"
#include "io/torch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lazuli;
  const std::string_view bytes = fuzz::text_of(data, size);
  return fuzz::survive([&] {
    if (!bytes.starts_with("PK")) {
      read_pickled_tensors("any.pkl", bytes);
      return;
    }
    fuzz::folder().write("any.bin", bytes);
    const TorchFile file = TorchFile::open(fuzz::folder().path("any.bin"));
    for (const std::string& name : file.names()) {
      fuzz::survive([&] { file.tensor(name); });
    }
  });
}
