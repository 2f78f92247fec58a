// Softmax cross entropy of x@w with its gradient for x on the cuda backend: chunks of rows, whose logits and then their gradient take one
// stretch of scratch memory.
#include "graph/ops/linear_cross_entropy.h"

#include <algorithm>

#include "backend/backend.h"
#include "backend/cuda/product.h"
#include "backend/cuda/row_share.h"
#include "backend/cuda/thresholds.h"

namespace lazuli::cuda {

namespace {

namespace operands = operand::linear_cross_entropy;

using threshold::loss::kFewestRows;
using threshold::loss::kLogitBytes;
constexpr int64_t kTwoOnes = 0x3f8000003f800000;  ///< of f32, as `full` repeats them

OperandSpec row_major(DType dtype, const Shape& shape) { return {dtype, shape, contiguous_strides(shape), true, true}; }
int64_t aligned(int64_t bytes) { return (bytes + 255) / 256 * 256; }
int64_t bytes_of(DType dtype, int64_t count) { return count * static_cast<int64_t>(size_of(dtype)); }

/// Where the parts of scratch memory lie: logits, log-sum-exps, ones.
struct Scratch {
  int64_t lse, ones, end;
};

class Loss {
 public:
  explicit Loss(const KernelRequest& request) : r_(request), x_(request.inputs[0].dtype), k_(request.inputs[0].shape.back()) {
    transposed_ = request.attrs[attr::linear_cross_entropy::transpose_w] != 0;
    rows_ = request.inputs[operands::targets].shape.numel();
    classes_ = request.inputs[operands::w].shape[transposed_ ? 0 : 1];
    const int64_t fit = kLogitBytes / std::max<int64_t>(bytes_of(x_, classes_), 1) / kFewestRows * kFewestRows;
    chunk_ = std::clamp<int64_t>(fit, std::min(rows_, kFewestRows), std::max<int64_t>(rows_, 1));
    scratch_.lse = aligned(bytes_of(x_, chunk_ * classes_));
    scratch_.ones = scratch_.lse + aligned(bytes_of(DType::f32, chunk_));
    scratch_.end = scratch_.ones + aligned(bytes_of(DType::f32, chunk_));
  }

  PreparedOp prepare() {
    const bool gradient = r_.outputs[2].used;
    PreparedOp op;
    op.name = "linear_cross_entropy";
    op.bytes = cuda::bytes_of(r_);
    op.flops = (gradient ? 4.0 : 2.0) * static_cast<double>(rows_ * k_) * static_cast<double>(classes_);
    op.scratch_bytes = static_cast<size_t>(scratch_.end);
    if (gradient) op.phases.push_back(ones());
    for (int64_t first = 0; first < rows_; first += chunk_) {
      const int64_t count = std::min(chunk_, rows_ - first);
      op.phases.push_back(product_kernel(r_, logits(first, count)));
      op.phases.push_back(loss(first, count));
      if (!gradient) continue;
      op.phases.push_back(logit_gradient(first, count));
      op.phases.push_back(product_kernel(r_, state_gradient(first, count)));
    }
    return op;
  }

  Product logits(int64_t first, int64_t count) const {
    return {{row_major(x_, {count, k_}), Place::input(0, bytes_of(x_, first * k_))},
            {r_.inputs[operands::w], Place::input(operands::w), transposed_},
            x_,
            Place::scratch(0),
            std::nullopt,
            std::nullopt};
  }

 private:
  Product state_gradient(int64_t first, int64_t count) const {
    return {{row_major(x_, {count, classes_}), Place::scratch(0)},
            {r_.inputs[operands::w], Place::input(operands::w), !transposed_},
            x_,
            Place::output(2, bytes_of(x_, first * k_)),
            std::nullopt,
            std::nullopt};
  }

  Kernel ones() const {
    const OperandSpec out = row_major(DType::f32, {chunk_});
    const int64_t bytes = bytes_of(DType::f32, chunk_);
    Launch launch = launch_file({r_.op, r_.attrs, {}, {&out, 1}}, {}, "full", {kTwoOnes, bytes}, blocks_for((bytes + 15) / 16), 256);
    launch.in = {Place::scratch(0)};
    launch.out = {Place::scratch(scratch_.ones)};
    return make_kernel(r_, std::move(launch));
  }

  /// A launch of the row kernels of the logits in scratch memory.
  Kernel over_rows(std::string_view file, int64_t count, std::vector<Place> in, std::vector<Place> out) const {
    const OperandSpec logits = row_major(x_, {count, classes_});
    const std::vector<OperandSpec> inputs(in.size(), logits), outputs(out.size(), logits);
    KernelText text;
    text.type("T", x_).type("I", r_.inputs[operands::targets].dtype).type("S", r_.inputs[operands::smoothing].dtype);
    text.number("CAP_AT", capped() ? static_cast<int64_t>(in.size()) - 1 : 0);
    if (capped()) text.type("CAP", r_.inputs[operands::softcap].dtype);
    Launch launch = launch_rows({r_.op, r_.attrs, inputs, outputs}, text, file,
                                {count, classes_, r_.attrs[attr::linear_cross_entropy::ignore_index]}, RowShare(count, classes_, x_));
    launch.in = std::move(in);
    launch.out = std::move(out);
    launch.what_fails = "target";
    return make_kernel(r_, std::move(launch));
  }

  std::vector<Place> labelled(int64_t first) const {
    return {Place::scratch(0), Place::input(operands::targets, bytes_of(r_.inputs[operands::targets].dtype, first)),
            Place::input(operands::smoothing)};
  }
  Place lse(int64_t first) const {
    return r_.outputs[1].used ? Place::output(1, bytes_of(DType::f32, first)) : Place::scratch(scratch_.lse);
  }
  /// The cap comes last.
  bool capped() const { return r_.attrs[attr::linear_cross_entropy::softcap] != 0; }
  std::vector<Place> with_cap(std::vector<Place> in) const {
    if (capped()) in.push_back(Place::input(operands::softcap));
    return in;
  }
  Kernel loss(int64_t first, int64_t count) const {
    return over_rows("cross_entropy", count, with_cap(labelled(first)), {Place::output(0, bytes_of(DType::f32, first)), lse(first)});
  }
  Kernel logit_gradient(int64_t first, int64_t count) const {
    std::vector<Place> in = labelled(first);
    in.push_back(lse(first));
    in.push_back(Place::scratch(scratch_.ones));
    return over_rows("cross_entropy_backward", count, with_cap(std::move(in)), {Place::scratch(0)});
  }

  const KernelRequest& r_;
  DType x_;
  int64_t k_, rows_ = 0, classes_ = 0, chunk_ = 1;
  bool transposed_ = false;
  Scratch scratch_{};
};

}  // namespace

PreparedOp prepare_linear_cross_entropy(const KernelRequest& request) {
  refuse_f64(request);
  Loss loss(request);
  uint32_t wanted = 1u << 0 | 1u << 2;
  if (!takes_addends(loss.logits(0, 1))) wanted |= 1u << 1;
  if (const uint32_t strided = strided_operands(request, wanted)) return ask_for_contiguous(strided);
  return loss.prepare();
}

}  // namespace lazuli::cuda
