// Implements the order of rows by expert: a stable counting sort.
#include "backend/cpu/products/expert_rows.h"

#include <algorithm>

#include "backend/cpu/common/index.h"

namespace lazuli::cpu {

// The scratch: starts, order, groups, the number of groups, then room for counting.
size_t ExpertRows::bytes() const {
  const auto numbers = static_cast<size_t>(2 * experts + 1 + slots() + most_groups() + 1);
  return (numbers * sizeof(int32_t) + 63) / 64 * 64;
}

void ExpertRows::sort(const int32_t* chosen, void* scratch) const {
  auto* const starts = static_cast<int32_t*>(scratch);
  int32_t* const order = starts + experts + 1;
  int32_t* const groups = order + slots();
  int32_t* const count = groups + most_groups();
  int32_t* const next = count + 1;
  std::fill_n(starts, experts + 1, 0);
  for (int64_t slot = 0; slot < slots(); ++slot) {
    const int64_t expert = chosen[slot];
    if (expert < 0 || expert >= experts) fail_index(op, "expert", expert, experts);
    ++starts[expert + 1];
  }
  *count = 0;
  for (int64_t expert = 0; expert < experts; ++expert) {
    if (starts[expert + 1] != 0) groups[(*count)++] = static_cast<int32_t>(expert);
    starts[expert + 1] += starts[expert];
    next[expert] = starts[expert];
  }
  for (int64_t slot = 0; slot < slots(); ++slot) order[next[chosen[slot]]++] = static_cast<int32_t>(slot);
}

ExpertRows::View ExpertRows::view(const void* scratch) const {
  const auto* const starts = static_cast<const int32_t*>(scratch);
  const int32_t* const order = starts + experts + 1;
  const int32_t* const groups = order + slots();
  return {starts, order, groups, groups[most_groups()]};
}

}  // namespace lazuli::cpu
