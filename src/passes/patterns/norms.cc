// RMSNorm (Zhang and Sennrich 2019) and LayerNorm (Ba et al. 2016) written in primitives.
#include "graph/attrs.h"
#include "lazuli/op.h"
#include "passes/patterns/patterns.h"

namespace lazuli::patterns {

bool is_last_axis(const Match& m, Value reduced, Value of) {
  const Attrs& attrs = m.node(reduced).attrs;
  int rank = m.spec(of).shape.rank();
  return rank > 0 && attrs[attr::mean::axes] == int64_t{1} << (rank - 1) && attrs[attr::mean::keepdims] != 0;
}

namespace {

// Dims of 1 before the last one say nothing.
bool is_row(const Shape& s, int64_t size) { return s.rank() > 0 && s.back() == size && s.numel() == size; }

bool rms_norm(Match& m) {
  const TensorSpec x = m.spec(m("x"));
  if (!is_last_axis(m, m("mean"), m("x"))) return m.refuse("the mean is not over the last axis with its dimension kept");
  if (m.spec(m("eps")).shape.rank() != 0) return m.refuse("eps is not rank 0");
  if (!is_row(m.spec(m("w")).shape, x.shape.back())) return m.refuse("the weight is not one row");
  Value w = m.reshape(m("w"), {x.shape.back()});
  return m.become(Op::rms_norm, {m("x"), w, m.factor(m("eps"), x.dtype)}, {}, "RMSNorm");
}

bool layer_norm(Match& m) {
  const TensorSpec x = m.spec(m("x"));
  Value variance = m("var");
  bool last = is_last_axis(m, m("mean"), m("x")) && (variance.node < 0 || is_last_axis(m, variance, m("x")));
  if (!last) return m.refuse("mean and variance are not over the last axis with its dimension kept");
  if (variance.node >= 0 && m.node(variance).attrs[attr::var::correction] != 0)
    return m.refuse("the variance is corrected for its degree of freedom");
  if (m.spec(m("eps")).shape.rank() != 0) return m.refuse("eps is not rank 0");
  for (const char* row : {"w", "b"}) {
    if (!is_row(m.spec(m(row)).shape, x.shape.back())) return m.refuse("weight or bias is not one row");
  }
  Value w = m.reshape(m("w"), {x.shape.back()});
  Value b = m.reshape(m("b"), {x.shape.back()});
  return m.become(Op::layer_norm, {m("x"), w, b, m.factor(m("eps"), x.dtype)}, {}, "LayerNorm");
}

}  // namespace

std::vector<PatternEntry> norms() {
  std::vector<PatternEntry> entries;
  // A LayerNorm is the RMSNorm of what is left when the mean is taken off.
  entries.push_back({"LayerNorm",
                     {Pattern("add(rms_norm(sub(x, mean=mean(x)), w, eps), b)"),
                      Pattern("add(mul(mul(sub(x, mean=mean(x)), rsqrt(add(var=var(x), eps))), w), b)"),
                      Pattern("add(mul(div(sub(x, mean=mean(x)), sqrt(add(var=var(x), eps))), w), b)")},
                     layer_norm});
  entries.push_back(
      {"RMSNorm",
       {Pattern("mul(mul(x, rsqrt(add(mean=mean(square(x)), eps))), w)"), Pattern("mul(mul(x, rsqrt(add(mean=mean(mul(x, x)), eps))), w)"),
        Pattern("mul(div(x, sqrt(add(mean=mean(square(x)), eps))), w)"), Pattern("mul(div(x, sqrt(add(mean=mean(mul(x, x)), eps))), w)"),
        Pattern("mul(mul(x, w), rsqrt(add(mean=mean(square(x)), eps)))"), Pattern("div(mul(x, w), sqrt(add(mean=mean(square(x)), eps)))")},
       rms_norm});
  return entries;
}

}  // namespace lazuli::patterns
