// Defines AttentionOperands, the attributes and operands of sdpa, sdpa_backward and sdpa_packed by name.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "lazuli/operation.h"

namespace lazuli {

/// Optional operands of attention, as bits of the attribute i3 and in the order in which they follow `length`.
enum class AttentionPart : uint8_t { mask = 1, softcap = 2, sinks = 4, first_key = 8 };
inline constexpr AttentionPart kAttentionParts[] = {AttentionPart::mask, AttentionPart::softcap, AttentionPart::sinks,
                                                    AttentionPart::first_key};
/// The part as one word.
const char* name_of(AttentionPart part);

/// What sdpa and its relatives are told: which keys a query sees beside those that operands decide, and where operands are.
struct AttentionOperands {
  /// Windows that end nowhere.
  static constexpr int64_t kAll = int64_t{1} << 30;

  AttentionOperands(Op op, const Attrs& attrs);
  /// The number of an optional operand; nothing where it is not given.
  std::optional<size_t> find(AttentionPart part) const;

  size_t scale;   ///< number of the operand
  size_t length;  ///< number of the operand; that of `starts` for sdpa_packed
  size_t count;   ///< of all operands
  int64_t left;   ///< a query at position p sees keys from p - left ...
  int64_t right;  ///< ... to p + right; kAll: no bound

 private:
  int64_t with_;
};

/// Sets window_left and window_right (-1: no bound) as attributes, and the optional operands that are given.
void set_attention(Attrs& attrs, bool causal, int64_t window_left, int64_t window_right, std::span<const AttentionPart> parts);

}  // namespace lazuli
