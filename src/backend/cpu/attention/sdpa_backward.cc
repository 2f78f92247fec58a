// The gradient of attention. Weights are recomputed from the saved log-sum-exp, as in FlashAttention-2 (Dao 2023): with p = exp(s - lse)
// and delta = rowsum(g * result), ds = p * (g v - delta) * scale; dv += p^T g, dk += ds^T q, dq += ds k.
#include "graph/ops/sdpa_backward.h"

#include <cmath>
#include <limits>

#include "backend/cpu/attention/sdpa.h"
#include "backend/cpu/common/thresholds.h"
#include "lazuli/op.h"

namespace lazuli::cpu {

namespace {

using threshold::sdpa::kQueries;

/// A task is one key head of one batch with all query heads that read it: sums over queries have a fixed order.
class Backward {
 public:
  explicit Backward(const KernelRequest& request)
      : a_(request),
        exact_(reference_backend().prepare(request)),
        result_(request.inputs[operand::sdpa_backward::result]),
        g_(request.inputs[operand::sdpa_backward::g]),
        gradient_(attention_gradient()),
        multiply_(tile_fn(Op::mul, 0)),
        sum_(tile_fold(Op::sum)),
        load_(tile_load(a_.q.dtype)) {
    if (a_.q.dtype != DType::f32) store_ = tile_store(a_.q.dtype);
    height_ = a_.kernels.max_rows;
  }
  int64_t tasks() const { return a_.batches * a_.k.heads; }
  size_t scratch_bytes() const {
    return std::max(static_cast<size_t>(layout(nullptr).floats) * sizeof(float), exact_.thread_scratch_bytes);
  }
  double flops() const { return 2 * a_.pairs() * static_cast<double>(3 * a_.q.size + 2 * a_.v.size); }

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    for (int64_t task = begin; task < end; ++task) {
      Work w = layout(static_cast<float*>(args.thread_scratch));
      Seen seen;
      w.seen = &seen;
      w.batch = task / a_.k.heads;
      w.kv_head = task % a_.k.heads;
      w.visible = a_.visible(args, w.batch);
      w.scale = a_.scale(args);
      w.cap = a_.cap(args);
      pack_keys(args, w);
      std::fill_n(w.dk, a_.k.tokens * ld_k(), 0.0f);
      std::fill_n(w.dv, a_.k.tokens * ld_v(), 0.0f);
      for (int64_t h = 0; h < a_.group(); ++h) {
        for (int64_t t = 0; t < a_.q.tokens; t += kQueries) {
          w.head = w.kv_head * a_.group() + h;
          w.first = t;
          w.queries = std::min(kQueries, a_.q.tokens - t);
          run_queries(args, w);
        }
      }
      store_rows(args.out[1], w.dk, ld_k(), task * a_.k.tokens, a_.k.tokens, a_.k.size, seen);
      store_rows(args.out[2], w.dv, ld_v(), task * a_.k.tokens, a_.k.tokens, a_.v.size, seen);
      if (seen.nan && seen.sound_row && a_.hides(w.visible.length))
        exact_.phases[0].run(exact_.phases[0].state.get(), args, task, task + 1);
    }
  }

 private:
  /// Whether NaN came out, and some query has scores without it: where none has, a training is lost, and need not become slow too.
  struct Seen {
    bool nan = false, sound_row = false;
  };
  struct Work {
    Seen* seen;
    int64_t batch, kv_head, head, first, queries;
    Visible visible;
    float scale, cap;
    float *keys, *values;              ///< left panels (keys, size)
    float* transposed;                 ///< for each panel of keys: left panels of its transpose (size, keys)
    float *dk, *dv;                    ///< row-major sums
    float *queries_packed, *g_packed;  ///< right panels (size, queries)
    float* dq;                         ///< (size, queries)
    float *scores, *slopes, *added;    ///< of one panel of keys
    float *lse, *delta;
    float *begin, *end;  ///< a query sees the keys between
    float* row;          ///< one row, twice
    int64_t floats;      ///< taken from scratch
  };
  int64_t ld_k() const { return round_up(a_.q.size, kPanel); }
  int64_t ld_v() const { return round_up(a_.v.size, kPanel); }
  int64_t panels() const { return (a_.k.tokens + height_ - 1) / height_; }

  /// Divides scratch; every part starts on a 64-byte boundary. Without memory only the size is of use.
  Work layout(float* memory) const {
    Work w{};
    const auto take = [&](float*& part, int64_t floats) {
      part = memory == nullptr ? nullptr : memory + w.floats;
      w.floats += round_up(floats, kChunk);
    };
    take(w.keys, a_.k.tokens * round_up(a_.k.size, kChunk));
    take(w.values, a_.k.tokens * round_up(a_.v.size, kChunk));
    take(w.transposed, panels() * round_up(a_.k.size, kChunk) * kChunk);
    take(w.dk, a_.k.tokens * ld_k());
    take(w.dv, a_.k.tokens * ld_v());
    take(w.queries_packed, a_.q.size * kQueries);
    take(w.g_packed, a_.v.size * kQueries);
    take(w.dq, a_.q.size * kQueries);
    for (float** part : {&w.scores, &w.slopes, &w.added}) take(*part, height_ * kQueries);
    for (float** part : {&w.lse, &w.delta, &w.begin, &w.end}) take(*part, kQueries);
    take(w.row, 2 * std::max({ld_k(), ld_v(), kPanel * kQueries}));
    return w;
  }

  void pack_keys(const KernelArgs& args, const Work& w) const {
    a_.kernels.pack_left({a_.k.at(args.in[operand::sdpa_backward::k], w.batch, w.kv_head, 0), a_.k.token, 1}, w.visible.length, a_.k.size,
                         height_, w.keys);
    a_.kernels.pack_left({a_.v.at(args.in[operand::sdpa_backward::v], w.batch, w.kv_head, 0), a_.v.token, 1}, w.visible.length, a_.v.size,
                         height_, w.values);
    for (int64_t j = 0; j < w.visible.length; j += height_) {
      const MatrixRef transposed{a_.k.at(args.in[operand::sdpa_backward::k], w.batch, w.kv_head, j), 1, a_.k.token};
      a_.kernels.pack_left(transposed, a_.k.size, std::min(height_, w.visible.length - j), height_, transposed_panel(w, j));
    }
  }
  float* transposed_panel(const Work& w, int64_t key) const { return w.transposed + key / height_ * round_up(a_.k.size, kChunk) * kChunk; }

  /// Everything that a block of queries of one head gives.
  void run_queries(const KernelArgs& args, const Work& w) const {
    const int64_t last = prepare_queries(args, w), begin = w.visible.begin(w.first, w.queries);
    std::fill_n(w.dq, a_.q.size * kQueries, 0.0f);
    for (int64_t j = begin / height_ * height_; j < last; j += height_) run_keys(args, w, j, std::min(height_, w.visible.length - j));
    store_queries(args, w);
  }

  /// Packs the queries and their g; returns how many keys some query sees.
  int64_t prepare_queries(const KernelArgs& args, const Work& w) const {
    int64_t last = 0;
    for (int64_t t = 0; t < kQueries; ++t) {
      w.lse[t] = w.delta[t] = w.begin[t] = w.end[t] = 0;
      if (t >= w.queries) continue;
      const float lse =
          static_cast<const float*>(args.in[operand::sdpa_backward::lse])[(w.batch * a_.q.heads + w.head) * a_.q.tokens + w.first + t];
      if (lse == -std::numeric_limits<float>::infinity()) continue;
      const int64_t end = w.visible.end(w.first + t);
      if (!std::isnan(lse)) w.seen->sound_row = true;
      w.lse[t] = lse;
      w.begin[t] = static_cast<float>(w.visible.begin(w.first + t));
      w.end[t] = static_cast<float>(end);
      w.delta[t] = delta(args, w, t);
      last = std::max(last, end);
    }
    for (int64_t t = 0; t < w.queries; t += kPanel) {
      const int64_t n = std::min(kPanel, w.queries - t);
      const MatrixRef q{a_.q.at(args.in[0], w.batch, w.head, w.first + t), 1, a_.q.token};
      a_.kernels.pack_right(q, a_.q.size, n, w.queries_packed + t * a_.q.size);
      const MatrixRef g{g_.at(args.in[operand::sdpa_backward::g], w.batch, w.head, w.first + t), 1, g_.token};
      a_.kernels.pack_right(g, a_.v.size, n, w.g_packed + t * a_.v.size);
    }
    return last;
  }

  float delta(const KernelArgs& args, const Work& w, int64_t t) const {
    float *g = w.row, *result = w.row + ld_v();
    float sum = 0;
    for (int64_t i = 0; i < a_.v.size; i += kTile) {
      const int64_t n = std::min(kTile, a_.v.size - i);
      const auto size = size_of(a_.q.dtype);
      load_(element_at(g_.at(args.in[operand::sdpa_backward::g], w.batch, w.head, w.first + t), i, size), g, n);
      load_(element_at(result_.at(args.in[operand::sdpa_backward::result], w.batch, w.head, w.first + t), i, size), result, n);
      multiply_(g, result, nullptr, g, n);
      sum += sum_(g, n);
    }
    return sum;
  }

  /// What one panel of keys and the block of queries give each other.
  void run_keys(const KernelArgs& args, const Work& w, int64_t first, int64_t keys) const {
    const int64_t columns = round_up(w.queries, kPanel);
    for (int64_t t = 0; t < columns; t += kPanel) {
      const float *left = w.keys + first * round_up(a_.k.size, kChunk), *values = w.values + first * round_up(a_.v.size, kChunk);
      a_.f32_kernels.two[keys](
          {left, w.queries_packed + t * a_.q.size, kPanel, kChunk, w.scores + t * keys, kChunk, keys * kChunk, a_.q.size, false});
      a_.f32_kernels.two[keys](
          {values, w.g_packed + t * a_.v.size, kPanel, kChunk, w.slopes + t * keys, kChunk, keys * kChunk, a_.v.size, false});
    }
    const bool masked = a_.mask.used;
    if (masked) read_mask(args, w, first, keys);
    const float* added = masked ? w.added : nullptr;
    gradient_({w.scores, w.slopes, keys, columns, first, w.lse, w.delta, w.begin, w.end, added, a_.mask.hides(), w.scale, w.cap});
    const void* g = g_.at(args.in[operand::sdpa_backward::g], w.batch, w.head, w.first);
    add_product(w.scores, g, g_.token, w.dv + first * ld_v(), ld_v(), keys, w.queries, a_.v.size);
    const void* q = a_.q.at(args.in[0], w.batch, w.head, w.first);
    add_product(w.slopes, q, a_.q.token, w.dk + first * ld_k(), ld_k(), keys, w.queries, a_.q.size);
    for (int64_t i = 0; i < a_.q.size; i += height_) {
      const int64_t h = std::min(height_, a_.q.size - i);
      for (int64_t t = 0; t < columns; t += kPanel) {
        a_.f32_kernels.two[h]({transposed_panel(w, first) + i * kChunk, w.slopes + t * keys, kChunk, keys * kChunk, w.dq + i * kQueries + t,
                               kQueries, kChunk, keys, true});
      }
    }
  }

  /// c (rows, columns) += a (rows, k) times b (k, columns), b as it lies in memory.
  void add_product(const float* a, const void* b, int64_t ldb, float* c, int64_t ldc, int64_t rows, int64_t k, int64_t columns) const {
    const GemmKernels& set = a_.kernels;
    for (int64_t j = 0; j < columns; j += kPanel) {
      const auto size = size_of(a_.q.dtype);
      TileArgs tile{a, element_at(b, j, size), ldb, kChunk, c + j, ldc, kChunk, k, true};
      if (columns - j >= kPanel) {
        set.two[rows](tile);
        continue;
      }
      if (columns - j >= kChunk) {
        set.one[rows](tile);
        tile.b = element_at(tile.b, kChunk, size);
        tile.c += kChunk;
      }
      if (columns % kChunk != 0) set.narrow[rows](tile, columns % kChunk);
    }
  }

  /// Mask values in the layout of the scores.
  void read_mask(const KernelArgs& args, const Work& w, int64_t first, int64_t keys) const {
    std::fill_n(w.added, keys * kQueries, 0.0f);
    for (int64_t t = 0; t < w.queries; ++t) {
      a_.mask.read(a_.mask_data(args), w.batch, w.head, w.first + t, first, keys, w.row);
      for (int64_t i = 0; i < keys; ++i) w.added[(t / kChunk * keys + i) * kChunk + t % kChunk] = w.row[i];
    }
  }

  /// Turns dq (size, queries) into rows of the result.
  void store_queries(const KernelArgs& args, const Work& w) const {
    if (args.out[0] == nullptr) return;
    const int64_t row = (w.batch * a_.q.heads + w.head) * a_.q.tokens + w.first;
    for (int64_t i = 0; i < a_.q.size; i += kPanel) {
      const int64_t n = std::min(kPanel, a_.q.size - i);
      a_.f32_kernels.pack_right({w.dq + i * kQueries, 1, kQueries}, w.queries, n, w.row);
      for (int64_t t = 0; t < w.queries; ++t) store_values(args.out[0], (row + t) * a_.q.size + i, w.row + t * kPanel, n, *w.seen);
    }
  }
  void store_rows(void* out, const float* sums, int64_t ld, int64_t row, int64_t rows, int64_t size, Seen& seen) const {
    if (out == nullptr) return;
    for (int64_t i = 0; i < rows; ++i) store_values(out, (row + i) * size, sums + i * ld, size, seen);
  }
  void store_values(void* out, int64_t at, const float* values, int64_t n, Seen& seen) const {
    seen.nan = seen.nan || has_nan(values, n);
    if (store_ == nullptr) {
      std::copy_n(values, n, static_cast<float*>(out) + at);
    } else {
      store_(values, element_at(out, at, size_of(a_.q.dtype)), n);
    }
  }

  Attention a_;
  PreparedOp exact_;  ///< the reference's kernel for the same tasks
  HeadsView result_, g_;
  GradientFn gradient_;
  TileFn multiply_;
  TileFold sum_;
  TileLoad load_;
  TileStore store_ = nullptr;
  int64_t height_ = 1;
};

}  // namespace

PreparedOp prepare_sdpa_backward(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  Backward backward(request);
  const int64_t tasks = backward.tasks();
  const double flops = backward.flops();
  const size_t scratch = backward.scratch_bytes();
  PreparedOp op = make_op(request, "sdpa_backward", std::move(backward), tasks);
  op.flops = flops;
  op.thread_scratch_bytes = scratch;
  for (const size_t i : {size_t{0}, size_t{1}, size_t{2}, size_t{3}, size_t{5}}) {
    if (!has_contiguous_rows(request.inputs[i])) op.needs_contiguous |= 1u << i;
  }
  if (!request.inputs[operand::sdpa_backward::lse].contiguous) op.needs_contiguous |= 1u << 4;
  op.needs_contiguous |= strided_attention_operands(request);
  return op;
}

}  // namespace lazuli::cpu
