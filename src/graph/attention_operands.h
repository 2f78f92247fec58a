// Defines AttentionOperands, the attributes and operands of sdpa, sdpa_backward and sdpa_packed by name.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "lazuli/operation.h"

namespace lazuli {

/// Optional operands of attention, as bits of the attribute i3 and in the order in which they follow `length`.
enum class AttentionPart : uint8_t { mask = 1, softcap = 2, sinks = 4, first_key = 8, blocks = 16 };
inline constexpr AttentionPart kAttentionParts[] = {AttentionPart::mask, AttentionPart::softcap, AttentionPart::sinks,
                                                    AttentionPart::first_key, AttentionPart::blocks};
/// A page has a multiple of so many keys, so that kernels find all keys of a tile in one page.
inline constexpr int64_t kPageUnit = 64;
/// The part as one word.
const char* name_of(AttentionPart part);

/// What sdpa and its relatives are told: which keys a query sees beside those that operands decide, and where operands are.
struct AttentionOperands {
  /// Windows that end nowhere.
  static constexpr int64_t kAll = int64_t{1} << 30;

  AttentionOperands(Op op, const Attrs& attrs);
  /// The number of an optional operand; nothing where it is not given.
  std::optional<size_t> find(AttentionPart part) const;
  /// Keys that a query may be told to see, of operands with a `shape`: tokens of k, or of all pages of a row.
  template <class Specs>
  int64_t keys(const Specs& operands) const {
    const auto blocks = find(AttentionPart::blocks);
    return operands[1].shape[2] * (blocks ? operands[*blocks].shape[1] : 1);
  }
  /// Bytes of k and v that no row reads since they are pools with more blocks than the rows have pages.
  template <class Specs>
  double unread_bytes(const Specs& operands) const {
    const auto blocks = find(AttentionPart::blocks);
    if (!blocks) return 0;
    const int64_t spare = std::max<int64_t>(operands[1].shape[0] - operands[*blocks].shape.numel(), 0);
    double bytes = 0;
    for (const size_t k : {size_t{1}, size_t{2}}) {
      const auto& pool = operands[k];
      bytes += static_cast<double>(spare * pool.shape[1] * pool.shape[2] * pool.shape[3]) * static_cast<double>(size_of(pool.dtype));
    }
    return bytes;
  }

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
