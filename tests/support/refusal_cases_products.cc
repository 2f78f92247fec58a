// Graphs of products and of neighbours in memory that fusions must refuse.
#include "lazuli/op.h"
#include "support/refusal_cases.h"

namespace lazuli::test {

namespace {

Value lora(TestGraph& t, Value x, int64_t size = 6, int64_t columns = 4) {
  return mul(t, matmul(t, matmul(t, x, t.in({size, 2})), t.in({2, columns})), t.scalar());
}

Value rope(TestGraph& t, Value x, Value cos, Value sin, Value offset) { return t.op(Op::rope, {x, cos, sin, offset}); }

}  // namespace

const std::vector<Refused>& refused_products() {
  static const std::vector<Refused> cases = {
      {"LoRA", "the input is transposed", "of the first product",
       [](TestGraph& t) {
         return Values{mul(t, matmul(t, matmul(t, t.in({6, 5}), t.in({6, 2}), 1), t.in({2, 4})), t.scalar())};
       }},
      {"LoRA", "the input is transposed", "of the second product",
       [](TestGraph& t) {
         return Values{mul(t, matmul(t, matmul(t, t.in({4, 6}), t.in({6, 4})), t.in({4, 3}), 1), t.scalar())};
       }},
      {"LoRA", "a or b is not a matrix", "a",
       [](TestGraph& t) {
         return Values{mul(t, matmul(t, matmul(t, t.in({2, 3, 6}), t.in({2, 6, 2})), t.in({2, 4})), t.scalar())};
       }},
      {"LoRA", "a or b is not a matrix", "b",
       [](TestGraph& t) {
         return Values{mul(t, matmul(t, matmul(t, t.in({2, 3, 6}), t.in({6, 2})), t.in({2, 2, 4})), t.scalar())};
       }},
      {"LoRA", "the operands are not floats", "integers",
       [](TestGraph& t) {
         const Value h = matmul(t, t.in({2, 3}, DType::i32), t.in({3, 2}, DType::i32));
         return Values{mul(t, matmul(t, h, t.in({2, 4}, DType::i32)), t.scalar(DType::i32))};
       }},
      {"LoRALinear", "the product has a residual or an activation already", "an activation",
       [](TestGraph& t) {
         const Value x = t.in({2, 6});
         const Value base = t.op(Op::gelu, {add(t, matmul(t, x, t.in({6, 4})), t.in({4}))});
         return Values{add(t, base, lora(t, x))};
       }},
      {"LoRALinear", "the product has a residual or an activation already", "a residual",
       [](TestGraph& t) {
         const Value x = t.in({4, 6});
         return Values{add(t, add(t, matmul(t, x, t.in({6, 4})), t.in({4, 4})), lora(t, x))};
       }},
      {"LoRALinear", "the input is transposed", "of the product that is adapted",
       [](TestGraph& t) {
         const Value x = t.in({6, 6});
         return Values{add(t, matmul(t, x, t.in({6, 4}), 1), lora(t, x))};
       }},
      {"LoRALinear", "the weight is batched", "of the product that is adapted",
       [](TestGraph& t) {
         const Value x = t.in({2, 3, 6});
         return Values{add(t, matmul(t, x, t.in({2, 6, 4})), lora(t, x))};
       }},
      {"LoRALinear", "there is a bias already", "two",
       [](TestGraph& t) {
         const Value x = t.in({2, 6});
         return Values{add(t, add(t, add(t, matmul(t, x, t.in({6, 4})), lora(t, x)), t.in({4})), t.in({4}))};
       }},
      {"LoRALinear", "the bias is not one row", "a column",
       [](TestGraph& t) {
         const Value x = t.in({4, 6});
         return Values{add(t, add(t, matmul(t, x, t.in({6, 4})), lora(t, x)), t.in({4, 1}))};
       }},
      {"MatmulBias", "the input is transposed", "of two dimensions",
       [](TestGraph& t) {
         return Values{add(t, matmul(t, t.in({3, 2}), t.in({3, 4}), 1), t.in({4}))};
       }},
      {"LinearGelu", "the input is transposed", "of two dimensions",
       [](TestGraph& t) {
         return Values{t.op(Op::gelu, {matmul(t, t.in({3, 2}), t.in({3, 4}), 1)})};
       }},
      {"MatmulBias", "the weight is batched", "three dimensions",
       [](TestGraph& t) {
         return Values{add(t, matmul(t, t.in({2, 3, 6}), t.in({2, 6, 4})), t.in({4}))};
       }},
      {"MatmulBias", "the operands are not floats", "integers",
       [](TestGraph& t) {
         return Values{add(t, matmul(t, t.in({2, 3}, DType::i32), t.in({3, 4}, DType::i32)), t.in({4}, DType::i32))};
       }},
      {"MatmulBias", "the product has a bias already", "two",
       [](TestGraph& t) {
         return Values{add(t, add(t, matmul(t, t.in({2, 3}), t.in({3, 4})), t.in({4})), t.in({4}))};
       }},
      {"MatmulBias", "the bias is not one row of the result", "one number",
       [](TestGraph& t) {
         return Values{add(t, matmul(t, t.in({2, 3}), t.in({3, 4})), t.in({1}))};
       }},
      {"MatmulBias", "the product has an activation already", "a bias after it",
       [](TestGraph& t) {
         return Values{add(t, t.op(Op::relu, {matmul(t, t.in({2, 3}), t.in({3, 4}))}), t.in({4}))};
       }},
      {"LinearAdd", "the product has an activation already", "a residual after it",
       [](TestGraph& t) {
         return Values{add(t, t.op(Op::silu, {matmul(t, t.in({2, 3}), t.in({3, 4}))}), t.in({2, 4}))};
       }},
      {"LinearAdd", "the product has a residual already", "two",
       [](TestGraph& t) {
         return Values{add(t, add(t, matmul(t, t.in({2, 3}), t.in({3, 4})), t.in({2, 4})), t.in({2, 4}))};
       }},
      {"LinearAdd", "the residual does not have the shape of the product", "it is broadcast",
       [](TestGraph& t) {
         return Values{add(t, matmul(t, t.in({2, 3}), t.in({3, 4})), t.in({2, 1}))};
       }},
      {"LinearAdd", "the residual does not have the shape of the product", "the product is broadcast",
       [](TestGraph& t) {
         return Values{add(t, matmul(t, t.in({1, 3}), t.in({3, 4})), t.in({2, 4}))};
       }},
      {"SwiGLU", "the input is transposed", "of the gate",
       [](TestGraph& t) {
         const Value x = t.in({4, 4});
         return Values{mul(t, t.op(Op::silu, {matmul(t, x, t.in({4, 5}), 1)}), matmul(t, x, t.in({4, 5})))};
       }},
      {"SwiGLU", "the input is transposed", "of the other product",
       [](TestGraph& t) {
         const Value x = t.in({4, 4});
         return Values{mul(t, t.op(Op::silu, {matmul(t, x, t.in({4, 5}))}), matmul(t, x, t.in({4, 5}), 1))};
       }},
      {"SwiGLU", "a weight is batched", "of the other product",
       [](TestGraph& t) {
         const Value x = t.in({2, 3, 4});
         return Values{mul(t, t.op(Op::silu, {matmul(t, x, t.in({4, 5}))}), matmul(t, x, t.in({2, 4, 5})))};
       }},
      {"GatedLinear", "the gate has two activations", "one after the other",
       [](TestGraph& t) {
         const Value x = t.in({2, 4});
         return Values{mul(t, t.op(Op::gelu, {t.op(Op::relu, {matmul(t, x, t.in({4, 5}))})}), matmul(t, x, t.in({4, 5})))};
       }},
      {"SwiGLU", "both products have an activation", "different ones",
       [](TestGraph& t) {
         const Value x = t.in({2, 4});
         return Values{mul(t, t.op(Op::silu, {matmul(t, x, t.in({4, 5}))}), t.op(Op::relu, {matmul(t, x, t.in({4, 5}))}))};
       }},
      {"GatedLinear", "the operands are not floats", "integers",
       [](TestGraph& t) {
         const Value x = t.in({2, 4}, DType::i32), w = t.in({4, 5}, DType::i32), v = t.in({4, 5}, DType::i32);
         return Values{mul(t, t.op(Op::relu, {matmul(t, x, w)}), matmul(t, x, v))};
       }},
      {"SwiGLU", "one weight is given transposed and the other is not", "the gate's",
       [](TestGraph& t) {
         const Value x = t.in({2, 4});
         return Values{mul(t, t.op(Op::silu, {matmul(t, x, t.in({5, 4}), 0, 1)}), matmul(t, x, t.in({4, 5})))};
       }},
      {"SwiGLU", "the products differ in shape", "one column",
       [](TestGraph& t) {
         const Value x = t.in({2, 4});
         return Values{mul(t, t.op(Op::silu, {matmul(t, x, t.in({4, 5}))}), matmul(t, x, t.in({4, 1})))};
       }},
  };
  return cases;
}

const std::vector<Refused>& refused_neighbours() {
  static const std::vector<Refused> cases = {
      {"LoRA", "an intermediate is an output of the graph", "the first product",
       [](TestGraph& t) {
         const Value h = matmul(t, t.in({2, 6}), t.in({6, 2}));
         return Values{mul(t, matmul(t, h, t.in({2, 4})), t.scalar()), h};
       }},
      {"SwiGLU", "an intermediate has another user", "the gate",
       [](TestGraph& t) {
         const Value x = t.in({2, 4}), g = matmul(t, x, t.in({4, 5}));
         return Values{mul(t, t.op(Op::silu, {g}), matmul(t, x, t.in({4, 5}))), t.op(Op::softmax, {g}, 1)};
       }},
      {"ElementwiseChain", "the reduced value has another user", "an output",
       [](TestGraph& t) {
         const Value y = t.op(Op::exp, {t.op(Op::neg, {t.in({2, 3})})});
         return Values{t.op(Op::sum, {y}, 3), y};
       }},
      {"ElementwiseChain", "the chain before the reduction has other results", "a step before its last",
       [](TestGraph& t) {
         const Value x = t.in({4, 3}), y = t.op(Op::exp, {x}), z = t.op(Op::sin, {mul(t, y, t.op(Op::cos, {x}))});
         return Values{t.op(Op::sum, {t.op(Op::abs, {z})}, 2), t.op(Op::tanh, {y})};
       }},
      {"RoPEPair", "one may depend on the other", "in a row",
       [](TestGraph& t) {
         const Value c = t.in({5, 2}), s = t.in({5, 2}), at = t.full(0, {}, DType::i32);
         return Values{rope(t, t.op(Op::exp, {rope(t, t.in({2, 5, 4}), c, s, at)}), c, s, at)};
       }},
      {"RoPEPair", "q and k differ in dtype", "bf16 and f32",
       [](TestGraph& t) {
         const Value c = t.in({5, 2}), s = t.in({5, 2}), at = t.full(0, {}, DType::i32);
         return Values{rope(t, t.in({2, 5, 4}), c, s, at), rope(t, t.in({2, 5, 4}, DType::bf16), c, s, at)};
       }},
      {"AddRMSNorm", "an operand of the sum is broadcast", "a row",
       [](TestGraph& t) {
         return Values{t.op(Op::rms_norm, {add(t, t.in({2, 8}), t.in({8})), t.in({8}), t.scalar()})};
       }},
      {"AddLayerNorm", "the sum ends an elementwise chain", "exp",
       [](TestGraph& t) {
         return Values{t.op(Op::layer_norm, {add(t, t.op(Op::exp, {t.in({2, 8})}), t.in({2, 8})), t.in({8}), t.in({8}), t.scalar()})};
       }},
      {"AddRMSNorm", "weight or eps may depend on the sum", "the weight",
       [](TestGraph& t) {
         const Value sum = add(t, t.in({2, 8}), t.in({2, 8}));
         return Values{t.op(Op::rms_norm, {sum, t.op(Op::sum, {sum}, 1), t.scalar()})};
       }},
  };
  return cases;
}

}  // namespace lazuli::test
