// Sort and topk on the reference backend: stable, NaN last in either direction.
#include "graph/ops/sort.h"

#include <algorithm>
#include <numeric>

#include "backend/reference/call.h"

namespace lazuli::reference {

namespace {

/// Whether element a of a lane comes before element b.
bool before(const Number& a, const Number& b, bool descending) {
  if (!a.real) return descending ? a.i > b.i : a.i < b.i;
  if (std::isnan(a.f) || std::isnan(b.f)) return !std::isnan(a.f) && std::isnan(b.f);
  return descending ? a.f > b.f : a.f < b.f;
}

void run_sort(const Call& call) {
  const In x = call.in(0);
  const Out values = call.out(0), indices = call.out(1);
  const Lanes lanes(x.shape(), call.attr(attr::sort::axis)), results(values.shape(), call.attr(attr::sort::axis));
  const bool descending = call.attr(attr::sort::descending) != 0;
  auto* order = static_cast<int64_t*>(call.args.thread_scratch);
  for (int64_t row = call.begin; row < call.end; ++row) {
    const auto at = [&](int64_t j) { return x.number(lanes.at(row, j)); };
    std::iota(order, order + lanes.count, int64_t{0});
    std::sort(order, order + lanes.count, [&](int64_t i, int64_t j) {
      const Number a = at(i), b = at(j);
      return before(a, b, descending) || (!before(b, a, descending) && i < j);
    });
    for (int64_t j = 0; j < results.count; ++j) {
      values.set(results.at(row, j), at(order[j]));
      indices.set(results.at(row, j), Number::of(order[j]));
    }
  }
}

}  // namespace

PreparedOp prepare_sort(const KernelRequest& request) {
  const Lanes lanes(request.inputs[0].shape, request.attrs[attr::sort::axis]);
  return prepare_loop<run_sort>(request, lanes.rows(), static_cast<size_t>(lanes.count) * sizeof(int64_t));
}
PreparedOp prepare_topk(const KernelRequest& request) { return prepare_sort(request); }

}  // namespace lazuli::reference
