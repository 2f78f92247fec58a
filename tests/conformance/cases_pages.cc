// Conformance cases of storing tokens in pages.
#include "conformance/cases.h"
#include "lazuli/op.h"

namespace lazuli::conformance {

namespace {

struct PageUpdateSetup {
  std::string label;
  Shape pool, x;
  std::vector<int32_t> blocks;   ///< of all rows
  std::vector<int64_t> offsets;  ///< one: the same for all rows
};

const PageUpdateSetup kUpdates[] = {
    {"a token a row", {7, 2, 16, 8}, {3, 2, 1, 8}, {5, 0, 1, 6, 4, 2}, {3, 31, 16}},
    {"tokens over borders", {7, 2, 16, 8}, {2, 2, 21, 8}, {5, 0, 1, 6, 4, 2}, {15, 0}},
    {"one offset", {7, 1, 4, 3}, {2, 1, 5, 3}, {5, 0, 1, 6, 4, 2}, {6}},
    {"whole pages", {4, 3, 5, 7}, {2, 3, 10, 7}, {3, 1, 0, 2}, {0}},
    {"pages of one token", {5, 2, 1, 6}, {1, 2, 3, 6}, {4, 0, 2}, {0}},
    {"pages left out", {5, 2, 4, 6}, {2, 2, 7, 6}, {-1, 3, -1, 0, -1, -1}, {2, 0}},
    {"all left out", {5, 2, 4, 6}, {2, 2, 4, 6}, {-1, -1}, {0}},
    {"one row", {9, 2, 16, 8}, {1, 2, 1, 8}, {0, 8}, {30}},
    {"long", {9, 2, 64, 64}, {2, 2, 200, 64}, {5, 0, 1, 6, 4, 2, 8, 7}, {50, 3}},
    {"no tokens", {5, 2, 4, 6}, {2, 2, 0, 6}, {1, 0}, {9}},
    {"no rows", {5, 2, 4, 6}, {0, 2, 3, 6}, {}, {0}},
    {"no size", {5, 2, 4, 0}, {2, 2, 3, 0}, {1, 0}, {0}},
};

Tensor table_of(const PageUpdateSetup& s) {
  const int64_t rows = s.x[0];
  return Tensor::from_vector(s.blocks, {rows, rows == 0 ? 2 : static_cast<int64_t>(s.blocks.size()) / rows});
}

Tensor offsets_of(const PageUpdateSetup& s, DType index) {
  return s.offsets.size() == 1 ? scalar(index, static_cast<double>(s.offsets[0])) : vector<int64_t>(s.offsets).to(index);
}

Cases page_update_cases(Op op) {
  Cases cases;
  for (DType t : kAll) {
    const std::string name = std::string(lazuli::name_of(t)) + " ";
    for (const PageUpdateSetup& s : kUpdates) {
      for (DType index : {DType::i32, DType::i64}) {
        const OpCall c{op, {random(t, s.pool, 1), random(t, s.x, 2), table_of(s), offsets_of(s, index)}};
        cases.push_back({name + s.label, c, {0, 0, 0}});
      }
    }
    for (Layout layout : kLayouts) {
      const Tensor pool = laid_out(random(t, {7, 2, 16, 8}, 3), layout), x = laid_out(random(t, {2, 2, 21, 8}, 4), layout);
      // A table whose rows are the same would name a block twice.
      const Tensor table = layout == Layout::repeated ? vector<int32_t>({5, 0, 1, 6, 4, 2}).reshape({2, 3})
                                                      : laid_out(vector<int32_t>({5, 0, 1, 6, 4, 2}).reshape({2, 3}), layout);
      cases.push_back({name + name_of(layout), {op, {pool, x, table, laid_out(vector<int32_t>({15, 0}), layout)}}, {0, 0, 0}});
    }
  }
  return cases;
}
const RegisterCases kPageUpdateCases({Op::page_update}, page_update_cases);

}  // namespace
}  // namespace lazuli::conformance
