// Checks the names of operands against the counts of the table.
#include "graph/operands.h"

#include <gtest/gtest.h>

#include <set>

#include "lazuli/op.h"

namespace lazuli {
namespace {

/// Ops some of whose operands an attribute tells of.
bool has_parts(Op op) { return op == Op::sdpa || op == Op::sdpa_backward || op == Op::linear || op == Op::quantized_linear; }

TEST(Operands, EveryOneHasAName) {
  for (int k = 0; k < kOpCount; ++k) {
    const Op op = static_cast<Op>(k);
    const OpInfo& row = info(op);
    const auto count = static_cast<int>(operand_names(op).size());
    if (row.max_inputs < 0) {
      EXPECT_GE(count, row.min_inputs) << row.name;
    } else {
      EXPECT_EQ(count, has_parts(op) ? row.min_inputs : row.max_inputs) << row.name;
    }
  }
}

TEST(Operands, NamesOfAnOpDiffer) {
  for (int k = 0; k < kOpCount; ++k) {
    const auto names = operand_names(static_cast<Op>(k));
    EXPECT_EQ(std::set<std::string_view>(names.begin(), names.end()).size(), names.size()) << name_of(static_cast<Op>(k));
  }
}

TEST(Operands, StandAtTheirNumbers) {
  EXPECT_EQ(operand::layer_norm::eps, 3U);
  EXPECT_EQ(operand::silu::x, 0U);
  EXPECT_EQ(operand_name(Op::layer_norm, operand::layer_norm::bias), "bias");
  EXPECT_EQ(operand_name(Op::add, operand::add::b), "b");
  EXPECT_EQ(operand_name(Op::concat, 0), "part");
  EXPECT_EQ(operand_name(Op::concat, 7), "part");
  EXPECT_EQ(operand_name(Op::full, 0), "");
}

}  // namespace
}  // namespace lazuli
