// Implements checkpoint: a function whose intermediates the backward pass computes again.
#include "autograd/recognise.h"
#include "autograd/vjp_rules.h"
#include "graph/attrs.h"
#include "lazuli/error.h"
#include "lazuli/op.h"
#include "lazuli/transforms.h"

namespace lazuli {

namespace {

struct CheckpointPayload final : NodePayload {
  explicit CheckpointPayload(Function f) : function(std::move(f)) {}
  Function function;
};

}  // namespace

Function checkpoint(Function f) {
  auto payload = std::make_shared<const CheckpointPayload>(std::move(f));
  return [payload](std::span<const LazyTensor> args) {
    std::vector<LazyTensor> operands(args.begin(), args.end());
    Attrs attrs;
    attrs[attr::checkpoint::arguments] = static_cast<int64_t>(args.size());
    const std::vector<LazyTensor> results = payload->function(args);
    if (results.empty()) throw ValueError("[checkpoint] the function gave no results");
    operands.insert(operands.end(), results.begin(), results.end());
    return record_all(Op::checkpoint, operands, attrs, nullptr, payload);
  };
}

// The function runs again on arguments that wait for the cotangent, so that its intermediates live only then. What it captured is not among
// the arguments: the inner derivative is taken for the wanted values too, and the arguments are cut off from what they were made of.
void autograd::vjp_rules::vjp_checkpoint(VjpContext& c) {
  const auto* payload = dynamic_cast<const CheckpointPayload*>(c.payload);
  if (payload == nullptr) throw GraphError("[checkpoint] there is no function to compute again");
  const auto count = static_cast<size_t>(c.attrs[attr::checkpoint::arguments]);
  LazyTensor arrived;
  for (const LazyTensor& g : c.cotangents) arrived = arrived.defined() ? arrived : g;
  std::vector<LazyTensor> sought;
  for (size_t k = 0; k < count; ++k) sought.push_back(barrier(c.in(k), arrived));
  std::vector<LazyTensor> results = payload->function(sought);
  std::vector<LazyTensor> stops = sought;
  for (const LazyTensor& x : c.wanted) stops.push_back(x);
  if (c.recognise) results = recognised(results, stops);
  const auto grads = run_vjp(results, stops, c.cotangents, {.cut = true, .recognise = c.recognise});
  for (size_t k = 0; k < count; ++k) {
    if (c.need(k) && grads[k].defined()) c.set(k, grads[k]);
  }
  for (size_t k = 0; k < c.wanted.size(); ++k) c.wanted_grads[k] = grads[count + k];
}

}  // namespace lazuli
