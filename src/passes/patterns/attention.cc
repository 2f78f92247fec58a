// Scaled dot-product attention (Vaswani et al. 2017) written in primitives.
#include <array>
#include <string>

#include "graph/attention_operands.h"
#include "graph/attrs.h"
#include "lazuli/op.h"
#include "passes/patterns/patterns.h"

namespace lazuli::patterns {

namespace {

Value swap_last(Match& m, Value v) {
  int rank = m.spec(v).shape.rank();
  Attrs attrs;
  for (int a = 0; a < rank; ++a) {
    int from = a == rank - 1 ? rank - 2 : a == rank - 2 ? rank - 1 : a;
    attrs[attr::transpose::axes] |= static_cast<int64_t>(from) << (4 * a);
  }
  return m.rw.add(Op::transpose, {v}, attrs);
}

// (n, size) and (batch, n, size) as (batch, heads, n, size), with dims of 1.
Value with_heads(Match& m, Value v) {
  const Shape s = m.spec(v).shape;
  int rank = s.rank();
  if (rank == 4) return v;
  return m.reshape(v, rank == 3 ? Shape{s[0], 1, s[1], s[2]} : Shape{1, 1, s[0], s[1]});
}

// The number of keys as a value: a number in the graph would tie it to one size.
Value count_keys(Match& m, int64_t keys) {
  Value ones = m.full(1.0, {DType::i32, {keys}});
  Attrs axes;
  axes[attr::sum::axes] = 1;
  return m.rw.add(Op::sum, {ones}, axes);
}

Value scale_of(Match& m, DType dtype) {
  if (m("s").node >= 0) return m.factor(m("s"), dtype);
  if (m("d").node < 0) return m.factor(1.0, dtype);
  if (Known k = known_value(m.rw.graph(), m("d")); k.known) return m.factor(1.0 / k.value, dtype);
  return m.rw.add(Op::reciprocal, {m.factor(m("d"), dtype)});
}

bool attention(Match& m) {
  const Attrs qk = m.node(m("qk")).attrs;
  const Attrs pv = m.root_node().attrs;
  const TensorSpec scores = m.spec(m("qk"));
  const TensorSpec result = m.root_node().outputs[0];
  int rank = scores.shape.rank();
  Value q = m("q"), k = m("k"), v = m("v"), mask = m("mask");
  if (m.node(m("p")).attrs[attr::softmax::axis] != rank - 1) return m.refuse("softmax is not over the keys");
  if (pv[attr::matmul::transpose_a] != 0) return m.refuse("the probabilities are transposed");
  if (!is_float(scores.dtype)) return m.refuse("the operands are not floats");
  bool same_rank = m.spec(q).shape.rank() == rank && m.spec(k).shape.rank() == rank && m.spec(v).shape.rank() == rank;
  if (rank > 4 || !same_rank) return m.refuse("queries, keys and values differ in rank, or have more than 4 dimensions");
  if (mask.node >= 0 && m.spec(m("p")).shape != scores.shape) return m.refuse("the mask is larger than the scores");

  if (qk[attr::matmul::transpose_a] != 0) q = swap_last(m, q);
  if (qk[attr::matmul::transpose_b] == 0) k = swap_last(m, k);
  if (pv[attr::matmul::transpose_b] != 0) v = swap_last(m, v);
  int64_t keys = m.spec(k).shape[rank - 2];
  std::vector<Value> inputs{with_heads(m, q), with_heads(m, k), with_heads(m, v), scale_of(m, scores.dtype), count_keys(m, keys)};
  if (mask.node >= 0) inputs.push_back(m.spec(mask).shape.rank() == 3 && rank == 3 ? with_heads(m, mask) : mask);
  for (int a = 0; a < rank - 2; ++a) {
    int64_t batch = scores.shape[a];
    bool equal = m.spec(q).shape[a] == batch && m.spec(k).shape[a] == batch && m.spec(v).shape[a] == batch;
    if (!equal) return m.refuse("batch or heads of queries, keys and values differ");
  }
  Attrs attrs;
  if (mask.node >= 0) set_attention(attrs, false, -1, -1, std::array{AttentionPart::mask});
  Value out = m.append(Op::sdpa, std::move(inputs), attrs, "ScaledDotProductAttention");
  if (out.node < 0) return false;
  m.rw.replace(Value{m.root(), 0}, m.reshape(out, result.shape));
  return true;
}

// Every way to scale, times every way to mask.
std::vector<Pattern> forms() {
  static const std::vector<std::string> texts = [] {
    std::vector<std::string> all;
    for (const char* scores : {"mul(qk=matmul(q, k), s[])", "div(qk=matmul(q, k), d[])", "qk=matmul(mul(q, s[]), k)",
                               "qk=matmul(div(q, d[]), k)", "qk=matmul(q, k)"}) {
      all.push_back("matmul(p=softmax(add(" + std::string(scores) + ", mask)), v)");
      all.push_back("matmul(p=softmax(where(mask, " + std::string(scores) + ", -inf)), v)");
      all.push_back("matmul(p=softmax(" + std::string(scores) + "), v)");
    }
    return all;
  }();
  return {texts.begin(), texts.end()};
}

}  // namespace

std::vector<PatternEntry> attention() {
  std::vector<PatternEntry> entries;
  entries.push_back({"ScaledDotProductAttention", forms(), attention});
  return entries;
}

}  // namespace lazuli::patterns
