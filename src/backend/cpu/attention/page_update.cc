// Stores keys or values in pages. Elements are moved by size.
#include "graph/ops/page_update.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/common/common.h"
#include "backend/cpu/common/index.h"
#include "backend/cpu/common/thresholds.h"

namespace lazuli::cpu {

namespace {

/// A task is some rows of x, which are counted over batch, heads and tokens.
struct PageUpdate {
  Op op;
  Shape pool, x;
  Strides strides;  ///< of x
  int64_t pages;
  bool by_row;
  DType offset_dtype;
  size_t element;
  int64_t rows_per_task;

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const int64_t tokens = x[2], last = std::min(end * rows_per_task, x[0] * x[1] * tokens);
    int64_t row = begin * rows_per_task;
    while (row < last) {
      const int64_t token = row % tokens, most = std::min(last - row, tokens - token);
      row += put(args, row / tokens / x[1], row / tokens % x[1], token, most);
    }
  }

  /// Stores tokens of a head from `token` on, at most `most` and no more than lie in one page. Returns how many.
  int64_t put(const KernelArgs& args, int64_t batch, int64_t head, int64_t token, int64_t most) const {
    const int64_t page = pool[2], position = integer_at(args.in[operand::page_update::offset], offset_dtype, by_row ? batch : 0) + token;
    if (position < 0 || position >= pages * page) fail_index(op, "position", position, pages * page);
    const int64_t place = position % page, count = std::min(most, page - place);
    const int64_t block = integer_at(args.in[operand::page_update::blocks], DType::i32, batch * pages + position / page);
    if (block == -1) return count;
    if (block < 0 || block >= pool[0]) fail_index(op, "block", block, pool[0]);
    const int64_t size = pool[3];
    auto* to = static_cast<std::byte*>(element_at(args.out[0], ((block * pool[1] + head) * page + place) * size, element));
    const auto bytes = static_cast<size_t>(size) * element;
    const int64_t first = batch * strides[0] + head * strides[1] + token * strides[2];
    if (strides[2] == size) {
      std::memcpy(to, element_at(args.in[operand::page_update::x], first, element), static_cast<size_t>(count) * bytes);
      return count;
    }
    for (int64_t i = 0; i < count; ++i) {
      std::memcpy(to + static_cast<size_t>(i) * bytes, element_at(args.in[operand::page_update::x], first + i * strides[2], element),
                  bytes);
    }
    return count;
  }
};

}  // namespace

PreparedOp prepare_page_update(const KernelRequest& request) {
  namespace in = operand::page_update;
  const OperandSpec &x = request.inputs[in::x], &blocks = request.inputs[in::blocks], &offset = request.inputs[in::offset];
  const size_t element = size_of(x.dtype);
  const int64_t rows_per_task = std::max<int64_t>(threshold::move::kTaskElements / std::max<int64_t>(x.shape[3], 1), 1);
  const PageUpdate state{request.op,      request.outputs[0].shape, x.shape,      x.strides,
                         blocks.shape[1], offset.shape.rank() != 0, offset.dtype, element,
                         rows_per_task};
  const int64_t rows = x.shape.numel() == 0 ? 0 : x.shape[0] * x.shape[1] * x.shape[2];
  PreparedOp op = make_op(request, "page_update", state, tasks_for(rows, rows_per_task), 0);
  op.bytes = 2 * static_cast<double>(x.shape.numel()) * static_cast<double>(element);
  op.in_place = {0};
  if (x.shape[3] > 1 && x.strides[3] != 1) op.needs_contiguous |= 1U << 1;
  if (!blocks.contiguous) op.needs_contiguous |= 1U << 2;
  if (!offset.contiguous) op.needs_contiguous |= 1U << 3;
  return op;
}

}  // namespace lazuli::cpu
