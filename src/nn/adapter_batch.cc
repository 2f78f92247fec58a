// Implements the context of several adapters in one batch: the factors of a layer are stacked, those of smaller rank padded with zeros.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "lazuli/adapter.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

/// (rows, columns) with zeros up to a larger size, as (1, rows, columns).
LazyTensor padded_to(const LazyTensor& x, int64_t rows, int64_t columns) {
  const int64_t low[] = {0, 0}, high[] = {rows - x.dim(0), columns - x.dim(1)};
  const LazyTensor whole = high[0] == 0 && high[1] == 0 ? x : pad(x, low, high);
  return reshape(whole, {1, rows, columns});
}

/// What the adapters have for one layer.
struct Layer {
  int64_t in = 0, out = 0;
  std::map<size_t, std::pair<LazyTensor, LazyTensor>> factors;  ///< by number of the adapter
  std::vector<float> scales;                                    ///< of all adapters
};

std::map<size_t, Layer> layers_of(std::span<const Adapter> adapters, std::span<const std::vector<LazyTensor>> parameters) {
  std::map<size_t, Layer> layers;
  for (size_t n = 0; n < adapters.size(); ++n) {
    const auto& pairs = adapters[n].pairs();
    if (adapters[n].layer_count() != adapters[0].layer_count()) {
      throw ValueError(fmt::format("[lora] adapters of one model are expected, got adapters of {} and {} layers", adapters[0].layer_count(),
                                   adapters[n].layer_count()));
    }
    if (parameters[n].size() != 2 * pairs.size()) {
      throw ShapeError(fmt::format("[lora] {} parameters of adapter {} are expected, got {}", 2 * pairs.size(), n, parameters[n].size()));
    }
    for (size_t k = 0; k < pairs.size(); ++k) {
      const LazyTensor &a = parameters[n][2 * k], &b = parameters[n][2 * k + 1];
      Layer& layer = layers[pairs[k].layer];
      if (!layer.factors.empty() && (layer.in != a.dim(1) || layer.out != b.dim(0))) {
        throw ShapeError(fmt::format("[lora] '{}': adapters of one model are expected, got {} to {} and {} to {}", pairs[k].path, layer.in,
                                     layer.out, a.dim(1), b.dim(0)));
      }
      layer.in = a.dim(1);
      layer.out = b.dim(0);
      layer.factors[n] = {a, b};
      layer.scales.resize(adapters.size());
      layer.scales[n] = static_cast<float>(adapters[n].scale(pairs[k]));
    }
  }
  return layers;
}

/// Both stacks of a layer; an adapter that does not have it gives zeros.
std::pair<LazyTensor, LazyTensor> stacked(const Layer& layer, size_t adapters) {
  int64_t rank = 1;
  DType dtype = DType::f32;
  for (const auto& [n, pair] : layer.factors) {
    rank = std::max(rank, pair.first.dim(0));
    dtype = pair.first.dtype();
  }
  std::vector<LazyTensor> a, b;
  for (size_t n = 0; n < adapters; ++n) {
    const auto own = layer.factors.find(n);
    const bool has = own != layer.factors.end();
    a.push_back(has ? padded_to(own->second.first, rank, layer.in) : LazyTensor::zeros({1, rank, layer.in}, dtype));
    b.push_back(has ? padded_to(own->second.second, layer.out, rank) : LazyTensor::zeros({1, layer.out, rank}, dtype));
  }
  return {concat(a, 0), concat(b, 0)};
}

std::vector<std::vector<LazyTensor>> own_parameters(std::span<const Adapter> adapters) {
  std::vector<std::vector<LazyTensor>> all;
  for (const Adapter& adapter : adapters) {
    auto& own = all.emplace_back();
    for (Tensor& t : adapter.parameters()) own.push_back(LazyTensor::from_tensor(std::move(t)));
  }
  return all;
}

}  // namespace

AdapterContext::AdapterContext(std::span<const Adapter> adapters, std::span<const std::vector<LazyTensor>> parameters,
                               const LazyTensor& choice) {
  if (adapters.empty() || parameters.size() != adapters.size()) {
    throw ValueError(fmt::format("[lora] at least one adapter and the parameters of each are expected, got {} and {}", adapters.size(),
                                 parameters.size()));
  }
  if (choice.rank() != 1 || choice.dtype() != DType::i32) {
    throw ShapeError(
        fmt::format("[lora] a choice (batch) of i32 is expected, got {} of {}", to_string(choice.shape()), name_of(choice.dtype())));
  }
  slot_.assign(adapters[0].layer_count(), -1);
  for (const auto& [index, layer] : layers_of(adapters, parameters)) {
    auto [a, b] = stacked(layer, adapters.size());
    LowRank part;
    part.a = std::move(a);
    part.b = std::move(b);
    part.choice = choice;
    part.scales = LazyTensor::from_tensor(Tensor::from_vector(layer.scales, {static_cast<int64_t>(layer.scales.size())}));
    slot_[index] = static_cast<int32_t>(pairs_.size());
    pairs_.push_back(std::move(part));
  }
}

AdapterContext::AdapterContext(std::span<const Adapter> adapters, const LazyTensor& choice)
    : AdapterContext(adapters, own_parameters(adapters), choice) {
  // Stacked once here and not in every evaluation.
  for (LowRank& part : pairs_) {
    part.a = LazyTensor::from_tensor(part.a.eval());
    part.b = LazyTensor::from_tensor(part.b.eval());
  }
}

}  // namespace lazuli
