// Implements the writing of values that were read.
#include "base/json_copy.h"

namespace lazuli {

void write_json(JsonWriter& w, const JsonValue& value) {
  if (value.is_object()) {
    w.begin_object();
    for (const JsonMember& m : value.as_object()) {
      w.key(m.key);
      write_json(w, m.value);
    }
    w.end_object();
  } else if (value.is_array()) {
    w.begin_array();
    for (const JsonValue item : value.as_array()) write_json(w, item);
    w.end_array();
  } else if (value.is_string()) {
    w.value(value.loose_string());
  } else if (value.is_bool()) {
    w.value(value.as_bool());
  } else if (value.is_int()) {
    w.value(value.as_int());
  } else if (!value.odd_number().empty()) {
    w.value(value.odd_number());
  } else if (value.is_number()) {
    w.value(value.as_double());
  } else {
    w.value(nullptr);
  }
}

}  // namespace lazuli
