// The table of formats of quantised weights, as constants from which kernels are made.
#pragma once

#include "lazuli/quant_format.h"

namespace lazuli {

namespace quant_table {

// Dettmers et al., "QLoRA" (2023), appendix E: quantiles of the normal distribution.
inline constexpr float kNf4[16] = {-1.0F,
                                   -0.6961928009986877F,
                                   -0.5250730514526367F,
                                   -0.39491748809814453F,
                                   -0.28444138169288635F,
                                   -0.18477343022823334F,
                                   -0.09105003625154495F,
                                   0.0F,
                                   0.07958029955625534F,
                                   0.16093020141124725F,
                                   0.24611230194568634F,
                                   0.33791524171829224F,
                                   0.44070982933044434F,
                                   0.5626170039176941F,
                                   0.7229568362236023F,
                                   1.0F};
// The 4-bit float E2M1 of the OCP Microscaling Formats specification 1.0.
inline constexpr float kE2m1[16] = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6, 0, -0.5F, -1, -1.5F, -2, -3, -4, -6};
// llama.cpp's non-linear 4-bit type.
inline constexpr float kIq4Nl[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

constexpr QuantFormat blocks(QuantFormatId id, std::string_view name, int block, int block_bytes, QuantBits low, QuantScale scale) {
  QuantFormat f;
  f.id = id;
  f.name = name;
  f.block = block;
  f.block_bytes = block_bytes;
  f.low = low;
  f.scale = scale;
  return f;
}

constexpr QuantFormat tensors(QuantFormatId id, std::string_view name, int block, QuantBits low, int group) {
  QuantFormat f = blocks(id, name, block, 0, low, {QuantNumber::real, 0, group});
  f.storage = QuantStorage::tensors;
  return f;
}

/// A row of integers less `offset`.
constexpr QuantFormat with_offset(QuantFormat f, int offset) {
  f.offset = offset;
  return f;
}

constexpr QuantFormat with_signs(QuantFormat f) {
  f.is_signed = true;
  return f;
}

constexpr QuantFormat with_codebook(QuantFormat f, const float* values, float unit) {
  f.codebook = values;
  f.codebook_unit = unit;
  return f;
}

/// K formats: scales and minima of 6 bits, each times one f16 of the block.
constexpr QuantFormat with_minima(QuantFormat f) {
  f.super_scale = {QuantNumber::real, 0, 256};
  f.zero = QuantZero::minimum;
  f.minimum = {QuantNumber::six_bits_minimum, f.scale.at, f.scale.group};
  f.super_minimum = {QuantNumber::real, 2, 256};
  return f;
}

constexpr QuantFormat with_high(QuantFormat f, QuantBits high) {
  f.high = high;
  return f;
}

constexpr QuantFormat with_super_scale(QuantFormat f, QuantScale scale) {
  f.super_scale = scale;
  return f;
}

constexpr QuantFormat with_zero(QuantFormat f, QuantZero zero, QuantNumber number, QuantOrder order, bool permuted) {
  f.zero = zero;
  f.minimum = {number, 0, f.scale.group};
  f.order = order;
  f.permuted = permuted;
  return f;
}

/// bitsandbytes' NF4 with double quantisation: 64 numbers share a byte, 256 of these a float, and all of them one offset.
constexpr QuantFormat nf4() {
  QuantFormat f = with_codebook(tensors(QuantFormatId::nf4, "nf4", 2, {4, 0, 1, true}, 64), kNf4, 0);
  f.scale.number = QuantNumber::table;
  f.super_scale = {QuantNumber::real, 0, 64 * 256};
  f.order = QuantOrder::flat;
  f.scale_offset = true;
  return f;
}

inline constexpr QuantFormat kFormats[] = {
    // Lazuli's own: a scale for each row; a scale for each 32 of a row, two codes in a byte.
    with_signs(tensors(QuantFormatId::int8, "int8", 1, {8}, 0)),
    with_offset(tensors(QuantFormatId::int4, "int4", 32, {4}, 32), 8),
    // GGUF's blocks.
    with_offset(blocks(QuantFormatId::q4_0, "q4_0", 32, 18, {4, 2, 16}, {QuantNumber::real, 0, 32}), 8),
    with_signs(blocks(QuantFormatId::q8_0, "q8_0", 32, 34, {8, 2, 32}, {QuantNumber::real, 0, 32})),
    with_minima(blocks(QuantFormatId::q4_k, "q4_k", 256, 144, {4, 16, 32}, {QuantNumber::six_bits, 4, 32})),
    with_high(with_minima(blocks(QuantFormatId::q5_k, "q5_k", 256, 176, {4, 48, 32}, {QuantNumber::six_bits, 4, 32})), {1, 16, 32}),
    with_super_scale(
        with_high(with_offset(blocks(QuantFormatId::q6_k, "q6_k", 256, 210, {4, 0, 64}, {QuantNumber::byte, 192, 16}), 32), {2, 128, 32}),
        {QuantNumber::real, 208, 256}),
    with_codebook(blocks(QuantFormatId::iq4_nl, "iq4_nl", 32, 18, {4, 2, 16}, {QuantNumber::real, 0, 32}), kIq4Nl, 1),
    with_codebook(blocks(QuantFormatId::mxfp4, "mxfp4", 32, 17, {4, 1, 16}, {QuantNumber::exponent, 0, 32}), kE2m1, 0.5F),
    nf4(),
    // MLX: groups of 32, 64 or 128, as the shape of the scales says.
    with_zero(tensors(QuantFormatId::affine4, "affine4", 32, {4}, 0), QuantZero::bias, QuantNumber::real, QuantOrder::rows, false),
    with_zero(tensors(QuantFormatId::affine8, "affine8", 32, {8}, 0), QuantZero::bias, QuantNumber::real, QuantOrder::rows, false),
    with_zero(tensors(QuantFormatId::gptq4, "gptq4", 8, {4}, 0), QuantZero::zero_point_plus_1, QuantNumber::code, QuantOrder::inputs, true),
    with_zero(tensors(QuantFormatId::awq4, "awq4", 1, {4}, 0), QuantZero::zero_point, QuantNumber::code, QuantOrder::outputs, false),
};
static_assert(std::size(kFormats) == kQuantFormatCount - 1);

/// The entry of an id other than `none`.
constexpr const QuantFormat& entry(QuantFormatId id) { return kFormats[static_cast<size_t>(id) - 1]; }

}  // namespace quant_table

}  // namespace lazuli
