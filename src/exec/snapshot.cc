// Snapshots of recorded graphs, and their sizes before and after optimisation.
#include "graph/capture.h"
#include "lazuli/optimize.h"

namespace lazuli {

ComputationGraph capture(std::span<const LazyTensor> values) {
  std::vector<Edge> edges;
  for (const LazyTensor& v : values) edges.push_back({v.checked(), v.out()});
  Capture walk;
  GraphReadGuard guard;
  walk.walk(edges);
  return walk.graph();
}

ComputationGraph LazyTensor::graph() const { return capture({this, 1}); }

size_t LazyTensor::graph_size() const {
  const Edge edge{checked(), out_};
  Capture walk;
  GraphReadGuard guard;
  walk.walk({&edge, 1});
  return walk.node_count();
}

size_t LazyTensor::optimized_size() const { return optimize(graph()).size(); }

}  // namespace lazuli
