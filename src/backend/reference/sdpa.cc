// Scaled dot-product attention and its gradient on the reference backend.
#include <algorithm>
#include <limits>

#include "backend/reference/call.h"
#include "graph/attention_operands.h"
#include "graph/ops/sdpa_backward.h"
#include "graph/ops/sdpa_packed.h"

namespace lazuli::reference {

namespace {

constexpr double kHidden = -std::numeric_limits<double>::infinity();

/// The operands that forward and backward share, and the scores that they give.
struct Attention {
  explicit Attention(const Call& c)
      : call(c),
        told(c.state.op, c.state.attrs),
        q(c.in(0)),
        k(c.in(1)),
        v(c.in(2)),
        heads(q.dim(1)),
        kv_heads(k.dim(1)),
        queries(q.dim(2)),
        keys(told.keys(c.state.inputs)),
        page(k.dim(2)),
        size(q.dim(3)),
        value_size(v.dim(3)),
        factor(c.in(told.scale).real()),
        lengths(c.in(told.length)) {
    if (const auto at = told.find(AttentionPart::mask)) mask.emplace(c.in(*at, Shape{q.dim(0), heads, queries, keys}));
    if (const auto at = told.find(AttentionPart::softcap)) cap = c.in(*at).real();
    if (const auto at = told.find(AttentionPart::sinks)) sinks.emplace(c.in(*at));
    if (const auto at = told.find(AttentionPart::first_key)) first_key.emplace(c.in(*at));
    if (const auto at = told.find(AttentionPart::blocks)) blocks.emplace(c.in(*at));
    for (int64_t b = 0; b < lengths.numel(); ++b) {
      const int64_t length = lengths.integer(b);
      if (length >= 0 && length <= keys) continue;
      throw ValueError(c.name() + " length " + std::to_string(length) + " is not between 0 and the " + std::to_string(keys) + " keys");
    }
  }
  /// The key and value head that a query head reads, counted over the batch.
  int64_t kv_head(int64_t head) const { return head / heads * kv_heads + head % heads / (heads / kv_heads); }
  /// The row of k and v, counted over all their tokens, that holds key j of a query head. Throws ValueError for a block outside the pool.
  int64_t row(int64_t head, int64_t j) const {
    if (!blocks) return kv_head(head) * keys + j;
    const int64_t block = blocks->integer(head / heads * blocks->dim(1) + j / page);
    check_index(call, "block", block, k.dim(0));
    return (block * kv_heads + kv_head(head) % kv_heads) * page + j % page;
  }

  /// Whether a query of a query head (counted over the batch) sees key j; one that it does not see is not read.
  bool sees(int64_t head, int64_t t, int64_t j) const {
    const int64_t batch = head / heads, length = lengths.integer(lengths.rank() == 0 ? 0 : batch), position = length - queries + t;
    if (j >= length || j < position - told.left || j > position + told.right) return false;
    if (first_key && j < first_key->integer(batch * queries + t)) return false;
    return !mask || mask->dtype() != DType::boolean || mask->number((head * queries + t) * keys + j).truth();
  }
  /// A score before a mask is added, and its derivative by the scaled product.
  struct Score {
    double value, slope;
  };
  Score capped(int64_t head, int64_t t, int64_t j) const {
    double dot = 0;
    const int64_t key = row(head, j);
    for (int64_t i = 0; i < size; ++i) dot += q.real((head * queries + t) * size + i) * k.real(key * size + i);
    if (!cap) return {dot * factor, 1};
    const double part = std::tanh(dot * factor / *cap);
    return {*cap * part, 1 - part * part};
  }
  /// Of a query and a key that it sees. A mask of numbers is added as any number is, so that NaN and -inf are NaN.
  double score(int64_t head, int64_t t, int64_t j) const { return capped(head, t, j).value + added(head, t, j); }
  double added(int64_t head, int64_t t, int64_t j) const {
    return mask && mask->dtype() != DType::boolean ? mask->number((head * queries + t) * keys + j).as_real() : 0;
  }

  const Call& call;
  AttentionOperands told;
  In q, k, v;
  int64_t heads, kv_heads, queries, keys, page, size, value_size;
  double factor;
  In lengths;
  std::optional<double> cap;
  std::optional<In> mask, sinks, first_key, blocks;
};

/// A task is one query; its scratch holds the scores.
void run_sdpa(const Call& call) {
  const Attention a(call);
  auto* scores = static_cast<double*>(call.args.thread_scratch);
  for (int64_t task = call.begin; task < call.end; ++task) {
    const int64_t head = task / a.queries, t = task % a.queries;
    const double sink = a.sinks ? a.sinks->real(head % a.heads) : kHidden;
    double top = sink, sum = 0;
    for (int64_t j = 0; j < a.keys; ++j) {
      scores[j] = a.sees(head, t, j) ? a.score(head, t, j) : kHidden;
      if (std::isnan(scores[j]) || scores[j] > top) top = scores[j];
    }
    const bool sees = top != kHidden;
    if (sees) sum = std::exp(sink - top);
    for (int64_t j = 0; j < a.keys; ++j) {
      scores[j] = sees ? std::exp(scores[j] - top) : 0;
      sum += scores[j];
    }
    for (int64_t i = 0; i < a.value_size; ++i) {
      double result = 0;
      for (int64_t j = 0; sees && j < a.keys; ++j) {
        if (a.sees(head, t, j)) result += scores[j] / sum * a.v.real(a.row(head, j) * a.value_size + i);
      }
      call.out(0).set(task * a.value_size + i, result);
    }
    call.out(1).set(task, sees ? top + std::log(sum) : kHidden);
  }
}

/// The sums that one key and value head collects.
struct Collected {
  double* dk;
  double* dv;
  double* dq;  ///< of one query
};

/// Adds what query t of a head gives to the gradients. With p = exp(s - lse), ds = p (g.v - g.result): dq = ds k, dk = ds q, dv = p g.
void add_query(const Attention& a, const In& result, const In& lse, const In& g, int64_t head, int64_t t, const Collected& sums) {
  const int64_t row = head * a.queries + t, first = a.kv_head(head) * a.keys;
  double delta = 0;
  for (int64_t i = 0; i < a.value_size; ++i) delta += g.real(row * a.value_size + i) * result.real(row * a.value_size + i);
  std::fill_n(sums.dq, a.size, 0.0);
  if (lse.real(row) == kHidden) return;
  for (int64_t j = 0; j < a.keys; ++j) {
    if (!a.sees(head, t, j)) continue;
    const auto [score, slope] = a.capped(head, t, j);
    const double p = std::exp(score + a.added(head, t, j) - lse.real(row));
    double dp = 0;
    for (int64_t i = 0; i < a.value_size; ++i) {
      const double gi = g.real(row * a.value_size + i);
      dp += gi * a.v.real((first + j) * a.value_size + i);
      sums.dv[j * a.value_size + i] += p * gi;
    }
    const double ds = p * (dp - delta) * slope * a.factor;
    for (int64_t i = 0; i < a.size; ++i) {
      sums.dq[i] += ds * a.k.real((first + j) * a.size + i);
      sums.dk[j * a.size + i] += ds * a.q.real(row * a.size + i);
    }
  }
}

/// A task is one key and value head with all query heads that read it.
void run_sdpa_backward(const Call& call) {
  namespace in = operand::sdpa_backward;
  const Attention a(call);
  const In result = call.in(in::result), lse = call.in(in::lse), g = call.in(in::g);
  const int64_t group = a.heads / a.kv_heads;
  auto* scratch = static_cast<double*>(call.args.thread_scratch);
  const Collected sums{scratch, scratch + a.keys * a.size, scratch + a.keys * (a.size + a.value_size)};
  for (int64_t task = call.begin; task < call.end; ++task) {
    std::fill(sums.dk, sums.dq, 0.0);
    for (int64_t member = 0; member < group; ++member) {
      const int64_t head = task * group + member;
      for (int64_t t = 0; t < a.queries; ++t) {
        add_query(a, result, lse, g, head, t, sums);
        for (int64_t i = 0; i < a.size; ++i) call.out(0).set((head * a.queries + t) * a.size + i, sums.dq[i]);
      }
    }
    for (int64_t i = 0; i < a.keys * a.size; ++i) call.out(1).set(task * a.keys * a.size + i, sums.dk[i]);
    for (int64_t i = 0; i < a.keys * a.value_size; ++i) call.out(2).set(task * a.keys * a.value_size + i, sums.dv[i]);
  }
}

/// A task is one head of one row.
void run_sdpa_packed(const Call& call) {
  namespace in = operand::sdpa_packed;
  const In q = call.in(in::q), k = call.in(in::k), v = call.in(in::v), starts = call.in(in::starts);
  const int64_t tokens = q.dim(0), heads = q.dim(1), size = q.dim(2), kv_heads = k.dim(1), value_size = v.dim(2), last = starts.dim(0) - 1;
  for (int64_t s = 0; s <= last; ++s) {
    const int64_t at = starts.integer(s);
    if (at < (s == 0 ? 0 : starts.integer(s - 1)) || at > (s == 0 ? 0 : tokens)) {
      throw ValueError(call.name() + " starts from 0 to the " + std::to_string(tokens) + " rows, not decreasing, are expected, got " +
                       std::to_string(at) + " as number " + std::to_string(s));
    }
  }
  const double factor = call.in(in::scale).real();
  const AttentionOperands told(call.state.op, call.state.attrs);
  auto* scores = static_cast<double*>(call.args.thread_scratch);
  for (int64_t task = call.begin; task < call.end; ++task) {
    const int64_t row = task / heads, head = task % heads / (heads / kv_heads);
    int64_t begin = row, end = row;  // of the keys; none after the last sequence
    for (int64_t s = 0; s < last; ++s) {
      if (row < starts.integer(s) || row >= starts.integer(s + 1)) continue;
      begin = std::max(starts.integer(s), row - told.left);
      end = std::min(starts.integer(s + 1), row + told.right + 1);
    }
    double top = kHidden, sum = 0;
    for (int64_t j = begin; j < end; ++j) {
      double dot = 0;
      for (int64_t i = 0; i < size; ++i) dot += q.real(task * size + i) * k.real((j * kv_heads + head) * size + i);
      scores[j] = dot * factor;
      if (std::isnan(scores[j]) || scores[j] > top) top = scores[j];
    }
    for (int64_t j = begin; j < end; ++j) {
      scores[j] = top == kHidden ? 0 : std::exp(scores[j] - top);
      sum += scores[j];
    }
    for (int64_t i = 0; i < value_size; ++i) {
      double result = 0;
      for (int64_t j = begin; j < end; ++j) {
        if (top != kHidden) result += scores[j] / sum * v.real((j * kv_heads + head) * value_size + i);
      }
      call.out(0).set(task * value_size + i, result);
    }
  }
}

}  // namespace

PreparedOp prepare_sdpa_packed(const KernelRequest& request) {
  const Shape& q = request.inputs[0].shape;
  return prepare_loop<run_sdpa_packed>(request, q[0] * q[1], static_cast<size_t>(q[0]) * sizeof(double));
}

PreparedOp prepare_sdpa(const KernelRequest& request) {
  const Shape& q = request.inputs[0].shape;
  const int64_t keys = AttentionOperands(request.op, request.attrs).keys(request.inputs);
  return prepare_loop<run_sdpa>(request, q[0] * q[1] * q[2], static_cast<size_t>(keys) * sizeof(double));
}

PreparedOp prepare_sdpa_backward(const KernelRequest& request) {
  const Shape& q = request.inputs[0].shape;
  const Shape& v = request.inputs[operand::sdpa_backward::v].shape;
  const int64_t doubles = v[2] * (q[3] + v[3]) + q[3];
  return prepare_loop<run_sdpa_backward>(request, v[0] * v[1], static_cast<size_t>(doubles) * sizeof(double));
}

}  // namespace lazuli::reference
