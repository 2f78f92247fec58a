// Parses any bytes as JSON and reads every value of what parses.
#include "base/json.h"
#include "fuzz.h"

namespace {

void visit(const lazuli::JsonValue& value) {
  using lazuli::fuzz::survive;
  survive([&] { value.as_int(); });
  survive([&] { value.as_double(); });
  survive([&] { value.as_string(); });
  if (value.is_object()) {
    for (const lazuli::JsonMember& member : value.as_object()) {
      value.find(member.key);
      visit(member.value);
    }
  }
  if (!value.is_array()) return;
  for (const lazuli::JsonValue& item : value.as_array()) visit(item);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lazuli;
  return fuzz::survive([&] { visit(JsonDocument::parse(fuzz::text_of(data, size), "json").root()); });
}
