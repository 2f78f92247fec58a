#include "conformance/pages.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "graph/attention_operands.h"

namespace lazuli::conformance {

Tensor block_table(const std::vector<int64_t>& keys, int64_t pages, int64_t page) {
  const auto rows = static_cast<int64_t>(keys.size());
  std::vector<int32_t> free(static_cast<size_t>(pool_for(rows, pages)));
  std::iota(free.begin(), free.end(), 0);
  uint64_t x = 1;
  for (size_t k = free.size(); k > 1; --k) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    std::swap(free[k - 1], free[(x >> 33) % k]);
  }
  std::vector<int32_t> blocks;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t p = 0; p < pages; ++p) {
      const bool used = p * page < keys[static_cast<size_t>(row)];
      blocks.push_back(used ? free[static_cast<size_t>(p == 0 ? 0 : row * pages + p)] : -1);
    }
  }
  return Tensor::from_vector(blocks, {rows, pages});
}

namespace {

Tensor one_after_the_other(const Tensor& operand, const Tensor& table) {
  const Tensor pool = operand.contiguous();
  const int64_t rows = table.shape()[0], pages = table.shape()[1], heads = pool.shape()[1], page = pool.shape()[2], size = pool.shape()[3];
  const auto blocks = table.to_vector<int32_t>();
  Tensor all = Tensor::zeros(pool.dtype(), {rows, heads, pages * page, size});
  const auto bytes = static_cast<size_t>(page * size) * size_of(pool.dtype());
  const auto* from = static_cast<const std::byte*>(pool.raw());
  auto* to = static_cast<std::byte*>(all.raw());
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t p = 0; p < pages; ++p) {
      const int64_t block = blocks[static_cast<size_t>(row * pages + p)];
      for (int64_t head = 0; block >= 0 && head < heads; ++head) {
        const auto target = static_cast<size_t>((row * heads + head) * pages + p), source = static_cast<size_t>(block * heads + head);
        std::memcpy(to + target * bytes, from + source * bytes, bytes);
      }
    }
  }
  return all;
}

}  // namespace

OpCall gathered(const OpCall& call) {
  OpCall out = call;
  const size_t at = *AttentionOperands(call.op, call.attrs).find(AttentionPart::blocks);
  for (const size_t k : {size_t{1}, size_t{2}}) out.inputs[k] = one_after_the_other(call.inputs[k], call.inputs[at]);
  out.inputs.erase(out.inputs.begin() + static_cast<std::ptrdiff_t>(at));
  out.attrs.i[3] -= static_cast<int64_t>(AttentionPart::blocks);
  return out;
}

}  // namespace lazuli::conformance
