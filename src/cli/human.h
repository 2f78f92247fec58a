// Declares how the commands write sizes, counts and values for people, and JSON that was read as JSON again.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "base/json_writer.h"
#include "explain/workload.h"

namespace lazuli::cli {

/// `31.8 MB`: decimal units, three digits.
std::string human_bytes(double bytes);
/// `15.9 M`.
std::string human_count(double count);
void write_json(JsonWriter& w, const JsonValue& value);
void write_json(JsonWriter& w, const MemoryUse& use);

}  // namespace lazuli::cli
