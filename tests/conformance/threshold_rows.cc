#include "conformance/threshold_rows.h"

#include <algorithm>
#include <cmath>

#include "graph/attention_operands.h"
#include "lazuli/op.h"
#include "support/attributes.h"

namespace lazuli::conformance {

namespace {

Tensor seed() { return Tensor::from_vector(std::vector<int64_t>{9}, {}); }

}  // namespace

void Rows::add(const std::string& what, OpCall call, const Tolerance& tolerance) const {
  const std::string op(lazuli::name_of(call.op));
  cases_.push_back({std::string(lazuli::name_of(t_)) + " " + op + " " + what, std::move(call), tolerance});
}

void Rows::elementwise(int64_t n) const {
  const Tensor x = numbers({n}, 1), y = positive({n}, 2);
  const std::string what = std::to_string(n);
  add(what, {Op::exp, {x}});
  add(what, {Op::add, {x, y}});
  add(what + " by a number", {Op::mul, {x, scalar(t_, 0.3)}});
  add(what, {Op::copy, {x}}, kExact);
  add(what + " strided", {Op::copy, {laid_out(numbers({n, 2}, 3), Layout::column_major)}}, kExact);
  add(what, {Op::cast, {x}, {}, TensorSpec{t_ == DType::f32 ? DType::bf16 : DType::f32, {n}}});
  add(what, {Op::pow, {y, x}}, {32, 8, 1});
  add(what, {Op::where, {random(DType::boolean, {n}, 4), x, y}}, kExact);
  program(n, 3);
}

void Rows::program(int64_t n, int64_t steps) const {
  auto p = std::make_shared<ElementwiseProgram>();
  p->inputs = 2;
  p->shape = Shape{n};
  for (int64_t k = 0; k < steps; ++k) {
    const auto last = static_cast<uint16_t>(k == 0 ? 0 : 1 + k);
    p->code.push_back({k % 2 == 0 ? Op::mul : Op::add, {last, 1, 0}, t_});
  }
  p->outputs = {static_cast<uint16_t>(1 + steps), static_cast<uint16_t>(2 + steps / 2)};
  // Every step may round to 16 bits.
  const double each = t_ == DType::bf16 ? 0x1p17 : t_ == DType::f16 ? 0x1p14 : 8;
  add(std::to_string(n) + " steps " + std::to_string(steps), {Op::fused_elementwise, {numbers({n}, 1), positive({n}, 2)}, {}, {}, p},
      {8, each * static_cast<double>(steps), 1});
}

void Rows::tiles(int64_t n) const {
  elementwise(n);
  const std::string what = std::to_string(n);
  add(what, {Op::dropout, {numbers({n}, 1), scalar(DType::f32, 0.3), seed()}});
  for (const Op op : {Op::random_uniform, Op::random_normal}) add(what, {op, {seed()}, {}, TensorSpec{t_, {n}}}, {8, 64, 1});
  for (const Op op : {Op::sum, Op::max, Op::mean}) fold(op, {n}, 1);
  for (const Op op : {Op::logsumexp, Op::var, Op::argmax}) fold(op, {2, n}, 2);
  adamw(n);
}

void Rows::adamw(int64_t n, int64_t parameters) const {
  OpCall step{Op::adamw, {}};
  for (int64_t k = 0; k < parameters; ++k) {
    const auto seed = static_cast<uint64_t>(4 * k);
    for (const Tensor& t : {numbers({n}, seed + 1), numbers({n}, seed + 2), quick_numbers(DType::f32, {n}, seed + 3),
                            random(DType::f32, {n}, seed + 4, 0, 1)}) {
      step.inputs.push_back(t);
    }
  }
  for (const double v : {1e-3, 0.9, 0.999, 1e-8, 0.01}) step.inputs.push_back(scalar(DType::f32, v));
  step.inputs.push_back(scalar(DType::i32, 3));
  step.inputs.push_back(scalar(DType::f32, 0.5));
  add(std::to_string(n) + " of " + std::to_string(parameters), std::move(step));
}

void Rows::fold(Op op, const Shape& shape, int64_t axes) const {
  // Sums around 0 lose digits: what was added is between 0.5 and 1.5.
  add(to_string(shape) + " axes " + std::to_string(axes), {op, {positive(shape, 1)}, attrs(axes)}, {8, 32, 1});
}

void Rows::rows(const Shape& shape) const {
  const Shape row{shape.back()};
  const int64_t last = shape.rank() - 1;
  const std::string what = to_string(shape);
  const Tensor x = numbers(shape, 1), w = positive(row, 2), eps = scalar(DType::f32, 1e-5), g = numbers(shape, 3), bias = numbers(row, 4);
  add(what, {Op::softmax, {x}, attrs(last)});
  add(what, {Op::log_softmax, {x}, attrs(last)});
  // What softmax gives is about 1 / n.
  add(what, {Op::softmax_backward, {random(t_, shape, 6, 0, 2.0 / static_cast<double>(shape.back())), g}, attrs(last)}, {8, 64, 1});
  add(what, {Op::scaled_softmax, {x, scalar(DType::f32, 0.7), scalar(DType::f32, 1.5)}, attrs(last)});
  add(what, {Op::rms_norm, {x, w, eps}});
  add(what, {Op::rms_norm_backward, {x, w, g, eps}});
  add(what, {Op::layer_norm, {x, w, bias, eps}});
  add(what, {Op::layer_norm_backward, {x, w, g, eps}});
  // What is normed may be the sum as it is stored, rounded.
  add(what, {Op::add_rms_norm, {x, g, w, eps}}, {8, t_ == DType::bf16 ? 0x1p17 : t_ == DType::f16 ? 0x1p14 : 16, 1});
  Shape rows = shape;
  rows.resize(static_cast<int>(last));
  const Tensor targets = random_indices(DType::i32, rows, shape.back(), 5);
  add(what, {Op::cross_entropy, {x, targets, scalar(DType::f32, 0.1)}, attrs(-100)});
  for (const Op op : {Op::logsumexp, Op::argmax}) fold(op, shape, int64_t{1} << last);
}

void Rows::rope(int64_t tokens, int64_t size) const {
  const Tensor cos = quick_numbers(DType::f32, {tokens + 3, size / 2}, 2), sin = quick_numbers(DType::f32, {tokens + 3, size / 2}, 3);
  const Tensor x = numbers({2, tokens, size}, 1);
  add(to_string(x.shape()), {Op::rope, {x, cos, sin, scalar(DType::i32, 2)}}, {4, 4, 1});
  add(to_string(x.shape()), {Op::rope_pair, {x, numbers({1, tokens, size}, 4), cos, sin, scalar(DType::i32, 2)}}, {4, 4, 1});
  add(to_string(x.shape()) + " by row", {Op::rope, {x, cos, sin, vector<int32_t>({3, 0})}}, {4, 4, 1});
}

void Rows::attention(const Heads& h, bool gradient) const {
  OpCall call{Op::sdpa,
              {numbers({1, h.heads, h.queries, h.size}, 1), numbers({1, h.kv_heads, h.keys, h.size}, 2),
               numbers({1, h.kv_heads, h.keys, h.value_size}, 3), scalar(DType::f32, 0.7), scalar(DType::i32, static_cast<double>(h.keys))},
              attrs(h.causal ? 1 : 0)};
  if (h.masked) {
    call.inputs.push_back(random(DType::boolean, {h.queries, h.keys}, 9));
    call.attrs.i[3] = static_cast<int64_t>(AttentionPart::mask);
  }
  const std::string what = to_string(Shape{h.heads, h.kv_heads, h.queries, h.keys, h.size, h.value_size}) + (h.causal ? " causal" : "");
  // Weights may be rounded to 16 bits before the second product.
  const Tolerance tolerance{8, t_ == DType::bf16 ? 0x1p17 : t_ == DType::f16 ? 0x1p14 : 64, 1};
  if (gradient) {
    const auto results = run(reference_backend(), call);
    OpCall back{Op::sdpa_backward,
                {call.inputs[0], call.inputs[1], call.inputs[2], results[0], results[1], numbers(results[0].shape(), 4)},
                call.attrs};
    back.inputs.insert(back.inputs.end(), call.inputs.begin() + 3, call.inputs.end());
    add(what, std::move(back), tolerance);
  }
  add(what, std::move(call), tolerance);
}

void Rows::packed(int64_t tokens) const {
  const Tensor x = numbers({tokens + 9, 2, 16}, 1);
  const auto starts = vector<int32_t>({0, 3, 3, static_cast<int32_t>(tokens + 3), static_cast<int32_t>(tokens + 5)});
  add(to_string(x.shape()),
      {Op::sdpa_packed, {x, numbers({tokens + 9, 1, 16}, 2), numbers({tokens + 9, 1, 24}, 3), scalar(DType::f32, 0.7), starts}},
      {8,
       t_ == DType::bf16  ? 0x1p17
       : t_ == DType::f16 ? 0x1p14
                          : 64,
       1});
}

void Rows::loss(int64_t rows, int64_t k, int64_t classes) const {
  auto targets = random_indices(DType::i32, {rows}, classes, 4).to_vector<int32_t>();
  if (rows > 2) targets[1] = -100;
  targets[0] = static_cast<int32_t>(classes - 1);
  // Logits of a few units, as models make them: the relative error of a probability is the absolute error of its logit, so that logits
  // of fifty would say nothing of the kernel.
  const double size = std::min(1.0, 6 / std::sqrt(static_cast<double>(k)));
  for (const bool turned : {false, true}) {
    const Tensor w = numbers(turned ? Shape{classes, k} : Shape{k, classes}, 2);
    // The gradient of logits that were rounded is a sum of many rounded products.
    const Tolerance tolerance{8, t_ == DType::bf16 ? 0x1p19 : t_ == DType::f16 ? 0x1p16 : 64, 1};
    add(to_string(Shape{rows, k, classes}) + (turned ? " transposed" : ""),
        {Op::linear_cross_entropy,
         {random(t_, {rows, k}, 1, -size, size), w, vector<int32_t>(targets), scalar(DType::f32, turned ? 0.1 : 0)},
         attrs(-100, turned)},
        tolerance);
  }
}

void Rows::gather(int64_t many, int64_t inner) const {
  const Tensor x = numbers({50, inner}, 1), at = random_indices(DType::i32, {many}, 50, 2);
  add(to_string(Shape{many, inner}), {Op::gather, {x, at}, attrs(0)}, kExact);
  add(to_string(Shape{many, inner}), {Op::scatter_add, {x, at, numbers({many, inner}, 3)}, attrs(0)},
      {4,
       t_ == DType::bf16  ? 0x1p21
       : t_ == DType::f16 ? 0x1p18
                          : 256,
       1});
}

void Rows::along(int64_t rows, int64_t columns) const {
  const Tensor x = numbers({rows, 40}, 1), at = random_indices(DType::i64, {rows, columns}, 40, 2);
  add(to_string(at.shape()), {Op::take_along, {x, at}, attrs(1)}, kExact);
  add(to_string(at.shape()), {Op::scatter_along_add, {x, at, numbers(at.shape(), 3)}, attrs(1)},
      {4,
       t_ == DType::bf16  ? 0x1p21
       : t_ == DType::f16 ? 0x1p18
                          : 256,
       1});
}

void Rows::sort(int64_t rows, int64_t n, int64_t k) const {
  const Tensor x = numbers({rows, n}, 1);
  add(to_string(x.shape()), {Op::sort, {x}, attrs(1, n % 2)}, kExact);
  add(to_string(x.shape()) + " first " + std::to_string(k), {Op::topk, {x}, attrs(1, 1, k)}, kExact);
}

void Rows::sample(int64_t n) const {
  const Tensor logits = random(t_, {n}, static_cast<uint64_t>(n), -9, 9), ids = random_indices(DType::i32, {40}, n, 5);
  // Temperature, top_p, min_p and penalty; top_k, the context that is penalised, where the draws begin, and the seed.
  const Tensor rules = vector<float>({0.8F, 0.95F, 0.02F, 1.3F}), counts = vector<int64_t>({40, 7, 31, 78});
  add(std::to_string(n), {Op::sample, {logits, ids, scalar(DType::i32, 33), rules, counts}}, kExact);
  const Tensor both = random(t_, {2, n}, static_cast<uint64_t>(n) + 1, -9, 9),
               greedy = vector<float>({0, 1, 0, 1, 0.8F, 0.95F, 0.02F, 1.3F});
  add(std::to_string(n) + " by row",
      {Op::sample,
       {both, random_indices(DType::i32, {2, 40}, n, 6), vector<int32_t>({33, 20}), greedy.reshape({2, 4}),
        vector<int64_t>({0, 0, 0, 0, 40, 7, 18, 78}).reshape({2, 4})}},
      kExact);
}

void Rows::moves(int64_t n) const {
  const Tensor x = numbers({n}, 1), half = numbers({n / 2}, 2), rest = numbers({n - n / 2}, 3), none = scalar(DType::i32, 0);
  const std::string what = std::to_string(n);
  add(what, {Op::concat, {half, rest}, attrs(0)}, kExact);
  add(what, {Op::pad, {numbers({n - 5}, 4), scalar(t_, 0.5)}, attrs(0, 0, 0, {2, 3})}, kExact);
  add(what, {Op::slice_update, {numbers({n + 7}, 5), x, scalar(DType::i32, 3)}, attrs(0, 0, 0, {1, 1})}, kExact);
  const Tensor by_row = numbers({2, n + 7}, 7), two = numbers({2, n}, 8);
  add(what + " by row", {Op::slice_update, {by_row, two, vector<int32_t>({6, 0})}, attrs(1, 0, 0, {0, 1, 1, 1})}, kExact);
  add(what + " in pages",
      {Op::page_update,
       {numbers({3, 1, n, 1}, 5), numbers({1, 1, n, 1}, 1), vector<int32_t>({2, 0}).reshape({1, 2}), scalar(DType::i32, 7)}},
      kExact);
  add(what + " in steps", {Op::slice_update, {numbers({2 * n + 1}, 5), x, none}, attrs(0, 0, 0, {1, 2})}, kExact);
  add(what, {Op::slice_at, {numbers({n + 7}, 6), scalar(DType::i32, 4)}, attrs(0), TensorSpec{t_, {n}}}, kExact);
}

void Rows::fills(int64_t n) const {
  OpCall full{Op::full, {}, attrs(0), TensorSpec{t_, {n}}};
  full.attrs.i[0] = 0x3ff8000000000000;  // 1.5
  add(std::to_string(n), std::move(full), kExact);
  add(std::to_string(n), {Op::one_hot, {random_indices(DType::i32, {3}, n, 1)}, attrs(n, static_cast<int64_t>(t_))}, kExact);
  if (t_ == DType::f32) add(std::to_string(n), {Op::arange, {}, attrs(3, 2), TensorSpec{DType::i32, {n}}}, kExact);
}

}  // namespace lazuli::conformance
