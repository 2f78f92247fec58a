// Declares write_json, which writes a value that was read.
#pragma once

#include "base/json.h"
#include "base/json_writer.h"

namespace lazuli {

/// Numbers that JSON or most of its readers do not have are written as texts, so that nothing is lost.
void write_json(JsonWriter& w, const JsonValue& value);

}  // namespace lazuli
