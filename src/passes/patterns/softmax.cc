// Softmax and its logarithm written in primitives, and softmax with a factor before or after it.
#include "graph/attrs.h"
#include "lazuli/op.h"
#include "passes/patterns/patterns.h"

namespace lazuli::patterns {

namespace {

// The one axis that the reduction folds and keeps, or -1.
int kept_axis(const Match& m, Value reduced) {
  const Attrs& attrs = m.node(reduced).attrs;
  auto mask = static_cast<unsigned>(attrs[attr::sum::axes]);
  if (attrs[attr::sum::keepdims] == 0 || __builtin_popcount(mask) != 1) return -1;
  return __builtin_ctz(mask);
}

template <Op op>
bool from_primitives(Match& m) {
  int axis = kept_axis(m, m("sum"));
  if (axis < 0) return m.refuse("the sum is not over one axis with its dimension kept");
  if (m("max").node >= 0 && kept_axis(m, m("max")) != axis) return m.refuse("maximum and sum are over different axes");
  Attrs attrs;
  attrs[attr::softmax::axis] = axis;
  return m.become(op, {m("x")}, attrs, op == Op::softmax ? "Softmax" : "LogSoftmax");
}

bool log_of_softmax(Match& m) { return m.become(Op::log_softmax, {m("x")}, m.node(m("p")).attrs, "LogSoftmax"); }

bool scale_before(Match& m) {
  if (m.spec(m("s")).shape.rank() != 0) return m.refuse("the factor is not rank 0");
  DType dtype = m.spec(m("x")).dtype;
  Value pre = m.factor(m("s"), dtype);
  if (m.node(m("y")).op == Op::div) pre = m.rw.add(Op::reciprocal, {pre});
  return m.become(Op::scaled_softmax, {m("x"), pre, m.factor(1.0, dtype)}, m.root_node().attrs, "SoftmaxScale");
}

bool scale_after(Match& m) {
  if (m.spec(m("s")).shape.rank() != 0) return m.refuse("the factor is not rank 0");
  const GraphNode& softmax = m.node(m("p"));
  Value x = softmax.inputs[0];
  Attrs attrs = softmax.attrs;
  DType dtype = m.spec(x).dtype;
  Value pre, post;
  if (softmax.op == Op::scaled_softmax) {
    pre = softmax.inputs[1];
    post = softmax.inputs[2];
  }
  if (pre.node < 0) pre = m.factor(1.0, dtype);
  Known before = post.node < 0 ? Known{true, 1.0} : known_value(m.rw.graph(), post);
  Value s = m.factor(m("s"), dtype);
  post = before.known && before.value == 1.0 ? s : m.rw.add(Op::mul, {post, s});
  return m.become(Op::scaled_softmax, {x, pre, post}, attrs, "SoftmaxScale");
}

}  // namespace

std::vector<PatternEntry> softmax() {
  std::vector<PatternEntry> entries;
  entries.push_back({"Softmax",
                     {Pattern("div(e=exp(sub(x, max=max(x))), sum=sum(e))"),
                      Pattern("mul(e=exp(sub(x, max=max(x))), reciprocal(sum=sum(e)))"), Pattern("div(e=exp(x), sum=sum(e))")},
                     from_primitives<Op::softmax>});
  entries.push_back({"LogSoftmax", {Pattern("sub(x, sum=logsumexp(x))")}, from_primitives<Op::log_softmax>});
  entries.push_back({"LogSoftmax", {Pattern("log(p=softmax(x))")}, log_of_softmax});
  return entries;
}

std::vector<PatternEntry> softmax_scale() {
  std::vector<PatternEntry> entries;
  entries.push_back({"SoftmaxScale", {Pattern("softmax(y=mul(x, s))"), Pattern("softmax(y=div(x, s))")}, scale_before});
  entries.push_back({"SoftmaxScale", {Pattern("mul(p=softmax|scaled_softmax(...), s)")}, scale_after});
  return entries;
}

}  // namespace lazuli::patterns
