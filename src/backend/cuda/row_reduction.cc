// logsumexp, var and argmax over any axes of strided x on the cuda backend.
#include "backend/cuda/row_reduction.h"

#include "backend/cuda/row_share.h"
#include "backend/cuda/thresholds.h"
#include "graph/ops/sum.h"
#include "graph/ops/var.h"
#include "lazuli/op.h"

namespace lazuli::cuda {

namespace {

/// Axes of a strided operand, without those of one element; neighbours that lie as one are one.
struct Axes {
  std::vector<int64_t> dims, strides;
  int64_t count = 1;
  void add(int64_t dim, int64_t stride) {
    count *= dim;
    if (dim == 1) return;
    if (!dims.empty() && strides.back() == stride * dim) {
      dims.back() *= dim;
      strides.back() = stride;
    } else {
      dims.push_back(dim);
      strides.push_back(stride);
    }
  }
  int64_t innermost() const { return strides.empty() ? 0 : std::abs(strides.back()); }
  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
};

/// Neighbouring threads read neighbouring elements where that is possible: a thread a result when the folded axes lie outside the kept
/// ones. In deterministic runs who does a row does not depend on the other rows.
RowShare share_of(const Axes& kept, const Axes& folded, DType dtype) {
  RowShare share(kept.count, folded.count * 4, dtype);
  const bool across = kept.rank() != 0 && (folded.rank() == 0 || kept.innermost() < folded.innermost());
  const bool alone =
      !deterministic() && across && folded.count <= threshold::row_reduction::kLong && kept.count >= threshold::row_reduction::kFewResults;
  if (folded.count > threshold::row_reduction::kShort && !alone) return share;
  share.share = 1;
  share.block = 128;
  share.grid = blocks_for(kept.count, share.block);
  return share;
}

}  // namespace

PreparedOp prepare_row_reduction(const KernelRequest& request) {
  refuse_f64(request);
  const OperandSpec& x = request.inputs[0];
  Axes kept, folded;
  for (int d = 0; d < x.shape.rank(); ++d) ((request.attrs[attr::sum::axes] >> d & 1) != 0 ? folded : kept).add(x.shape[d], x.strides[d]);
  std::vector<int64_t> sizes = {kept.count, folded.count, request.op == Op::var ? request.attrs[attr::var::correction] : 0};
  for (const Axes* axes : {&kept, &folded}) {
    sizes.insert(sizes.end(), axes->dims.begin(), axes->dims.end());
    sizes.insert(sizes.end(), axes->strides.begin(), axes->strides.end());
  }
  KernelText text;
  text.number("OP", request.op == Op::logsumexp ? 0 : request.op == Op::var ? 1 : 2).type("T", x.dtype).type("R", request.outputs[0].dtype);
  text.number("KEPT", kept.rank()).number("FOLDED", folded.rank());
  const RowShare share = share_of(kept, folded, x.dtype);
  return make_op(request, name_of(request.op).data(), {launch_rows(request, text, "row_reduction", std::move(sizes), share)}, 4);
}

}  // namespace lazuli::cuda
