// Scaled dot-product attention in blocks of keys: weights are relative to the largest score so far (online softmax, Milakov and Gimelshein
// 2018; in blocks as in FlashAttention, Dao et al. 2022), so no score outlives its block.
#include "backend/cpu/attention/sdpa.h"

#include <cmath>
#include <limits>

#include "backend/cpu/attention/sdpa_sequences.h"
#include "backend/cpu/common/thresholds.h"
#include "graph/ops/sdpa_packed.h"
#include "lazuli/op.h"

namespace lazuli::cpu {

namespace {
constexpr float kHidden = -std::numeric_limits<float>::infinity();
using threshold::sdpa::kFewRows;
using threshold::sdpa::kKeys;
using threshold::sdpa::kKeysOfFew;
using threshold::sdpa::kTaskRows;

/// A task is a block of queries of all heads that share a key head. Its rows are these queries, head by head.
/// With `packed`, batch 0 holds sequences that lie one after the other; its length operand says where they start.
class Forward {
 public:
  /// `exact`: the reference's kernel for the same rows.
  Forward(const KernelRequest& request, PreparedOp exact, bool packed)
      : a_(request), packed_(packed), exact_(std::move(exact)), update_(score_update()), multiply_(tile_fn(Op::mul, 2)) {
    if (packed) sequences_ = {request.inputs[operand::sdpa_packed::starts].shape[0] - 1, a_.q.tokens};
    queries_ = std::max<int64_t>(std::min(a_.q.tokens, kTaskRows / a_.group()), 1);
    rows_ = queries_ * a_.group();
    keys_ = few(rows_) ? kKeysOfFew : kKeys;
    if (a_.q.dtype != DType::f32) store_ = tile_store(a_.q.dtype);
  }
  int64_t tasks() const { return packed_ ? a_.k.heads * sequences_.most_blocks(queries_) : a_.batches * a_.k.heads * query_blocks(); }
  size_t scratch_bytes() const { return own_bytes() + exact_.thread_scratch_bytes; }
  double flops() const { return 2 * a_.pairs() * static_cast<double>(a_.q.size + a_.v.size); }

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    for (int64_t task = begin; task < end; ++task) {
      if (packed_) {
        run_packed(args, task);
      } else {
        const int64_t blocks = query_blocks(), pair = task / blocks;
        run_block(args, {pair / a_.k.heads, pair % a_.k.heads, task % blocks * queries_, a_.visible(args, pair / a_.k.heads)});
      }
    }
  }

 private:
  /// Rounded up to where doubles may begin.
  size_t own_bytes() const {
    return static_cast<size_t>(round_up(rows_ * round_up(a_.q.size, kChunk) + kPanel * round_up(a_.q.size, kChunk) + rows_ * keys_ +
                                            rows_ * ld() + 2 * rows_ + keys_ + 64,
                                        kChunk)) *
           sizeof(float);
  }
  /// Where a block of queries is: from query `first` on.
  struct Block {
    int64_t batch, kv_head, first;
    Visible seen;
    int64_t origin = 0;  ///< row of the first query and key, of packed sequences
  };
  struct Work {
    int64_t batch, kv_head, first, queries, rows;  ///< queries [first, first + queries) of each head
    Visible seen;
    int64_t origin;
    int64_t height;  ///< rows of a left panel
    float scale, cap;
    float *left, *right, *scores, *result, *top, *sum, *added;
    int64_t head(const Attention& a, int64_t row) const { return kv_head * a.group() + row / queries; }
    int64_t token(int64_t row) const { return first + row % queries; }
  };
  int64_t query_blocks() const { return (a_.q.tokens + queries_ - 1) / queries_; }
  bool few(int64_t rows) const { return rows <= std::min(kFewRows, a_.kernels.max_rows); }
  int64_t ld() const { return round_up(a_.v.size, kPanel); }

  void run_block(const KernelArgs& args, const Block& block) const {
    Work w = start(args, block);
    const int64_t last = w.seen.end(w.first + w.queries - 1);
    int64_t begin = w.seen.begin(w.first, w.queries);
    if (a_.blocks_at && begin < last) begin = begin / kPanel * kPanel;  // so that a panel of keys lies in one page
    for (int64_t j = begin; j < last; j += keys_) run_keys(args, w, j, std::min(keys_, last - j));
    finish(args, w);
  }

  void run_packed(const KernelArgs& args, int64_t task) const {
    const PackedSequences::Block block =
        sequences_.find(static_cast<const int32_t*>(args.in[operand::sdpa_packed::starts]), task / a_.k.heads, queries_);
    if (block.tokens == 0) return;
    const Visible seen{block.blind ? 0 : block.tokens, block.tokens, a_.told.left, a_.told.right};
    run_block(args, {0, task % a_.k.heads, block.first, seen, block.origin});
  }

  Work start(const KernelArgs& args, const Block& block) const {
    Work w{};
    w.batch = block.batch;
    w.kv_head = block.kv_head;
    w.first = block.first;
    w.queries = std::min(queries_, block.seen.queries - w.first);
    w.rows = w.queries * a_.group();
    w.height = divide_up(w.rows, divide_up(w.rows, a_.kernels.max_rows));
    w.seen = block.seen;
    w.origin = block.origin;
    w.scale = a_.scale(args);
    w.cap = a_.cap(args);
    w.left = static_cast<float*>(args.thread_scratch);
    w.scores = w.left + rows_ * round_up(a_.q.size, kChunk);
    w.result = w.scores + rows_ * keys_;
    w.right = w.result + rows_ * ld();
    w.added = w.right + kPanel * round_up(a_.q.size, kChunk);
    w.top = w.added + keys_;
    w.sum = w.top + rows_;
    std::fill_n(w.result, w.rows * ld(), 0.0f);
    for (int64_t row = 0; row < w.rows; ++row) {
      w.top[row] = sink(args, w.head(a_, row));
      w.sum[row] = w.top[row] == kHidden ? 0.0f : 1.0f;
    }
    pack_queries(args, w);
    return w;
  }

  /// What a row's largest score is before any key.
  float sink(const KernelArgs& args, int64_t head) const {
    if (!a_.sinks_at) return kHidden;
    return static_cast<float>(factor(element_at(args.in[*a_.sinks_at], head, size_of(a_.sinks_dtype)), a_.sinks_dtype));
  }

  /// Left panels: row by row where rows of different heads meet, since these are not one matrix.
  void pack_queries(const KernelArgs& args, const Work& w) const {
    const int64_t size = a_.q.size;
    for (int64_t i = 0; i < w.rows; i += w.height) {
      const int64_t h = std::min(w.height, w.rows - i);
      float* panel = w.left + i * round_up(size, kChunk);
      if (w.head(a_, i) == w.head(a_, i + h - 1)) {
        const MatrixRef rows{a_.q.at(args.in[0], w.batch, w.head(a_, i), w.origin + w.token(i)), a_.q.token, 1};
        a_.kernels.pack_left(rows, h, size, h, panel);
        continue;
      }
      for (int64_t r = 0; r < h; ++r) {
        const void* row = a_.q.at(args.in[0], w.batch, w.head(a_, i + r), w.origin + w.token(i + r));
        for (int64_t p = 0; p < size; p += kChunk) {
          const MatrixRef chunk{element_at(row, p, size_of(a_.q.dtype)), size, 1};
          a_.kernels.pack_left(chunk, 1, std::min(kChunk, size - p), 1, panel + p * h + r * kChunk);
        }
      }
    }
  }

  /// Adds what keys [first, first + keys) give to the sums of all rows.
  void run_keys(const KernelArgs& args, const Work& w, int64_t first, int64_t keys) const {
    if (few(w.rows)) {
      few_scores(args, w, first, keys);
    } else {
      packed_scores(args, w, first, keys);
    }
    for (int64_t i = 0; i < w.rows; i += w.height) {
      const int64_t h = std::min(w.height, w.rows - i);
      int64_t most = 0;
      for (int64_t r = i; r < i + h; ++r) {
        const int64_t end = w.seen.end(w.token(r)) - first;
        if (w.seen.begin(w.token(r)) - first < std::min(keys, end)) most = std::max(most, std::min(keys, end));
      }
      if (most <= 0) continue;
      float* panel = w.scores + i * keys_;
      for (int64_t r = 0; r < h; ++r) weigh(args, w, i + r, first, keys, panel + r * kChunk, h * kChunk);
      add_values(args, w, i, h, first, most, panel);
    }
  }

  /// Scores of few rows, by inner products with the keys where they are. Queries are one panel.
  void few_scores(const KernelArgs& args, const Work& w, int64_t first, int64_t keys) const {
    const int64_t size = a_.q.size;
    // Packed again, row after row: only then is a row's size contiguous.
    const int64_t ldx = round_up(size, kChunk);
    float* rows = w.right;
    for (int64_t r = 0; r < w.rows; ++r) {
      for (int64_t p = 0; p < size; p += kChunk) std::copy_n(w.left + p * w.rows + r * kChunk, kChunk, rows + r * ldx + p);
    }
    for (int64_t j = 0, run = 0; j < keys; j += run) {
      run = a_.run_of(first + j, keys - j);
      const void* k = a_.key_at(args, 1, w.batch, w.kv_head, w.origin + first + j);
      for (int64_t i = 0; i < run; i += kChunk) {
        const DotArgs dot{rows,
                          ldx,
                          element_at(k, i * a_.k.token, size_of(a_.k.dtype)),
                          a_.k.token,
                          w.scores + (j + i) * w.rows,
                          kChunk,
                          size,
                          w.rows,
                          std::min(kChunk, run - i),
                          false};
        a_.kernels.dot(dot);
      }
    }
  }

  void packed_scores(const KernelArgs& args, const Work& w, int64_t first, int64_t keys) const {
    for (int64_t j = 0; j < keys; j += kPanel) {
      const MatrixRef k{a_.key_at(args, 1, w.batch, w.kv_head, w.origin + first + j), 1, a_.k.token};
      a_.kernels.pack_right(k, a_.q.size, std::min(kPanel, keys - j), w.right);
      for (int64_t i = 0; i < w.rows; i += w.height) {
        const int64_t h = std::min(w.height, w.rows - i);
        const bool one_head = w.token(i + h - 1) == w.token(i) + h - 1;
        if (one_head && w.seen.end(w.token(i + h - 1)) <= first + j) continue;
        const TileArgs tile{w.left + i * round_up(a_.q.size, kChunk),
                            w.right,
                            kPanel,
                            kChunk,
                            w.scores + i * keys_ + j * h,
                            kChunk,
                            h * kChunk,
                            a_.q.size,
                            false};
        a_.f32_kernels.two[h](tile);
      }
    }
  }

  void weigh(const KernelArgs& args, const Work& w, int64_t row, int64_t first, int64_t keys, float* scores, int64_t step) const {
    const int64_t t = w.token(row), visible = std::clamp<int64_t>(w.seen.end(t) - first, 0, keys);
    const int64_t before = std::clamp<int64_t>(w.seen.begin(t) - first, 0, visible);
    const bool masked = a_.mask.used;
    if (masked) a_.mask.read(a_.mask_data(args), w.batch, w.head(a_, row), t, first, visible, w.added);
    const float* added = masked ? w.added : nullptr;
    const float factor = update_({scores, step, keys, before, visible, added, a_.mask.hides(), w.scale, w.cap, w.top + row, w.sum + row});
    float* result = w.result + row * ld();
    if (factor != 1.0f) multiply_(result, &factor, nullptr, result, a_.v.size);
  }

  /// Adds weights times values of `keys` keys to rows [row, row + h).
  void add_values(const KernelArgs& args, const Work& w, int64_t row, int64_t h, int64_t first, int64_t keys, const float* weights) const {
    for (int64_t j = 0, run = 0; j < keys; j += run) {
      run = a_.run_of(first + j, keys - j);
      const void* v = a_.key_at(args, 2, w.batch, w.kv_head, w.origin + first + j);
      add_run({weights + j * h, v, a_.v.token, kChunk, w.result + row * ld(), ld(), kChunk, run, true}, h);
    }
  }

  void add_run(TileArgs tile, int64_t h) const {
    const auto size = size_of(a_.v.dtype);
    for (int64_t left = a_.v.size; left > 0; left -= kPanel) {
      if (left >= kPanel) {
        a_.kernels.two[h](tile);
      } else {
        if (left >= kChunk) {
          a_.kernels.one[h](tile);
          tile.b = element_at(tile.b, kChunk, size);
          tile.c += kChunk;
        }
        if (left % kChunk != 0) a_.kernels.narrow[h](tile, left % kChunk);
      }
      tile.b = element_at(tile.b, kPanel, size);
      tile.c += kPanel;
    }
  }

  void finish(const KernelArgs& args, const Work& w) const {
    for (int64_t row = 0; row < w.rows; ++row) {
      const int64_t head = w.head(a_, row), token = w.token(row);
      const int64_t at = packed_ ? (w.origin + token) * a_.q.heads + head : (w.batch * a_.q.heads + head) * a_.q.tokens + token;
      const bool sees = w.top[row] != kHidden;
      if (!packed_ && args.out[1] != nullptr) static_cast<float*>(args.out[1])[at] = sees ? w.top[row] + std::log(w.sum[row]) : kHidden;
      if (args.out[0] == nullptr) continue;
      float* result = w.result + row * ld();
      void* out = element_at(args.out[0], at * a_.v.size, size_of(a_.q.dtype));
      if (sees) {
        const float factor = 1.0f / w.sum[row];
        multiply_(result, &factor, nullptr, result, a_.v.size);
      } else {
        std::fill_n(result, a_.v.size, 0.0f);
      }
      if (store_ != nullptr) {
        store_(result, out, a_.v.size);
      } else {
        std::copy_n(result, a_.v.size, static_cast<float*>(out));
      }
      if (sees && !std::isnan(w.sum[row]) && a_.hides(w.seen.length) && has_nan(result, a_.v.size)) run_exact(args, at);
    }
  }

  void run_exact(const KernelArgs& args, int64_t row) const {
    auto* scratch = static_cast<std::byte*>(args.thread_scratch) + own_bytes();
    const Kernel& kernel = exact_.phases[0];
    kernel.run(kernel.state.get(), {args.in, args.out, args.scratch, scratch}, row, row + 1);
  }

  Attention a_;
  bool packed_;
  PreparedOp exact_;
  PackedSequences sequences_;
  ScoreUpdate update_;
  TileFn multiply_;
  TileStore store_ = nullptr;
  int64_t queries_ = 1, rows_ = 1, keys_ = kKeys;
};

}  // namespace

namespace {

/// An operand (tokens, heads, size) as (1, heads, tokens, size).
OperandSpec heads_first(OperandSpec x) {
  x.shape = Shape{1, x.shape[1], x.shape[0], x.shape[2]};
  x.strides = Strides{0, x.strides[1], x.strides[0], x.strides[2]};
  return x;
}

/// `seen`: the request with operands (batch, heads, tokens, size).
PreparedOp prepare_forward(const KernelRequest& request, const KernelRequest& seen, const char* name, bool packed) {
  Forward forward(seen, reference_backend().prepare(request), packed);
  const int64_t tasks = forward.tasks();
  const double flops = forward.flops();
  const size_t scratch = forward.scratch_bytes();
  PreparedOp op = make_op(request, name, std::move(forward), tasks);
  op.flops = flops;
  op.bytes -= AttentionOperands(request.op, request.attrs).unread_bytes(request.inputs);
  op.thread_scratch_bytes = scratch;
  for (size_t i = 0; i < 3; ++i) {
    if (!has_contiguous_rows(seen.inputs[i])) op.needs_contiguous |= 1u << i;
  }
  op.needs_contiguous |= strided_attention_operands(request);
  return op;
}

}  // namespace

PreparedOp prepare_sdpa(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  return prepare_forward(request, request, "sdpa", false);
}

PreparedOp prepare_sdpa_packed(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  std::vector<OperandSpec> inputs(request.inputs.begin(), request.inputs.end());
  for (size_t k = 0; k < 3; ++k) inputs[k] = heads_first(inputs[k]);
  PreparedOp op = prepare_forward(request, {request.op, request.attrs, inputs, request.outputs}, "sdpa_packed", true);
  // What the sequences of typical texts leave of all pairs of tokens.
  op.flops /= static_cast<double>(std::max<int64_t>(request.inputs[operand::sdpa_packed::starts].shape[0] - 1, 1));
  return op;
}

}  // namespace lazuli::cpu
