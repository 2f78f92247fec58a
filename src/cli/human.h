// Declares how the commands read sizes, and write memory.
#pragma once

#include <cstdint>
#include <string>

#include "base/human_size.h"
#include "base/json_copy.h"
#include "base/json_writer.h"
#include "explain/workload.h"

namespace lazuli::cli {

/// Bytes of `2GB`, `1.5MiB` or `1000`. Throws UsageError naming `option`.
uint64_t parse_bytes(const std::string& option, const std::string& text);
/// What tensors took, as counters at the end of a trace.
void trace_allocator();
/// The field "allocator": what tensors took.
void write_allocator(JsonWriter& w);
void write_json(JsonWriter& w, const MemoryUse& use);

}  // namespace lazuli::cli
