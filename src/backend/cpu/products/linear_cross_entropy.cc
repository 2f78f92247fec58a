// Softmax cross entropy of x@w with its gradient for x, a chunk of the logits at a time. Both products of a chunk run while its part of w
// is in a cache: exponentials are taken relative to the largest logit so far, and sums made before are scaled when a larger one comes.
// Source of the method: Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018).
#include "backend/cpu/products/linear_cross_entropy.h"

#include <algorithm>
#include <limits>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/gemm/gemm_pieces.h"
#include "graph/ops/linear_cross_entropy.h"
#include "lazuli/op.h"

namespace lazuli::cpu {

namespace {

namespace operands = operand::linear_cross_entropy;

using threshold::loss::kBlockRows;
using threshold::loss::kChunkFloats;
using threshold::loss::kFewestColumns;
using threshold::loss::kMostColumns;
using threshold::loss::kSumBytes;
using threshold::loss::kTaskFlops;
using threshold::loss::kTasks;

const void* element(const void* base, DType dtype, int64_t offset) { return element_at(base, offset, size_of(dtype)); }

/// The task of the second phase is a few rows.
int64_t rows_per_finish(int64_t k) { return rows_per_task(8 * k); }

}  // namespace

LossCut::LossCut(int64_t rows_, int64_t k_, int64_t classes_, bool gradient) : rows(rows_), k(k_), classes(classes_) {
  block = rows == 0 ? 1 : divide_up(rows, divide_up(rows, kBlockRows));
  blocks = divide_up(rows, block);
  chunk = std::clamp(kChunkFloats / block / kPanel * kPanel, kFewestColumns, kMostColumns);
  chunk = std::min(chunk, round_up(classes, kPanel));
  const int64_t chunks = divide_up(classes, chunk);
  const double flops = (gradient ? 4.0 : 2.0) * static_cast<double>(rows * k) * static_cast<double>(classes);
  int64_t wanted = std::min(kTasks / std::max<int64_t>(blocks, 1), static_cast<int64_t>(flops / kTaskFlops));
  if (gradient) wanted = std::min(wanted, kSumBytes / std::max<int64_t>(rows * k * static_cast<int64_t>(sizeof(float)), 1));
  segment = divide_up(chunks, std::clamp<int64_t>(wanted, 1, chunks)) * chunk;
  segments = divide_up(classes, segment);
}

LossState::LossState(const KernelRequest& request, bool wants_gradient)
    : x(request.inputs[0]),
      w(matrix_of(request.inputs[operands::w], request.attrs[attr::linear_cross_entropy::transpose_w] != 0).layout),
      target_type(request.inputs[operands::targets].dtype),
      smoothing_type(request.inputs[operands::smoothing].dtype),
      targets(request.inputs[operands::targets], request.inputs[operands::targets].shape),
      ignore(request.attrs[attr::linear_cross_entropy::ignore_index]),
      gradient(wants_gradient),
      cap_type(request.attrs[attr::linear_cross_entropy::softcap] != 0 ? std::optional(request.inputs[operands::softcap].dtype)
                                                                       : std::nullopt),
      cut(x.rows, request.inputs[0].shape.back(),
          std::max<int64_t>(request.inputs[operands::w].shape[request.attrs[attr::linear_cross_entropy::transpose_w] != 0 ? 0 : 1], 1),
          gradient),
      loops(loss_loops()) {
  plan_products();
  ScratchPlan shared;
  shared.take(static_cast<size_t>(cut.tasks() * cut.block) * sizeof(RowPart));
  if (gradient) {
    sums_at = shared.take(static_cast<size_t>(cut.tasks() * round_to_line(cut.block * cut.k)) * sizeof(float));
    const int64_t totals = cap_type ? cut.tasks() * round_to_line(cut.block * cut.k) : cut.segments * round_to_line(cut.k);
    totals_at = shared.take(static_cast<size_t>(totals) * sizeof(float));
  }
  scratch_bytes = shared.bytes();
  ScratchPlan finish;
  line_at = finish.take(static_cast<size_t>(cut.k) * sizeof(float));
  if (gradient) out = RowWriter(request, request.outputs[2], request.outputs[2].shape.rank() - 1, finish);
  row_bytes = finish.bytes();
}

void LossState::plan_products() {
  size_t shared = 0, own = 0;
  const auto make = [&](GemmSpec spec) {
    Gemm gemm(std::move(spec));
    shared = std::max(shared, gemm.shared_bytes());
    own = std::max(own, gemm.thread_scratch_bytes());
    return gemm;
  };
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) {
      const int64_t m = i == 0 ? cut.block : cut.rows % cut.block, n = j == 0 ? cut.chunk : cut.classes % cut.chunk;
      if (m == 0 || n == 0) continue;
      GemmSpec forward;
      forward.m = m;
      forward.n = n;
      forward.terms = {{x.layout, w, cut.k}};
      forward.keeps_panels = true;
      logits[i][j] = make(std::move(forward));
      if (!gradient) continue;
      GemmSpec backward;
      backward.m = m;
      backward.n = cut.k;
      backward.terms = {{{DType::f32, n, 1}, w.transposed(), n}};
      backward.residual = true;
      backward.keeps_panels = backward.transposes = true;
      if (i == 0) {
        GemmSpec one = backward;
        one.m = 1;
        one.keeps_panels = one.transposes = false;
        total[j] = make(std::move(one));
      }
      back[i][j] = make(std::move(backward));
    }
  }
  ScratchPlan plan;
  plan.take(static_cast<size_t>(cut.block * cut.chunk) * sizeof(float));
  shared_at = plan.take(shared);
  gemm_at = plan.take(own);
  if (gradient) ones_at = plan.take(static_cast<size_t>(cut.chunk) * sizeof(float));
  if (gradient && cap_type) slopes_at = plan.take(static_cast<size_t>(cut.block * cut.chunk) * sizeof(float));
  task_bytes = plan.bytes();
}

int64_t LossState::target(const KernelArgs& args, int64_t r) const {
  const int64_t offset = targets.contiguous() ? r : run_at(targets, r).offset;
  const int64_t t = target_type == DType::i32 ? static_cast<const int32_t*>(args.in[operands::targets])[offset]
                                              : static_cast<const int64_t*>(args.in[operands::targets])[offset];
  if (t == ignore) return -1;
  if (t >= 0 && t < cut.classes) return t;
  throw ValueError("[linear_cross_entropy] target " + std::to_string(t) + " of row " + std::to_string(r) + " is out of range for " +
                   std::to_string(cut.classes) + " classes");
}

PackedWeight* LossState::weight_of(const KernelArgs& args) const {
  return w.row == 1 && w.column == cut.k ? PackedWeight::find(args.in[operands::w], cut.classes, cut.k) : nullptr;
}

/// Alone, on this thread.
void LossState::multiply(const Gemm& gemm, GemmPointers pointers, const KernelArgs& args) const {
  pointers.factor = 1;
  pointers.shared = reinterpret_cast<float*>(at(args.thread_scratch, shared_at));
  void* own = at(args.thread_scratch, gemm_at);
  if (gemm.pack_tasks() > 0) gemm.pack(pointers, 0, gemm.pack_tasks());
  gemm.run(pointers, own, 0, gemm.tasks());
}

void LossState::run_task(const KernelArgs& args, int64_t task) const {
  const int64_t b = task % cut.blocks, s = task / cut.blocks, rows = cut.rows_of(b);
  const bool smooth = factor(args.in[operands::smoothing], smoothing_type) != 0;
  RowPart* const parts_of_rows = parts(args, b, s);
  std::fill_n(parts_of_rows, rows, RowPart{-std::numeric_limits<float>::infinity(), 0, 0, 0});
  float* const chunk_logits = static_cast<float*>(args.thread_scratch);
  float* const acc = gradient ? sums(args, b, s) : nullptr;
  float* const ones = reinterpret_cast<float*>(at(args.thread_scratch, ones_at));
  const float softcap = cap(args);
  float* const slopes = gradient && cap_type ? reinterpret_cast<float*>(at(args.thread_scratch, slopes_at)) : nullptr;
  const bool totals_too = gradient && smooth && b == 0 && !cap_type;
  if (slopes != nullptr && smooth) std::fill_n(slope_sums(args, b, s), rows * cut.k, 0.0F);
  if (gradient) std::fill_n(acc, rows * cut.k, 0.0F);
  if (totals_too) {
    std::fill_n(totals(args, s), cut.k, 0.0F);
    std::fill_n(ones, cut.chunk, 1.0F);
  }
  PackedWeight* weight = weight_of(args);
  // A chunk is whole panels of rows alone.
  if (weight != nullptr && weight->by() != PackedWeight::By::rows) weight = nullptr;
  // Another task may complete the panels at any time: the gradient's products read them only if they were complete before.
  PackedWeight* const complete = weight != nullptr && weight->complete() ? weight : nullptr;
  const int64_t end = std::min((s + 1) * cut.segment, cut.classes);
  for (int64_t first = s * cut.segment; first < end; first += cut.chunk) {
    const int64_t width = std::min(cut.chunk, end - first);
    const int i = rows < cut.block ? 1 : 0, j = width < cut.chunk ? 1 : 0;
    GemmPointers p{};
    p.a[0] = element(args.in[0], x.layout.dtype, b * cut.block * x.layout.row);
    p.b[0] = element(args.in[operands::w], w.dtype, first * w.column);
    p.weight = weight;
    p.is_part = true;
    p.first_panel = first / kPanel;
    p.out = chunk_logits;
    multiply(*logits[i][j], p, args);
    for (int64_t r = 0; r < rows; ++r) {
      float* const row = chunk_logits + r * width;
      float* const row_slopes = slopes == nullptr ? nullptr : slopes + r * width;
      if (cap_type) loops.cap(row, row_slopes, width, softcap);
      const int64_t hit = target(args, b * cut.block + r) - first;
      if (hit >= 0 && hit < width) parts_of_rows[r].hit = row[hit];
      update_row(parts_of_rows[r], row, width, gradient ? acc + r * cut.k : nullptr, smooth);
      if (row_slopes != nullptr) loops.multiply(row_slopes, row, width);
    }
    if (!gradient) continue;
    p.weight = complete;
    p.a[0] = chunk_logits;
    p.out = acc;
    p.residual = acc;
    multiply(*back[i][j], p, args);
    if (slopes != nullptr && smooth) {
      p.a[0] = slopes;
      p.out = slope_sums(args, b, s);
      p.residual = p.out;
      multiply(*back[i][j], p, args);
    }
    if (!totals_too) continue;
    p.a[0] = ones;
    p.out = totals(args, s);
    p.residual = p.out;
    multiply(*total[j], p, args);
  }
}

/// Takes in one chunk of a row, which becomes its exponentials when the gradient needs them.
void LossState::update_row(RowPart& part, float* row, int64_t width, float* acc, bool smooth) const {
  const float highest = tile_fold(Op::max)(row, width);
  const float top = std::isnan(highest) || highest > part.top ? highest : part.top;
  if (top != part.top) {
    const float scale = std::isinf(part.top) ? 0.0F : std::exp(part.top - top);
    part.sum *= static_cast<double>(scale);
    if (acc != nullptr && !std::isinf(part.top)) tile_fn(Op::mul, 2)(acc, &scale, nullptr, acc, cut.k);
    part.top = top;
  }
  if (smooth) part.all += static_cast<double>(tile_fold(Op::sum)(row, width));
  const float base = top == -std::numeric_limits<float>::infinity() ? 0.0F : top;
  part.sum += static_cast<double>(loops.exp_sum(row, acc != nullptr ? row : nullptr, width, base));
}

void LossState::finish_row(const KernelArgs& args, int64_t r) const {
  const int64_t b = r / cut.block, i = r % cut.block, label = target(args, r);
  const auto smoothing = static_cast<float>(factor(args.in[operands::smoothing], smoothing_type));
  float top = -std::numeric_limits<float>::infinity(), hit = 0;
  for (int64_t s = 0; s < cut.segments; ++s) {
    const RowPart& part = parts(args, b, s)[i];
    if (std::isnan(part.top) || part.top > top) top = part.top;
    if (label >= s * cut.segment && label < (s + 1) * cut.segment) hit = part.hit;
  }
  double sum = 0, all = 0;
  for (int64_t s = 0; s < cut.segments; ++s) {
    const RowPart& part = parts(args, b, s)[i];
    if (!std::isinf(part.top)) sum += part.sum * std::exp(static_cast<double>(part.top - top));
    all += part.all;
  }
  const float lse = std::isinf(top) ? top : top + static_cast<float>(std::log(sum));
  float loss = 0;
  if (label >= 0) {
    loss = (1 - smoothing) * (lse - hit);
    if (smoothing != 0) loss += smoothing * static_cast<float>(static_cast<double>(lse) - all / static_cast<double>(cut.classes));
  }
  if (args.out[0] != nullptr) static_cast<float*>(args.out[0])[r] = loss;
  if (args.out[1] != nullptr) static_cast<float*>(args.out[1])[r] = lse;
  const float capped_part = cap_type ? hit / cap(args) : 0;
  if (gradient) finish_gradient(args, r, {label, top, sum, 1 - capped_part * capped_part}, smoothing);
}

void LossState::finish_gradient(const KernelArgs& args, int64_t r, const RowResult& found, float smoothing) const {
  float* const row = out.row(args, args.out[2], r);
  std::fill_n(row, cut.k, 0.0F);
  if (found.label >= 0) {
    const int64_t b = r / cut.block, i = r % cut.block;
    const float spread = smoothing / static_cast<float>(cut.classes);
    for (int64_t s = 0; s < cut.segments; ++s) {
      const float part_top = parts(args, b, s)[i].top;
      const bool nothing = part_top == -std::numeric_limits<float>::infinity() && part_top != found.top;
      if (!nothing)
        loops.add_scaled(sums(args, b, s) + i * cut.k, static_cast<float>(std::exp(part_top - found.top) / found.sum), row, cut.k);
      if (smoothing != 0) loops.add_scaled(cap_type ? slope_sums(args, b, s) + i * cut.k : totals(args, s), -spread, row, cut.k);
    }
    float* const line = reinterpret_cast<float*>(at(args.thread_scratch, line_at));
    load_class(args, found.label, line);
    loops.add_scaled(line, (smoothing - 1) * found.hit_slope, row, cut.k);
  }
  out.finish(args, args.out[2], r);
}

/// What x is multiplied with for class j.
void LossState::load_class(const KernelArgs& args, int64_t j, float* line) const {
  const TileLoad load = tile_load(w.dtype);
  const int64_t step = w.row == 1 ? cut.k : 1;
  for (int64_t p = 0; p < cut.k; p += step) load(element(args.in[operands::w], w.dtype, p * w.row + j * w.column), line + p, step);
}

namespace {

struct LossTasks {
  std::shared_ptr<const LossState> state;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    for (int64_t task = begin; task < end; ++task) state->run_task(args, task);
  }
};

struct LossRows {
  std::shared_ptr<const LossState> state;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    // After all tasks of this run, so that those of another one fill all panels.
    PackedWeight* const weight = begin == 0 ? state->weight_of(args) : nullptr;
    if (weight != nullptr) weight->count(PackedWeight::By::rows, state->cut.rows);
    each_row(state->cut.rows, rows_per_finish(state->cut.k), begin, end, [&](int64_t r) { state->finish_row(args, r); });
  }
};

}  // namespace

PreparedOp prepare_linear_cross_entropy(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  const bool gradient = request.outputs[2].used;
  const auto state = std::make_shared<const LossState>(request, gradient);
  PreparedOp op;
  op.name = "linear_cross_entropy";
  op.bytes = bytes_of(request);
  op.flops = (gradient ? 4.0 : 2.0) * static_cast<double>(state->cut.rows * state->cut.k) * static_cast<double>(state->cut.classes);
  op.scratch_bytes = state->scratch_bytes;
  op.thread_scratch_bytes = std::max(state->task_bytes, state->row_bytes);
  if (state->needs_copy()) op.needs_contiguous |= 1;
  op.takes_turns = state->logits[0][0].has_value() && state->logits[0][0]->takes_turns();
  op.phases.push_back(make_kernel(LossTasks{state}, state->cut.tasks()));
  op.phases.push_back(make_kernel(LossRows{state}, tasks_for(state->cut.rows, rows_per_finish(state->cut.k))));
  return op;
}

}  // namespace lazuli::cpu
