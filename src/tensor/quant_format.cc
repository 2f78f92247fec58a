// Implements the lookup of formats and the tensors that they are made of.
#include "lazuli/quant_format.h"

#include <fmt/format.h>

#include "lazuli/error.h"
#include "tensor/quant_table.h"

namespace lazuli {

namespace {

template <class... T>
constexpr uint32_t any_of(T... types) {
  return ((1U << static_cast<int>(types)) | ...);
}
constexpr uint32_t kFloats = any_of(DType::f32, DType::f16, DType::bf16);

int64_t divided(const QuantFormat& f, int64_t size, int64_t by, std::string_view what) {
  if (size % by == 0) return size / by;
  throw ShapeError(fmt::format("[{}] {} {} are no multiple of {}", f.name, size, what, by));
}

struct List {
  QuantParts parts;
  void add(std::string_view name, const Shape& shape, uint32_t dtypes, bool optional = false) {
    parts.list[static_cast<size_t>(parts.count++)] = {name, shape, dtypes, optional};
  }
};

/// Words of 32 bits along the inputs or along the outputs, with packed zero points.
QuantParts parts_of_words(const QuantFormat& f, int64_t outputs, int64_t inputs, int64_t groups) {
  List list;
  const int64_t in_word = 32 / f.bits(), packed = divided(f, outputs, in_word, "outputs");
  if (f.order == QuantOrder::inputs) {
    list.add("values", {divided(f, inputs, in_word, "inputs"), outputs}, any_of(DType::i32));
  } else {
    list.add("values", {inputs, packed}, any_of(DType::i32));
  }
  list.add("scales", {groups, outputs}, kFloats);
  list.add("zero points", {groups, packed}, any_of(DType::i32));
  if (f.permuted) list.add("groups", {inputs}, any_of(DType::i32), true);
  return list.parts;
}

/// The codes of all rows, one after the other.
QuantParts parts_of_flat(const QuantFormat& f, int64_t outputs, int64_t inputs) {
  List list;
  const int64_t count = outputs * inputs, scales = divided(f, count, f.scale.group, "numbers");
  list.add("values", {divided(f, count, 8 / f.bits(), "numbers")}, any_of(DType::u8));
  list.add("scales", {scales}, any_of(DType::u8));
  list.add("table", {256}, any_of(DType::f32));
  list.add("scales of scales", {(count + f.super_scale.group - 1) / f.super_scale.group}, any_of(DType::f32));
  list.add("offset", {}, any_of(DType::f32));
  return list.parts;
}

}  // namespace

std::span<const QuantFormat> quant_formats() { return quant_table::kFormats; }

const QuantFormat& quant_format(QuantFormatId id) {
  if (id != QuantFormatId::none && static_cast<int>(id) < kQuantFormatCount) return quant_table::entry(id);
  throw ValueError(fmt::format("[quant_format] there is no format with the number {}", static_cast<int>(id)));
}

const QuantFormat* find_quant_format(std::string_view name) {
  for (const QuantFormat& f : quant_table::kFormats) {
    if (f.name == name) return &f;
  }
  return nullptr;
}

std::string_view name_of(QuantFormatId id) { return id == QuantFormatId::none ? "none" : quant_format(id).name; }

QuantParts parts_of(const QuantFormat& f, int64_t outputs, int64_t inputs, int64_t group) {
  List list;
  const int64_t blocks = divided(f, inputs, f.block, "inputs");
  if (f.storage == QuantStorage::blocks) {
    list.add("blocks", {outputs, blocks * f.block_bytes}, any_of(DType::u8));
    return list.parts;
  }
  if (f.order == QuantOrder::flat) return parts_of_flat(f, outputs, inputs);
  const int64_t shared = f.scale.group != 0 ? f.scale.group : group != 0 ? group : inputs;
  const int64_t groups = f.scale.group == 0 && group == 0 ? 1 : divided(f, inputs, shared, "inputs");
  if (f.order != QuantOrder::rows) return parts_of_words(f, outputs, inputs, groups);
  list.add("values", {outputs, inputs * f.bits() / 8}, any_of(f.is_signed ? DType::i8 : DType::u8));
  list.add("scales", {outputs, groups}, f.zero == QuantZero::none ? any_of(DType::f32, DType::f16) : kFloats);
  if (f.zero != QuantZero::none) list.add("biases", {outputs, groups}, kFloats);
  return list.parts;
}

}  // namespace lazuli
