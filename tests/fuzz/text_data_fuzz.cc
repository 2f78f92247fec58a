// Reads any bytes as each kind of data: JSON lines, JSON, a table, and a file that only its bytes can tell about.
#include "fuzz.h"
#include "text/text_data.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lazuli;
  for (const char* name : {"rows.jsonl", "rows.json", "rows.csv", "rows"}) {
    fuzz::survive([&] {
      fuzz::folder().write(name, fuzz::text_of(data, size));
      read_documents(fuzz::folder().path(name));
    });
  }
  return 0;
}
