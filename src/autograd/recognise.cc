// Implements the search for composite patterns in recorded nodes.
#include "autograd/recognise.h"

#include <atomic>

#include "autograd/replay.h"

namespace lazuli::autograd {

namespace {

std::atomic<Recogniser>& recogniser() {
  static std::atomic<Recogniser> current{nullptr};
  return current;
}

}  // namespace

bool register_recogniser(Recogniser r) {
  recogniser().store(r);
  return true;
}

std::vector<LazyTensor> recognised(std::span<const LazyTensor> outputs, std::span<const LazyTensor> stops) {
  const Recogniser rewrite = recogniser().load();
  if (rewrite != nullptr) {
    Snapshot found = snapshot(outputs, stops);
    if (rewrite(found.graph)) return replay(found.graph, found.inputs, found.scalars);
  }
  return {outputs.begin(), outputs.end()};
}

}  // namespace lazuli::autograd
