// Defines run_layer, one layer of a model whose intermediates the backward pass may compute again, and what layers have of an adapter.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "lazuli/adapter.h"
#include "lazuli/transforms.h"
#include "nn/attention.h"

namespace lazuli {

/// f(args), under `checkpoint` when `again`. What `f` refers to must outlive the differentiation, and all that has a gradient is an
/// argument.
inline std::vector<LazyTensor> run_layer(std::span<const LazyTensor> args, bool again, Function f) {
  return again ? checkpoint(std::move(f))(args) : f(args);
}

/// The same for a layer of one argument and one result.
inline LazyTensor run_layer(const LazyTensor& x, bool again, std::function<LazyTensor(const LazyTensor&)> f) {
  if (!again) return f(x);
  return run_layer(std::span(&x, 1), true,
                   [f = std::move(f)](std::span<const LazyTensor> args) { return std::vector<LazyTensor>{f(args[0])}; })[0];
}

/// The adapter as long as layers that are computed again need it; null when there are none.
inline std::shared_ptr<const AdapterContext> kept_for_layers(const AdapterContext* adapter) {
  return adapter != nullptr && adapter->recomputed_layers() > 0 ? std::make_shared<const AdapterContext>(*adapter) : nullptr;
}

/// The low-rank parts of an adapter; none where it is null.
inline LowRankOf low_rank_of(const AdapterContext* adapter) {
  return [adapter](size_t layer) { return adapter == nullptr ? nullptr : adapter->low_rank(layer); };
}

}  // namespace lazuli
