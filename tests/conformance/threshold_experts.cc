// The cases around the thresholds of products of rows with the matrices that they chose.
#include "conformance/thresholds.h"
#include "lazuli/op.h"
#include "support/attributes.h"

namespace lazuli::conformance {

void add_chosen(Cases& cases, const ChosenSizes& s) {
  if (s.rows < s.last || s.n < 1 || s.k < 1) return;
  std::vector<int32_t> chosen;
  for (int64_t i = 0; i < s.rows; ++i) {
    chosen.push_back(static_cast<int32_t>(i < s.last || s.experts == 1 ? s.experts - 1 : i % (s.experts - 1)));
  }
  const Tensor choice = Tensor::from_vector(chosen, {s.rows, 1});
  for (DType t : kProductTypes) {
    const std::string what = to_string(Shape{s.rows, s.n, s.k, s.experts, s.last});
    const Tensor x = quick_numbers(t, {s.rows, 1, s.k}, 1), y = quick_numbers(t, {s.rows, 1, s.n}, 3);
    for (const bool transposed : {false, true}) {
      const Shape w = transposed ? Shape{s.experts, s.n, s.k} : Shape{s.experts, s.k, s.n};
      cases.push_back({label(t, (transposed ? "x w^T " : "x w ") + what),
                       {Op::gather_matmul, {x, quick_numbers(t, w, 2), choice}, attrs(transposed ? 1 : 0)},
                       {8, 64, 1}});
    }
    cases.push_back({label(t, "outer " + what), {Op::gather_outer, {x, y, choice}, attrs(s.experts)}, {8, 64, 1}});
  }
}

std::vector<Around> around_experts() {
  return {
      {"experts.kFewRows",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_chosen(c, {2 * m + 5, 70, 40, 4, m});
       }},
      {"experts.kTaskBytes",
       [](Cases& c, int64_t v, bool) {
         const int64_t columns = v / 4 / 1024 / 32 * 32;
         for (const int64_t n : near(columns)) add_chosen(c, {5, n, 1024, 2, 3});
         for (const int64_t n : near(columns)) add_chosen(c, {40, n, 1024, 2, 30});
       }},
      {"experts.kPackedRows",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_chosen(c, {m, 20, 33, 5}), add_chosen(c, {2 * m, 20, 33, 2, m});
       }},
      {"experts.kOuterRows",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t k : near(v)) add_chosen(c, {30, 20, k, 3, 9});
       }},
      {"experts.kOuterColumns",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t n : near(v)) add_chosen(c, {30, n, 20, 3, 9});
       }},
      {"experts.kOuterPiece",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_chosen(c, {m + 7, 40, 30, 2, m});
       }},
  };
}

}  // namespace lazuli::conformance
