#include "backend/cuda/stored_weight.h"

#include <fmt/format.h>

#include <algorithm>

namespace lazuli::cuda {

namespace {

void add_scale(KernelText& text, const std::string& name, const QuantScale& scale) {
  text.number(name + "_KIND", static_cast<int64_t>(scale.number));
  text.number(name + "_AT", scale.at);
  text.number(name + "_GROUP", std::max(scale.group, 1));
}

void add_bits(KernelText& text, const std::string& name, const QuantBits& bits) {
  text.number(name + "_BITS", bits.bits).number(name + "_AT", bits.at).number(name + "_RUN", bits.run);
}

void add_blocks(KernelText& text, const QuantFormat& f) {
  text.number("BLOCK", f.block).number("BLOCK_BYTES", f.block_bytes);
  add_bits(text, "LOW", f.low);
  add_bits(text, "HIGH", f.high);
  text.number("IS_SIGNED", f.is_signed ? 1 : 0).number("OFFSET", f.offset).number("HAS_CODEBOOK", f.codebook != nullptr ? 1 : 0);
  if (f.codebook != nullptr) text.numbers("CODEBOOK", {f.codebook, size_t{1} << f.bits()});
  for (const auto& [name, kind] : {std::pair{"REAL", QuantNumber::real},
                                   {"EXPONENT", QuantNumber::exponent},
                                   {"BYTE", QuantNumber::byte},
                                   {"SIX_BITS", QuantNumber::six_bits},
                                   {"SIX_BITS_MINIMUM", QuantNumber::six_bits_minimum}}) {
    text.number(name, static_cast<int64_t>(kind));
  }
  add_scale(text, "SCALE", f.scale);
  add_scale(text, "SUPER", f.super_scale);
  add_scale(text, "MINIMUM", f.minimum);
  add_scale(text, "SUPER_MINIMUM", f.super_minimum);
}

}  // namespace

Launch stored_weight_launch(const KernelRequest& parts, const QuantFormat& format, DType dtype, int64_t count, int64_t columns) {
  KernelText text;
  text.type("T", dtype);
  if (format.storage == QuantStorage::blocks) {
    add_blocks(text, format);
    return launch_file(parts, text, "quantized_weight", {count}, blocks_for(count), 256);
  }
  text.type("S", parts.inputs[1].dtype).number("BITS", format.bits());
  return launch_file(parts, text, "quantized_weight", {count, columns}, blocks_for(count / 2), 256);
}

}  // namespace lazuli::cuda
