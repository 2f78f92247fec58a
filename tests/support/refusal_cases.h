// Declares graphs that fusions must refuse, each with the reason, and short ways to make such graphs.
#pragma once

#include <functional>
#include <vector>

#include "lazuli/op.h"
#include "passes/test_graph.h"

namespace lazuli::test {

using Values = std::vector<Value>;

/// A graph that `pattern` must refuse for `reason`; `what` tells it from others of the same reason.
struct Refused {
  const char* pattern;
  const char* reason;
  const char* what;
  std::function<Values(TestGraph&)> outputs;
};

inline Value matmul(TestGraph& t, Value a, Value b, int64_t turn_a = 0, int64_t turn_b = 0) {
  return t.op(Op::matmul, {a, b}, turn_a, turn_b);
}
inline Value add(TestGraph& t, Value a, Value b) { return t.op(Op::add, {a, b}); }
inline Value mul(TestGraph& t, Value a, Value b) { return t.op(Op::mul, {a, b}); }

///@{
/// Of norms and softmax, of products, of attention and losses, and of what stands beside a chain, a rotation or a norm.
const std::vector<Refused>& refused_rows();
const std::vector<Refused>& refused_products();
const std::vector<Refused>& refused_attention();
const std::vector<Refused>& refused_neighbours();
///@}

}  // namespace lazuli::test
