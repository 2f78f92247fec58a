// Conformance cases of the rotary embedding.
#include "conformance/cases.h"
#include "lazuli/op.h"
#include "support/attributes.h"

namespace lazuli::conformance {

namespace {

/// (batch, tokens, heads, size) seen as (batch, heads, tokens, size).
Tensor heads_first(DType t, const Shape& shape, uint64_t seed) {
  const int64_t batch = shape[0], heads = shape[1], tokens = shape[2], size = shape[3];
  const Tensor x = random(t, {batch, tokens, heads, size}, seed);
  return Tensor(t, shape, {tokens * heads * size, size, heads * size, 1}, x.buffer(), x.offset_bytes());
}

/// Positions in [0, 7): as many offsets as x has rows.
Tensor offsets_of(const Tensor& x) { return random_indices(DType::i32, {x.shape()[0]}, 7, 9); }

/// x, and more operands that are turned alike, with an offset for each entry of axis 0.
OpCall by_row(Op op, std::vector<Tensor> turned, DType table, int64_t half, int64_t back) {
  int64_t tokens = 0;
  for (const Tensor& x : turned) tokens = std::max(tokens, x.shape()[x.rank() - 2]);
  const Tensor offsets = offsets_of(turned[0]);
  for (uint64_t seed : {uint64_t{2}, uint64_t{3}}) turned.push_back(random(table, {tokens + 7, half}, seed, -1, 1));
  turned.push_back(offsets);
  return {op, std::move(turned), attrs(back)};
}

void add_rope_by_row(Cases& cases, Op op, DType t) {
  for (const Shape& shape : {Shape{3, 1, 2}, Shape{4, 5, 16}, Shape{3, 2, 7, 32}, Shape{5, 3, 1, 128}, Shape{2, 2, 3, 2, 8},
                             Shape{1, 2, 3, 8}, Shape{0, 5, 8}, Shape{3, 0, 8}, Shape{3, 2, 0}}) {
    for (int64_t back : {0, 1}) {
      const std::string what = "by row " + to_string(shape) + " back " + std::to_string(back);
      cases.push_back({label(t, what), by_row(op, {random(t, shape, 1)}, back == 0 ? DType::f32 : t, shape.back() / 2, back), {4, 4, 1}});
    }
  }
  cases.push_back({label(t, "by row, first part only"), by_row(op, {random(t, {3, 5, 24}, 4)}, DType::f32, 7, 0), {4, 4, 1}});
  // More than a task of the cpu backend takes.
  cases.push_back({label(t, "by row, long"), by_row(op, {random(t, {3, 2, 300, 64}, 4)}, DType::f32, 32, 0), {4, 4, 1}});
  for (Layout layout : kLayouts) {
    OpCall c = by_row(op, {laid_out(random(t, {3, 5, 16}, 5), layout)}, DType::f32, 8, 0);
    c.inputs.back() = laid_out(c.inputs.back(), layout);
    cases.push_back({label(t, std::string("by row ") + name_of(layout)), c, {4, 4, 1}});
  }
  cases.push_back({label(t, "by row, heads first"), by_row(op, {heads_first(t, {2, 3, 5, 16}, 6)}, DType::f32, 8, 0), {4, 4, 1}});
  cases.push_back(
      {label(t, "by row, one token, heads first"), by_row(op, {heads_first(t, {4, 3, 1, 16}, 6)}, DType::f32, 8, 0), {4, 4, 1}});
}

void add_rope_pair_by_row(Cases& cases, Op op, DType t) {
  for (int64_t back : {0, 1}) {
    const DType table = back == 0 ? DType::f32 : t;
    const std::string what = "by row back " + std::to_string(back);
    cases.push_back({label(t, what), by_row(op, {random(t, {3, 6, 7, 32}, 1), random(t, {3, 2, 7, 32}, 4)}, table, 16, back), {4, 4, 1}});
    cases.push_back(
        {label(t, "one token " + what), by_row(op, {random(t, {5, 6, 1, 16}, 1), random(t, {5, 2, 1, 16}, 4)}, table, 8, back), {4, 4, 1}});
    cases.push_back(
        {label(t, "ranks " + what), by_row(op, {random(t, {2, 5, 24}, 1), random(t, {2, 2, 4, 16}, 4)}, table, 8, back), {4, 4, 1}});
    cases.push_back(
        {label(t, "no rows " + what), by_row(op, {random(t, {0, 5, 24}, 1), random(t, {0, 2, 5, 16}, 4)}, table, 8, back), {4, 4, 1}});
  }
  for (Layout layout : kLayouts) {
    OpCall c = by_row(op, {laid_out(random(t, {3, 5, 16}, 5), layout), laid_out(random(t, {3, 2, 5, 16}, 6), layout)}, DType::f32, 8, 0);
    c.inputs.back() = laid_out(c.inputs.back(), layout);
    cases.push_back({label(t, std::string("by row ") + name_of(layout)), c, {4, 4, 1}});
  }
  cases.push_back({label(t, "by row, heads first"),
                   by_row(op, {heads_first(t, {2, 3, 5, 16}, 6), heads_first(t, {2, 1, 5, 16}, 7)}, DType::f32, 8, 0),
                   {4, 4, 1}});
}

Cases rope_pair_cases(Op op) {
  Cases cases;
  const auto call = [&](const Tensor& q, const Tensor& k, DType table, int64_t back) {
    const Shape rows{q.shape()[q.rank() - 2] + 3, k.shape().back() / 2};
    return OpCall{op, {q, k, random(table, rows, 2, -1, 1), random(table, rows, 3, -1, 1), scalar(DType::i32, 1)}, attrs(back)};
  };
  for (DType t : kFloats) {
    for (DType table : {DType::f32, t}) {
      for (int64_t back : {0, 1}) {
        const std::string what = "table " + std::string(lazuli::name_of(table)) + " back " + std::to_string(back);
        cases.push_back({label(t, what), call(random(t, {2, 6, 7, 32}, 1), random(t, {2, 2, 7, 32}, 4), table, back), {4, 4, 1}});
        cases.push_back(
            {label(t, "one token " + what), call(random(t, {1, 6, 1, 16}, 1), random(t, {1, 2, 1, 16}, 4), table, back), {4, 4, 1}});
        cases.push_back({label(t, "ranks " + what), call(random(t, {5, 24}, 1), random(t, {0, 2, 5, 16}, 4), table, back), {4, 4, 1}});
      }
    }
    for (Layout layout : kLayouts) {
      cases.push_back({label(t, name_of(layout)),
                       call(laid_out(random(t, {3, 5, 16}, 5), layout), laid_out(random(t, {2, 5, 16}, 6), layout), DType::f32, 0),
                       {4, 4, 1}});
    }
    cases.push_back(
        {label(t, "heads first"), call(heads_first(t, {2, 3, 5, 16}, 6), random(t, {2, 1, 5, 16}, 7), DType::f32, 0), {4, 4, 1}});
    add_rope_pair_by_row(cases, op, t);
  }
  return cases;
}
const RegisterCases kRopePairCases({Op::rope_pair}, rope_pair_cases);

Cases rope_cases(Op op) {
  Cases cases;
  const auto call = [&](const Tensor& x, DType table, int64_t half, int64_t offset, int64_t back) {
    const Shape rows{x.shape()[x.rank() - 2] + offset + 2, half};
    return OpCall{op,
                  {x, random(table, rows, 2, -1, 1), random(table, rows, 3, -1, 1), scalar(DType::i32, static_cast<double>(offset))},
                  attrs(back)};
  };
  for (DType t : kFloats) {
    for (DType table : {DType::f32, t}) {
      for (const Shape& shape : {Shape{1, 2}, Shape{5, 16}, Shape{2, 3, 7, 32}, Shape{2, 3, 1, 128}, Shape{0, 5, 8}, Shape{3, 0, 8}}) {
        for (int64_t back : {0, 1}) {
          const std::string what = to_string(shape) + " table " + std::string(lazuli::name_of(table)) + " back " + std::to_string(back);
          cases.push_back({label(t, what), call(random(t, shape, 1), table, shape.back() / 2, back == 0 ? 3 : 0, back), {4, 4, 1}});
        }
      }
    }
    cases.push_back({label(t, "first part only"), call(random(t, {3, 5, 24}, 4), DType::f32, 7, 1, 0), {4, 4, 1}});
    for (Layout layout : kLayouts) {
      cases.push_back({label(t, name_of(layout)), call(laid_out(random(t, {3, 5, 16}, 5), layout), DType::f32, 8, 1, 0), {4, 4, 1}});
    }
    cases.push_back({label(t, "heads first"), call(heads_first(t, {2, 3, 5, 16}, 6), DType::f32, 8, 0, 0), {4, 4, 1}});
    add_rope_by_row(cases, op, t);
  }
  return cases;
}
const RegisterCases kRopeCases({Op::rope}, rope_cases);

}  // namespace
}  // namespace lazuli::conformance
