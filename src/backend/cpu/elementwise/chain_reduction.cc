// Chains that end in a sum, mean, max or min. The axes are ordered as outer kept ones, folded ones, inner kept ones, so that without inner
// ones a row of neighbours gives one number, and with them whole tiles of columns are folded at once.
#include <limits>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/elementwise/chain_loop.h"
#include "backend/cpu/tiles/rows.h"
#include "lazuli/op.h"

namespace lazuli::cpu {

namespace {

using threshold::reduction::kShortRow;
using threshold::reduction::kWork;

/// Sizes of the three groups of axes, and how they are cut: `segments` of the folded elements, `blocks` of the columns.
struct Folding {
  int64_t outer = 1, folded = 1, inner = 1;
  int64_t segment = 1, segments = 1, block = 1, blocks = 1;
};

/// Where folded values go: to the result, or to partial results that a second phase folds.
struct Sink {
  Op op;
  int64_t folded;
  size_t element_size;
  TileStore store;
  /// Finishes n values and stores them as results from `first` on.
  void put(const KernelArgs& args, float* values, int64_t first, int64_t n) const {
    if (op == Op::mean) {
      for (int64_t i = 0; i < n; ++i) values[i] /= static_cast<float>(folded);
    }
    store(values, element_at(args.out[0], first, element_size), n);
  }
};

/// A number folded from tiles: sums in double.
class Running {
 public:
  explicit Running(Op op) : op_(op) {
    if (op == Op::max) best_ = -std::numeric_limits<float>::infinity();
    if (op == Op::min) best_ = std::numeric_limits<float>::infinity();
  }
  void add(float v) {
    if (op_ == Op::max) {
      if (v != v || v > best_) best_ = v;
    } else if (op_ == Op::min) {
      if (v != v || v < best_) best_ = v;
    } else {
      sum_ += static_cast<double>(v);
    }
  }
  float value() const { return op_ == Op::max || op_ == Op::min ? best_ : static_cast<float>(sum_); }

 private:
  Op op_;
  double sum_ = 0;
  float best_ = 0;
};

TileFn accumulate_fn(Op op) { return tile_fn(op == Op::max ? Op::maximum : op == Op::min ? Op::minimum : Op::add, 0); }

/// First phase. Its units are numbered (outer * segments + segment) * blocks + block.
struct FoldChain {
  Chain chain;
  Folding f;
  Sink sink;
  TileFold fold;
  TileFn accumulate;
  size_t columns_at;  // in thread_scratch
  int64_t group;      // units of a task

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    float** slots = chain.bind(args);
    const int64_t units = f.outer * f.segments * f.blocks;
    const int64_t first = begin * group, last = std::min(end * group, units);
    if (f.inner == 1 && f.segments == 1 && f.folded <= kShortRow && f.folded > 0) return short_rows(args, slots, first, last);
    for (int64_t u = first; u < last; ++u) {
      f.inner == 1 ? row(args, slots, u) : columns(args, slots, u);
    }
  }

  // Whole rows, as many as a tile holds.
  void short_rows(const KernelArgs& args, float** slots, int64_t first, int64_t last) const {
    const int64_t most = kTile / f.folded;
    float* values = scratch(args);
    for (int64_t r = first; r < last; r += most) {
      const int64_t rows = std::min(most, last - r);
      chain.run(slots, args, r * f.folded, rows * f.folded);
      const float* tile = chain.result(slots);
      if (f.folded == 1) std::copy_n(tile, rows, values);
      for (int64_t k = 0; k < rows && f.folded > 1; ++k) values[k] = fold(tile + k * f.folded, f.folded);
      sink.put(args, values, r, rows);
    }
  }

  void row(const KernelArgs& args, float** slots, int64_t unit) const {
    const int64_t outer = unit / f.segments, from = unit % f.segments * f.segment;
    const int64_t first = outer * f.folded + from, last = first + std::min(f.segment, f.folded - from);
    Running total(sink.op);
    for (int64_t at = first; at < last;) {
      const int64_t n = chain.tile_at(at, last - at);
      chain.run(slots, args, at, n);
      total.add(fold(chain.result(slots), n));
      at += n;
    }
    float value = total.value();
    if (f.segments > 1) {
      static_cast<float*>(args.scratch)[unit] = value;
    } else {
      sink.put(args, &value, outer, 1);
    }
  }

  // Lines of columns; several lines side by side where they are shorter than a tile.
  void columns(const KernelArgs& args, float** slots, int64_t unit) const {
    const int64_t block = unit % f.blocks, outer = unit / f.blocks / f.segments, segment = unit / f.blocks % f.segments;
    const int64_t column = block * f.block, width = std::min(f.block, f.inner - column);
    const int64_t from = segment * f.segment, to = from + std::min(f.segment, f.folded - from);
    const int64_t most = f.blocks > 1 ? 1 : kTile / width;
    float* sums = scratch(args);
    std::fill_n(sums, most * width, Running(sink.op).value());
    for (int64_t line = from; line < to; line += most) {
      const int64_t n = std::min(most, to - line) * width;
      chain.run(slots, args, (outer * f.folded + line) * f.inner + column, n);
      accumulate(sums, chain.result(slots), nullptr, sums, n);
    }
    for (int64_t k = 1; k < most; ++k) accumulate(sums, sums + k * width, nullptr, sums, width);
    if (f.segments > 1) {
      std::copy_n(sums, width, static_cast<float*>(args.scratch) + (outer * f.segments + segment) * f.inner + column);
    } else {
      sink.put(args, sums, outer * f.inner + column, width);
    }
  }

  float* scratch(const KernelArgs& args) const {
    return static_cast<float*>(element_at(args.thread_scratch, static_cast<int64_t>(columns_at), 1));
  }
};

/// Second phase: the segments' results, a block of columns (or one number) a task.
struct FoldPartials {
  Folding f;
  Sink sink;
  TileFn accumulate;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t outer = task / f.blocks, column = task % f.blocks * f.block, width = std::min(f.block, f.inner - column);
      const float* partial = static_cast<const float*>(args.scratch) + outer * f.segments * f.inner + column;
      auto* values = static_cast<float*>(args.thread_scratch);
      if (f.inner == 1) {
        Running total(sink.op);
        for (int64_t s = 0; s < f.segments; ++s) total.add(partial[s]);
        values[0] = total.value();
      } else {
        std::copy_n(partial, width, values);
        for (int64_t s = 1; s < f.segments; ++s) accumulate(values, partial + s * f.inner, nullptr, values, width);
      }
      sink.put(args, values, outer * f.inner + column, width);
    }
  }
};

/// The program's axes in the order outer, folded, inner.
Folding arrange(const ElementwiseProgram& program, ChainSource& source) {
  Folding f;
  std::vector<int> outer, folded, inner;
  for (int d = 0; d < program.shape.rank(); ++d) {
    if (program.shape[d] == 1) continue;
    if ((program.axes >> d & 1) != 0) {
      // Kept axes between folded ones join the outer ones.
      outer.insert(outer.end(), inner.begin(), inner.end());
      inner.clear();
      folded.push_back(d);
    } else {
      inner.push_back(d);
    }
  }
  if (folded.empty()) std::swap(outer, inner);
  const std::vector<Strides> strides = std::move(source.strides);
  source.strides.assign(strides.size(), Strides());
  source.space = Shape();
  for (const auto& [axes, size] : {std::pair(&outer, &f.outer), std::pair(&folded, &f.folded), std::pair(&inner, &f.inner)}) {
    for (int d : *axes) {
      *size *= program.shape[d];
      source.space.push_back(program.shape[d]);
      for (size_t k = 0; k < strides.size(); ++k) source.strides[k].push_back(strides[k][d]);
    }
  }
  return f;
}

/// Cuts by size only, so that the order of additions is the same for any number of threads.
void cut(Folding& f) {
  f.block = std::min(f.inner, kTile);
  f.blocks = tasks_for(f.inner, std::max<int64_t>(f.block, 1));
  f.segment = std::max<int64_t>(16, kWork / std::max<int64_t>(f.block, 1));
  if (f.folded <= 2 * f.segment) f.segment = std::max<int64_t>(f.folded, 1);
  f.segments = std::max<int64_t>(1, tasks_for(f.folded, f.segment));
}

}  // namespace

PreparedOp prepare_chain_reduction(const KernelRequest& request, const ElementwiseProgram& program) {
  ChainSource source = chain_source(request, program);
  source.outputs = {};
  Folding f = arrange(program, source);
  cut(f);
  const OperandSpec& out = request.outputs[0];
  ScratchPlan plan;
  FoldChain state{Chain::compile(source), f, {program.reduction, f.folded, size_of(out.dtype), tile_store(out.dtype)}, {}, {}, 0, 1};
  state.fold = tile_fold(program.reduction);
  state.accumulate = accumulate_fn(program.reduction);
  plan.take(state.chain.scratch_bytes());
  state.columns_at = plan.take(static_cast<size_t>(kTile) * sizeof(float));
  state.group = std::max<int64_t>(1, kWork / 2 / std::max<int64_t>(1, f.segment * f.block));
  const FoldPartials second{f, state.sink, state.accumulate};
  const int64_t tasks = tasks_for(f.outer * f.segments * f.blocks, state.group);
  const double flops = static_cast<double>(state.chain.cost() + 1) * static_cast<double>(program.shape.numel());
  PreparedOp op = make_op(request, name_of(request.op).data(), std::move(state), tasks);
  op.flops = flops;
  op.thread_scratch_bytes = plan.bytes();
  if (f.segments > 1) {
    op.phases.push_back(make_kernel(second, f.outer * f.blocks));
    op.scratch_bytes = static_cast<size_t>(f.outer * f.segments * f.inner) * sizeof(float);
  }
  return op;
}

}  // namespace lazuli::cpu
