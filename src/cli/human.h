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
/// Bytes of `2GB`, `1.5MiB` or `1000`. Throws UsageError naming `option`.
uint64_t parse_bytes(const std::string& option, const std::string& text);
/// `15.9 M`.
std::string human_count(double count);
/// The field "allocator": what tensors took.
void write_allocator(JsonWriter& w);
void write_json(JsonWriter& w, const JsonValue& value);
void write_json(JsonWriter& w, const MemoryUse& use);

}  // namespace lazuli::cli
