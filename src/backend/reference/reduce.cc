// Reductions on the reference backend.
#include "backend/reference/call.h"
#include "backend/reference/reduction.h"
#include "graph/ops/sum.h"
#include "graph/ops/var.h"
#include "lazuli/op.h"

namespace lazuli::reference {

namespace {

/// The elements folded into one result.
struct Slice {
  const In& x;
  const FoldedAxes& axes;
  int64_t o;
  int64_t count() const { return axes.folded.numel(); }
  Number operator[](int64_t r) const { return x.number_at(axes.offset(o, r)); }
};

Number fold(const Slice& s, Op op, DType dtype) {
  Fold f(op);
  for (int64_t r = 0; r < s.count(); ++r) f.add(s[r]);
  return f.result(dtype);
}

double log_sum_exp(const Slice& s) {
  const double top = fold(s, Op::max, DType::f64).as_real();
  if (std::isinf(top)) return top;
  double sum = 0;
  for (int64_t r = 0; r < s.count(); ++r) sum += std::exp(s[r].as_real() - top);
  return top + std::log(sum);
}

double variance(const Slice& s, int64_t correction) {
  const double mean = fold(s, Op::mean, DType::f64).f;
  double sum = 0;
  for (int64_t r = 0; r < s.count(); ++r) sum += (s[r].as_real() - mean) * (s[r].as_real() - mean);
  return sum / static_cast<double>(std::max(s.count() - correction, int64_t{0}));
}

/// The first of equals; NaN counts as the largest.
int64_t argmax(const Slice& s) {
  int64_t best = 0;
  for (int64_t r = 1; r < s.count(); ++r) {
    const Number a = s[r], b = s[best];
    const bool wins = a.real ? !std::isnan(b.f) && (std::isnan(a.f) || a.f > b.f) : a.i > b.i;
    if (wins) best = r;
  }
  return best;
}

Number reduce(const Slice& s, const Call& call, DType dtype) {
  switch (call.state.op) {
    case Op::argmax:
      return Number::of(argmax(s));
    case Op::logsumexp:
      return Number::of(log_sum_exp(s));
    case Op::var:
      return Number::of(variance(s, call.attr(attr::var::correction)));
    default:
      return fold(s, call.state.op, dtype);
  }
}

void run_reduce(const Call& call) {
  const In x = call.in(0);
  const Out out = call.out();
  const FoldedAxes axes(x.shape(), x.strides(), call.attr(attr::sum::axes));
  for (int64_t o = call.begin; o < call.end; ++o) out.set(o, reduce({x, axes, o}, call, out.dtype()));
}

}  // namespace

PreparedOp prepare_reduce(const KernelRequest& request) { return prepare_loop<run_reduce>(request, request.outputs[0].shape.numel()); }

}  // namespace lazuli::reference
