// Graphs of norms, softmax, attention and losses that fusions must refuse.
#include "lazuli/op.h"
#include "support/refusal_cases.h"

namespace lazuli::test {

namespace {

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

}  // namespace

const std::vector<Refused>& refused_rows() {
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

const std::vector<Refused>& refused_attention() {
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

}  // namespace lazuli::test
