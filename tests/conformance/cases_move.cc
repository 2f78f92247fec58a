// Conformance cases of gathers, scatters and data movement.
#include "conformance/cases.h"
#include "lazuli/op.h"
#include "support/attributes.h"

namespace lazuli::conformance {

namespace {

struct Pick {
  Shape x, indices;
  int64_t axis;
};

Shape gathered(const Pick& p) {
  Shape out;
  for (int i = 0; i < p.x.rank(); ++i) {
    if (i != p.axis) out.push_back(p.x[i]);
    if (i == p.axis) {
      for (int64_t d : p.indices) out.push_back(d);
    }
  }
  return out;
}

/// Adds rounded to 16 bits one after the other differ from a sum rounded once.
Tolerance adding(DType t) { return {4, t == DType::bf16 ? 0x1p19 : t == DType::f16 ? 0x1p16 : 16, 1}; }

Cases picks(Op op, const std::vector<Pick>& list, bool scatter, bool along) {
  Cases cases;
  for (DType t : scatter ? kNumbers : kAll) {
    const auto call = [&](const Pick& p, DType index, Layout layout) {
      const int64_t size = std::max<int64_t>(1, p.x[static_cast<int>(p.axis)]);
      OpCall c{op, {laid_out(random(t, p.x, 1), layout), laid_out(random_indices(index, p.indices, size, 2), layout)}, attrs(p.axis)};
      if (scatter) c.inputs.push_back(laid_out(random(t, along ? p.indices : gathered(p), 3), layout));
      return c;
    };
    for (const Pick& p : list) {
      for (DType index : {DType::i32, DType::i64}) {
        const std::string what =
            to_string(p.x) + " at " + to_string(p.indices) + " axis " + std::to_string(p.axis) + " " + std::string(lazuli::name_of(index));
        cases.push_back({label(t, what), call(p, index, Layout::row_major), scatter ? adding(t) : kExact});
      }
    }
    for (Layout layout : kLayouts) {
      for (int64_t axis : {0, 1, 2}) {
        const Pick p{{4, 5, 6}, along ? Shape{axis == 0 ? 3 : 4, axis == 1 ? 3 : 5, axis == 2 ? 3 : 6} : Shape{3, 2}, axis};
        cases.push_back({label(t, std::string(name_of(layout)) + " axis " + std::to_string(axis)), call(p, DType::i32, layout),
                         scatter ? adding(t) : kExact});
      }
    }
  }
  return cases;
}

Cases gather_cases(Op op) {
  return picks(op,
               {{{7}, {}, 0},
                {{7}, {11}, 0},
                {{9, 33}, {5}, 0},
                {{9, 33}, {2, 3}, 0},
                {{3, 9, 5}, {4}, 1},
                {{3, 9, 5}, {2, 2}, 2},
                {{9, 5}, {0}, 0},
                {{0, 5}, {0}, 0},
                {{9, 0}, {3}, 0},
                {{50, 64}, {200}, 0}},
               op == Op::scatter_add, false);
}
const RegisterCases kGatherCases({Op::gather, Op::scatter_add}, gather_cases);

Cases along_cases(Op op) {
  return picks(
      op,
      {{{7}, {11}, 0}, {{9, 33}, {5, 33}, 0}, {{9, 33}, {9, 4}, 1}, {{3, 9, 5}, {3, 2, 5}, 1}, {{9, 5}, {0, 5}, 0}, {{9, 5}, {9, 0}, 1}},
      op == Op::scatter_along_add, true);
}
const RegisterCases kAlongCases({Op::take_along, Op::scatter_along_add}, along_cases);

Cases concat_cases(Op op) {
  Cases cases;
  const std::pair<std::vector<Shape>, int64_t> lists[] = {{{{5}}, 0},
                                                          {{{5}, {1}, {1031}}, 0},
                                                          {{{2, 3}, {4, 3}}, 0},
                                                          {{{2, 3}, {2, 5}, {2, 1}}, 1},
                                                          {{{3, 2, 5}, {3, 4, 5}}, 1},
                                                          {{{0, 3}, {2, 3}, {0, 3}}, 0},
                                                          {{{2, 0}, {2, 0}}, 1}};
  for (DType t : kAll) {
    for (const auto& [shapes, axis] : lists) {
      OpCall c{op, {}, attrs(axis)};
      std::string what;
      for (const Shape& shape : shapes) {
        c.inputs.push_back(random(t, shape, c.inputs.size() + 1));
        what += to_string(shape);
      }
      cases.push_back({label(t, what + " axis " + std::to_string(axis)), c, kExact});
    }
    for (int64_t axis : {0, 1, 2}) {
      OpCall c{op, {}, attrs(axis)};
      for (Layout layout : kLayouts) c.inputs.push_back(laid_out(random(t, {3, 4, 5}, c.inputs.size()), layout));
      cases.push_back({label(t, "all layouts axis " + std::to_string(axis)), c, kExact});
    }
  }
  return cases;
}
const RegisterCases kConcatCases({Op::concat}, concat_cases);

Cases pad_cases(Op op) {
  Cases cases;
  struct Padding {
    Shape shape;
    std::vector<int64_t> low_high;
  };
  const Padding paddings[] = {{{5}, {0, 0}},          {{5}, {2, 3}}, {{3, 33}, {1, 0, 0, 2}}, {{3, 4, 5}, {0, 1, 2, 2, 1, 0}},
                              {{0, 3}, {2, 0, 1, 1}}, {{}, {}}};
  for (DType t : kAll) {
    for (const Padding& p : paddings)
      cases.push_back({label(t, to_string(p.shape)), {op, {random(t, p.shape, 1), scalar(t, 1)}, attrs(0, 0, 0, p.low_high)}, kExact});
    for (Layout layout : kLayouts) {
      const Tensor x = laid_out(random(t, {3, 4, 5}, 2), layout);
      cases.push_back({label(t, name_of(layout)), {op, {x, scalar(t, 0)}, attrs(0, 0, 0, {1, 0, 2, 0, 3, 1})}, kExact});
    }
  }
  return cases;
}
const RegisterCases kPadCases({Op::pad}, pad_cases);

/// Updates that each row of axis 0 puts where its own offset says; the rows lie in front of the shapes.
void add_updates_by_row(Cases& cases, Op op, DType t) {
  struct Place {
    Shape x, update;
    std::vector<int64_t> starts_steps, offsets;
    int64_t axis = 1;
  };
  const Place places[] = {{{3, 7}, {3, 1}, {0, 0, 1, 1}, {6, 0, 3}},
                          {{3, 40}, {3, 8}, {0, 1, 1, 1}, {-1, 31, 8}},
                          {{4, 9, 3}, {4, 2, 2}, {0, 1, 0, 1, 3, 2}, {4, 0, -1, 2}},
                          {{3, 2, 16, 8}, {3, 2, 1, 8}, {0, 0, 0, 0, 1, 1, 1, 1}, {9, 0, 15}, 2},
                          {{3, 2, 16, 8}, {3, 2, 5, 8}, {0, 0, 0, 0, 1, 1, 1, 1}, {11, 2, 0}, 2},
                          {{2, 3, 5, 16}, {2, 3, 5, 4}, {0, 0, 0, 0, 1, 1, 1, 1}, {12, 1}, 3},
                          {{1, 6}, {1, 2}, {0, 0, 1, 1}, {4}},
                          {{3, 5}, {3, 0}, {0, 1, 1, 1}, {0, 9, -9}},
                          {{0, 5}, {0, 5}, {0, 0, 1, 1}, {}},
                          {{2, 400, 64}, {2, 300, 64}, {0, 0, 0, 1, 1, 1}, {100, 7}}};
  for (const Place& p : places) {
    for (DType index : {DType::i32, DType::i64}) {
      const OpCall c{
          op, {random(t, p.x, 1), random(t, p.update, 2), vector<int64_t>(p.offsets).to(index)}, attrs(p.axis, 0, 0, p.starts_steps)};
      cases.push_back({label(t, to_string(p.update) + " by row into " + to_string(p.x)), c, kExact});
    }
  }
  for (Layout layout : kLayouts) {
    const Tensor x = laid_out(random(t, {3, 7, 8}, 4), layout), update = laid_out(random(t, {3, 2, 4}, 3), layout);
    const OpCall c{op, {x, update, laid_out(vector<int32_t>({2, 0, 1}), layout)}, attrs(1, 0, 0, {0, 1, 2, 1, 2, 1})};
    cases.push_back({label(t, std::string("by row ") + name_of(layout)), c, kExact});
  }
}

Cases slice_update_cases(Op op) {
  Cases cases;
  struct Place {
    Shape x, update;
    std::vector<int64_t> starts_steps;
    int64_t offset = 0, axis = 0;
  };
  const Place places[] = {{{7}, {3}, {2, 1}},
                          {{7}, {3}, {0, 3}},
                          {{7}, {2}, {0, 1}, 5},
                          {{5, 33}, {2, 33}, {1, 0, 1, 1}},
                          {{5, 33}, {2, 4}, {1, 3, 2, 5}, 10, 1},
                          {{2, 3, 16, 8}, {2, 3, 1, 8}, {0, 0, 0, 0, 1, 1, 1, 1}, 9, 2},
                          {{2, 3, 16, 8}, {2, 3, 5, 8}, {0, 0, 0, 0, 1, 1, 1, 1}, 11, 2},
                          {{4, 5}, {0, 5}, {1, 0, 1, 1}},
                          {{0, 5}, {0, 5}, {0, 0, 1, 1}}};
  for (DType t : kAll) {
    for (const Place& p : places) {
      for (DType index : {DType::i32, DType::i64}) {
        const OpCall c{op,
                       {random(t, p.x, 1), random(t, p.update, 2), scalar(index, static_cast<double>(p.offset))},
                       attrs(p.axis, 0, 0, p.starts_steps)};
        cases.push_back({label(t, to_string(p.update) + " into " + to_string(p.x)), c, kExact});
      }
    }
    for (Layout layout : kLayouts) {
      const Tensor update = laid_out(random(t, {2, 3, 4}, 3), layout);
      const OpCall c{op, {laid_out(random(t, {6, 7, 8}, 4), layout), update, scalar(DType::i32, 1)}, attrs(1, 0, 0, {0, 1, 2, 3, 2, 1})};
      cases.push_back({label(t, name_of(layout)), c, kExact});
    }
    add_updates_by_row(cases, op, t);
  }
  return cases;
}
const RegisterCases kSliceUpdateCases({Op::slice_update}, slice_update_cases);

Cases slice_at_cases(Op op) {
  Cases cases;
  for (DType t : kAll) {
    const auto add = [&](const std::string& what, const Tensor& x, int64_t axis, int64_t offset, int64_t size) {
      Shape out = x.shape();
      out[static_cast<int>(axis)] = size;
      cases.push_back(
          {label(t, what), {op, {x, scalar(DType::i32, static_cast<double>(offset))}, attrs(axis), TensorSpec{t, out}}, kExact});
    };
    add("vector", random(t, {9}, 1), 0, 4, 5);
    add("rows", random(t, {9, 33}, 1), 0, 7, 2);
    add("columns", random(t, {9, 33}, 1), 1, 3, 17);
    add("middle", random(t, {2, 9, 5}, 1), 1, 0, 9);
    add("nothing", random(t, {4, 5}, 1), 0, 4, 0);
    for (Layout layout : kLayouts) {
      for (int64_t axis : {0, 1, 2})
        add(std::string(name_of(layout)) + " axis " + std::to_string(axis), laid_out(random(t, {4, 5, 6}, 2), layout), axis, 1, 2);
    }
  }
  return cases;
}
const RegisterCases kSliceAtCases({Op::slice_at}, slice_at_cases);

Cases one_hot_cases(Op op) {
  Cases cases;
  for (DType t : kAll) {
    for (DType index : {DType::i32, DType::i64}) {
      for (const Shape& shape : {Shape{}, Shape{17}, Shape{3, 5}, Shape{0}}) {
        const Tensor x = random_indices(index, shape, 9, 1);
        cases.push_back({label(t, to_string(shape)), {op, {x}, attrs(9, static_cast<int64_t>(t))}, kExact});
      }
      const Tensor x = laid_out(random_indices(index, {3, 5}, 9, 1), Layout::column_major);
      cases.push_back({label(t, "column_major"), {op, {x}, attrs(9, static_cast<int64_t>(t))}, kExact});
    }
  }
  return cases;
}
const RegisterCases kOneHotCases({Op::one_hot}, one_hot_cases);

Cases sort_cases(Op op) {
  Cases cases;
  const auto add = [&](const std::string& what, const Tensor& x, int64_t axis) {
    const int64_t n = x.shape()[static_cast<int>(axis)];
    for (int64_t descending : {0, 1}) {
      for (int64_t k : op == Op::topk ? std::vector<int64_t>{0, std::min<int64_t>(n, 3), n} : std::vector<int64_t>{0}) {
        const std::string more = " descending " + std::to_string(descending) + " k " + std::to_string(k);
        cases.push_back({label(x.dtype(), what + more), {op, {x}, attrs(axis, descending, k)}, kExact});
      }
    }
  };
  for (DType t : kNumbers) {
    for (const Shape& shape : {Shape{1}, Shape{1031}, Shape{5, 33}, Shape{0, 4}, Shape{4, 0}})
      add(to_string(shape), random(t, shape, 1), shape.rank() - 1);
    add("first axis", random(t, {33, 5}, 2), 0);
    add("many equal", random(t, {3, 100}, 3, 0, 1).to(DType::i32).to(t), 1);
    add("special", special(t), 0);
    for (Layout layout : kLayouts) add(name_of(layout), laid_out(random(t, {4, 9, 5}, 4), layout), 1);
  }
  return cases;
}
const RegisterCases kSortCases({Op::sort, Op::topk}, sort_cases);

Cases dequantize_cases(Op op) {
  Cases cases;
  for (DType q : {DType::i8, DType::u8}) {
    for (DType scale : {DType::f32, DType::bf16, DType::f16}) {
      for (DType t : {DType::f32, DType::bf16, DType::f16}) {
        for (bool zeros : {false, true}) {
          for (const Shape& shape : {Shape{64}, Shape{3, 96}, Shape{2, 3, 32}, Shape{0, 32}}) {
            Shape groups = shape;
            groups[groups.rank() - 1] /= 32;
            OpCall c{op, {random(q, shape, 1, -128, 127), random(scale, groups, 2, 0, 1)}, attrs(32, static_cast<int64_t>(t))};
            if (zeros) c.inputs.push_back(random(scale, groups, 3, 0, 15));
            const std::string what =
                std::string(lazuli::name_of(q)) + " " + std::string(lazuli::name_of(scale)) + to_string(shape) + (zeros ? " zeros" : "");
            cases.push_back({label(t, what), c, {}});
            for (Tensor& x : c.inputs) x = laid_out(x, Layout::column_major);
            cases.push_back({label(t, what + " column_major"), c, {}});
          }
        }
      }
    }
  }
  return cases;
}
const RegisterCases kDequantizeCases({Op::dequantize}, dequantize_cases);

}  // namespace
}  // namespace lazuli::conformance
