// Reads any bytes as a file of JSON lines.
#include "fuzz.h"
#include "io/text_data.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lazuli;
  return fuzz::survive([&] {
    fuzz::folder().write("rows.jsonl", fuzz::text_of(data, size));
    read_documents(fuzz::folder().path("rows.jsonl"));
  });
}
