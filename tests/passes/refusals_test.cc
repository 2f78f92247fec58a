// Checks that every reason for which a fusion is refused is met by a graph, which then computes what it did. A refusal that nobody tries is
// one condition away from a wrong result.
#include <filesystem>
#include <functional>
#include <map>
#include <regex>

#include "base/file.h"
#include "lazuli/error.h"
#include "passes/test_graph.h"

namespace lazuli {
namespace {

using Values = std::vector<Value>;

struct Refused {
  const char* pattern;
  const char* reason;
  const char* what;
  std::function<Values(TestGraph&)> outputs;
};

Value matmul(TestGraph& t, Value a, Value b, int64_t turn_a = 0, int64_t turn_b = 0) { return t.op(Op::matmul, {a, b}, turn_a, turn_b); }
Value add(TestGraph& t, Value a, Value b) { return t.op(Op::add, {a, b}); }
Value mul(TestGraph& t, Value a, Value b) { return t.op(Op::mul, {a, b}); }

/// softmax(q k^T) v.
Value attention(TestGraph& t, const Shape& q, const Shape& k, const Shape& v, int64_t axis, int64_t turned = 0) {
  return matmul(t, t.op(Op::softmax, {matmul(t, t.in(q), t.in(k), 0, 1)}, axis), t.in(v), turned);
}

/// x * rsqrt(mean(x^2) + eps) * w, the mean over `axes` of x (8, 8), kept or not.
Value rms_norm(TestGraph& t, int64_t axes, int64_t kept, Value eps, Value w) {
  const Value x = t.in({8, 8}), mean = t.op(Op::mean, {t.op(Op::square, {x})}, axes, kept);
  return mul(t, mul(t, x, t.op(Op::rsqrt, {add(t, mean, eps)})), w);
}

struct Moment {
  int64_t axes = 2, kept = 1;
};
/// (x - mean) * rsqrt(var + eps) * w + b of x (8, 8).
Value layer_norm(TestGraph& t, Moment mean, Moment var, int64_t corrected, Value eps, Value w, Value b) {
  const Value x = t.in({8, 8}), d = t.op(Op::sub, {x, t.op(Op::mean, {x}, mean.axes, mean.kept)});
  const Value v = t.op(Op::var, {x}, var.axes, var.kept, corrected);
  return add(t, mul(t, mul(t, d, t.op(Op::rsqrt, {add(t, v, eps)})), w), b);
}

/// exp(x - max) / sum of x (3, 3); without a maximum where its axes are 0.
Value softmax(TestGraph& t, Moment top, Moment sum) {
  const Value x = t.in({3, 3});
  const Value e = t.op(Op::exp, {top.axes == 0 ? x : t.op(Op::sub, {x, t.op(Op::max, {x}, top.axes, top.kept)})});
  return t.op(Op::div, {e, t.op(Op::sum, {e}, sum.axes, sum.kept)});
}

Value lora(TestGraph& t, Value x, int64_t size = 6, int64_t columns = 4) {
  return mul(t, matmul(t, matmul(t, x, t.in({size, 2})), t.in({2, columns})), t.scalar());
}

Value rope(TestGraph& t, Value x, Value cos, Value sin, Value offset) { return t.op(Op::rope, {x, cos, sin, offset}); }

const std::vector<Refused>& norms_and_softmax() {
  static const std::vector<Refused> cases = {
      {"RMSNorm", "the mean is not over the last axis with its dimension kept", "another axis",
       [](TestGraph& t) { return Values{rms_norm(t, 1, 1, t.scalar(), t.in({8}))}; }},
      {"RMSNorm", "the mean is not over the last axis with its dimension kept", "the axis is not kept",
       [](TestGraph& t) { return Values{rms_norm(t, 2, 0, t.scalar(), t.in({8}))}; }},
      {"RMSNorm", "the mean is not over the last axis with its dimension kept", "both axes",
       [](TestGraph& t) { return Values{rms_norm(t, 3, 1, t.scalar(), t.in({8}))}; }},
      {"RMSNorm", "eps is not rank 0", "one a row",
       [](TestGraph& t) {
         return Values{rms_norm(t, 2, 1, t.in({8, 1}), t.in({8}))};
       }},
      {"RMSNorm", "the weight is not one row", "a column",
       [](TestGraph& t) {
         return Values{rms_norm(t, 2, 1, t.scalar(), t.in({8, 1}))};
       }},
      {"RMSNorm", "dtype or shape of the result would change", "a weight of more dimensions",
       [](TestGraph& t) {
         return Values{rms_norm(t, 2, 1, t.scalar(), t.in({1, 1, 8}))};
       }},
      {"LayerNorm", "mean and variance are not over the last axis with its dimension kept", "mean of columns",
       [](TestGraph& t) {
         return Values{layer_norm(t, {1, 1}, {2, 1}, 0, t.scalar(), t.in({8}), t.in({8}))};
       }},
      {"LayerNorm", "mean and variance are not over the last axis with its dimension kept", "mean not kept",
       [](TestGraph& t) {
         return Values{layer_norm(t, {2, 0}, {2, 1}, 0, t.scalar(), t.in({8}), t.in({8}))};
       }},
      {"LayerNorm", "mean and variance are not over the last axis with its dimension kept", "variance of columns",
       [](TestGraph& t) {
         return Values{layer_norm(t, {2, 1}, {1, 1}, 0, t.scalar(), t.in({8}), t.in({8}))};
       }},
      {"LayerNorm", "mean and variance are not over the last axis with its dimension kept", "variance not kept",
       [](TestGraph& t) {
         return Values{layer_norm(t, {2, 1}, {2, 0}, 0, t.scalar(), t.in({8}), t.in({8}))};
       }},
      {"LayerNorm", "the variance is corrected for its degree of freedom", "corrected",
       [](TestGraph& t) { return Values{layer_norm(t, {}, {}, 1, t.scalar(), t.in({8}), t.in({8}))}; }},
      {"LayerNorm", "eps is not rank 0", "one a row",
       [](TestGraph& t) {
         return Values{layer_norm(t, {}, {}, 0, t.in({8, 1}), t.in({8}), t.in({8}))};
       }},
      {"LayerNorm", "weight or bias is not one row", "weight",
       [](TestGraph& t) {
         return Values{layer_norm(t, {}, {}, 0, t.scalar(), t.in({8, 1}), t.in({8}))};
       }},
      {"LayerNorm", "weight or bias is not one row", "bias",
       [](TestGraph& t) {
         return Values{layer_norm(t, {}, {}, 0, t.scalar(), t.in({8}), t.in({8, 8}))};
       }},
      {"Softmax", "the sum is not over one axis with its dimension kept", "over two axes",
       [](TestGraph& t) {
         return Values{softmax(t, {2, 1}, {3, 1})};
       }},
      {"Softmax", "the sum is not over one axis with its dimension kept", "over two axes, without a maximum",
       [](TestGraph& t) {
         return Values{softmax(t, {0, 0}, {3, 1})};
       }},
      {"Softmax", "the sum is not over one axis with its dimension kept", "not kept",
       [](TestGraph& t) {
         return Values{softmax(t, {2, 1}, {2, 0})};
       }},
      {"Softmax", "maximum and sum are over different axes", "another axis",
       [](TestGraph& t) {
         return Values{softmax(t, {1, 1}, {2, 1})};
       }},
      {"Softmax", "maximum and sum are over different axes", "maximum of all",
       [](TestGraph& t) {
         return Values{softmax(t, {3, 1}, {2, 1})};
       }},
      {"Softmax", "maximum and sum are over different axes", "maximum not kept",
       [](TestGraph& t) {
         return Values{softmax(t, {2, 0}, {2, 1})};
       }},
      {"LogSoftmax", "the sum is not over one axis with its dimension kept", "over two axes",
       [](TestGraph& t) {
         const Value x = t.in({3, 3});
         return Values{t.op(Op::sub, {x, t.op(Op::logsumexp, {x}, 3, 1)})};
       }},
      {"LogSoftmax", "the sum is not over one axis with its dimension kept", "not kept",
       [](TestGraph& t) {
         const Value x = t.in({3, 3});
         return Values{t.op(Op::sub, {x, t.op(Op::logsumexp, {x}, 2, 0)})};
       }},
      {"SoftmaxScale", "the factor is not rank 0", "before",
       [](TestGraph& t) {
         return Values{t.op(Op::softmax, {mul(t, t.in({2, 3}), t.in({3}))}, 1)};
       }},
      {"SoftmaxScale", "the factor is not rank 0", "after",
       [](TestGraph& t) {
         return Values{mul(t, t.op(Op::softmax, {t.in({2, 3})}, 1), t.in({2, 1}))};
       }},
  };
  return cases;
}

const std::vector<Refused>& products() {
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

const std::vector<Refused>& attention_and_losses() {
  static const std::vector<Refused> cases = {
      {"ScaledDotProductAttention", "softmax is not over the keys", "over the queries",
       [](TestGraph& t) {
         return Values{attention(t, {2, 5, 4}, {2, 5, 4}, {2, 5, 6}, 1)};
       }},
      {"ScaledDotProductAttention", "the probabilities are transposed", "square",
       [](TestGraph& t) {
         return Values{attention(t, {2, 5, 4}, {2, 5, 4}, {2, 5, 6}, 2, 1)};
       }},
      {"ScaledDotProductAttention", "queries, keys and values differ in rank, or have more than 4 dimensions", "keys of two",
       [](TestGraph& t) {
         return Values{attention(t, {2, 3, 4}, {5, 4}, {2, 5, 6}, 2)};
       }},
      {"ScaledDotProductAttention", "queries, keys and values differ in rank, or have more than 4 dimensions", "values of two",
       [](TestGraph& t) {
         return Values{attention(t, {2, 3, 4}, {2, 5, 4}, {5, 6}, 2)};
       }},
      {"ScaledDotProductAttention", "queries, keys and values differ in rank, or have more than 4 dimensions", "five dimensions",
       [](TestGraph& t) {
         return Values{attention(t, {1, 2, 2, 3, 4}, {1, 2, 2, 5, 4}, {1, 2, 2, 5, 6}, 4)};
       }},
      {"ScaledDotProductAttention", "batch or heads of queries, keys and values differ", "keys of one batch",
       [](TestGraph& t) {
         return Values{attention(t, {2, 3, 4}, {1, 5, 4}, {2, 5, 6}, 2)};
       }},
      {"ScaledDotProductAttention", "batch or heads of queries, keys and values differ", "values of one head",
       [](TestGraph& t) {
         return Values{attention(t, {2, 3, 3, 4}, {2, 3, 5, 4}, {2, 1, 5, 6}, 3)};
       }},
      {"ScaledDotProductAttention", "batch or heads of queries, keys and values differ", "queries of one head",
       [](TestGraph& t) {
         return Values{attention(t, {2, 1, 3, 4}, {2, 3, 5, 4}, {2, 3, 5, 6}, 3)};
       }},
      {"ScaledDotProductAttention", "the mask is larger than the scores", "in its batch",
       [](TestGraph& t) {
         const Value s = add(t, matmul(t, t.in({1, 3, 4}), t.in({1, 5, 4}), 0, 1), t.in({2, 3, 5}));
         return Values{matmul(t, t.op(Op::softmax, {s}, 2), t.in({2, 5, 6}))};
       }},
      {"SoftmaxCrossEntropy", "softmax or the gather is not over the last axis", "softmax",
       [](TestGraph& t) {
         return Values{t.op(Op::take_along, {t.op(Op::log_softmax, {t.in({4, 4})}, 0), t.in({4, 1}, DType::i32)}, 1)};
       }},
      {"SoftmaxCrossEntropy", "softmax or the gather is not over the last axis", "gather",
       [](TestGraph& t) {
         return Values{t.op(Op::take_along, {t.op(Op::log_softmax, {t.in({4, 4})}, 1), t.in({1, 4}, DType::i32)}, 0)};
       }},
      {"SoftmaxCrossEntropy", "the loss would be computed in another dtype", "bf16",
       [](TestGraph& t) {
         return Values{t.op(Op::take_along, {t.op(Op::log_softmax, {t.in({4, 4}, DType::bf16)}, 1), t.in({4, 1}, DType::i32)}, 1)};
       }},
      {"SoftmaxCrossEntropy", "there is not one target for each row", "two",
       [](TestGraph& t) {
         return Values{t.op(Op::take_along, {t.op(Op::log_softmax, {t.in({4, 4})}, 1), t.in({4, 2}, DType::i32)}, 1)};
       }},
      {"LinearCrossEntropy", "the states are transposed", "square",
       [](TestGraph& t) {
         return Values{t.op(Op::cross_entropy, {matmul(t, t.in({4, 4}), t.in({4, 7}), 1), t.in({4}, DType::i32), t.scalar()}, -100)};
       }},
      {"LinearCrossEntropy", "the weight is batched", "three dimensions",
       [](TestGraph& t) {
         const Value logits = matmul(t, t.in({2, 3, 4}), t.in({2, 4, 7}));
         return Values{t.op(Op::cross_entropy, {logits, t.in({2, 3}, DType::i32), t.scalar()}, -100)};
       }},
      {"LinearCrossEntropy", "the classes are not the columns of the product", "two rows of classes in one",
       [](TestGraph& t) {
         const Value logits = t.shaped(Op::reshape, matmul(t, t.in({3, 4}), t.in({4, 14})), {6, 7});
         return Values{t.op(Op::cross_entropy, {logits, t.in({6}, DType::i32), t.scalar()}, -100)};
       }},
      {"LinearCrossEntropy", "there is one row", "of one dimension",
       [](TestGraph& t) {
         const Value logits = t.shaped(Op::reshape, matmul(t, t.in({1, 4}), t.in({4, 7})), {7});
         return Values{t.op(Op::cross_entropy, {logits, t.in({}, DType::i32), t.scalar()}, -100)};
       }},
  };
  return cases;
}

const std::vector<Refused>& neighbours() {
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

std::vector<Refused> all_cases() {
  std::vector<Refused> all;
  for (const auto* part : {&norms_and_softmax(), &products(), &attention_and_losses(), &neighbours()}) {
    all.insert(all.end(), part->begin(), part->end());
  }
  return all;
}

TEST(Refusals, LeaveTheResultAsItWas) {
  for (const Refused& c : all_cases()) {
    SCOPED_TRACE(std::string(c.pattern) + ": " + c.reason + ": " + c.what);
    try {
      TestGraph t;
      const ComputationGraph g = t.done(c.outputs(t));
      OptimizerReport report;
      const ComputationGraph after = optimized(g, &report);
      EXPECT_TRUE(refused(report, c.pattern, c.reason)) << after.to_text();
      expect_equivalent(g, after);
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

/// Reasons that no graph gives: shape rules already refuse the graph, or two checks before them would have to let it through. And those of
/// the optimiser's step, which joins_test.cc gives.
const std::map<std::string, int> kWithoutCase = {
    {"the operands do not fit the fused op", 1},
    {"the operands are not floats", 2},  // softmax and cross_entropy take floats only
    {"a step depends on another", 1},
    {"no factor waits for all gradients, and each can be dropped after its own step", 1},
};

TEST(Refusals, EachReasonInTheSourcesIsTried) {
  std::map<std::string, int> in_sources, tried = kWithoutCase;
  const std::regex text("refuse\\((?:\"[^\"]*\", )?[^;\"]*\"([^\"]*)\"");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::string(LAZULI_SOURCE_DIR) + "/src/passes")) {
    if (entry.path().extension() != ".cc") continue;
    const std::string source = read_file(entry.path(), size_t{1} << 20);
    for (auto at = std::sregex_iterator(source.begin(), source.end(), text); at != std::sregex_iterator(); ++at) ++in_sources[(*at)[1]];
  }
  for (const Refused& c : all_cases()) ++tried[c.reason];
  EXPECT_GT(in_sources.size(), 40U);
  for (const auto& [reason, count] : in_sources) EXPECT_GE(tried[reason], count) << "no case for: " << reason;
}

}  // namespace
}  // namespace lazuli
