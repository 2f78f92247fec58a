// Defines ExpertRows, the rows of a product in the order of the experts that they chose.
#pragma once

#include "backend/cpu/common/common.h"

namespace lazuli::cpu {

/// Where things lie in the part of a run's scratch that sort() fills.
struct ExpertRows {
  Op op;
  int64_t rows = 0, each = 0, experts = 0;
  int64_t slots() const { return rows * each; }
  /// Experts that at least one row chose, at most.
  int64_t most_groups() const { return experts < slots() ? experts : slots(); }
  /// Of the scratch, in whole cache lines.
  size_t bytes() const;
  /// Reads `chosen`, row-major. Throws ValueError for a number that is no expert's.
  void sort(const int32_t* chosen, void* scratch) const;

  /// What sort() made.
  struct View {
    const int32_t* starts;  ///< of each expert's rows in `order`, and the end of the last one's
    const int32_t* order;   ///< numbers of choices, by expert and then ascending
    const int32_t* groups;  ///< the experts with rows, ascending
    int64_t count;          ///< of these
  };
  View view(const void* scratch) const;
  /// The row of an operand (rows, each or 1, size) for a choice, in elements.
  static int64_t row_at(const OperandSpec& x, int64_t slot, int64_t each) {
    return slot / each * x.strides[0] + (x.shape[1] == 1 ? 0 : slot % each * x.strides[1]);
  }
};

/// The phase that sorts; `input`: the operand `chosen`.
struct SortRows {
  ExpertRows rows;
  size_t input;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    if (begin < end) rows.sort(static_cast<const int32_t*>(args.in[input]), args.scratch);
  }
};

}  // namespace lazuli::cpu
