// Sort and topk along an axis: stable, NaN last in either direction. Short rows are sorted in shared memory; longer ones by merging sorted
// runs; topk with a small k keeps the best of every piece until one piece is left.
#include "graph/ops/sort.h"

#include <algorithm>
#include <bit>

#include "backend/backend.h"
#include "backend/cuda/lanes.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/thresholds.h"

namespace lazuli::cuda {

namespace {

using threshold::sort::kPiece;

struct Sorting {
  explicit Sorting(const KernelRequest& r)
      : request(r),
        lanes(r.inputs[0].shape, r.attrs[attr::sort::axis]),
        kept(r.outputs[0].shape[static_cast<int>(r.attrs[attr::sort::axis])]),
        rows(r.outputs[0].shape.numel() == 0 ? 0 : lanes.rows()),
        wide(size_of(r.inputs[0].dtype) == 8) {}

  KernelText text(bool final) const {
    KernelText t;
    t.type("T", request.inputs[0].dtype).number("WIDE_KEY", wide).number("FINAL", final);
    return t;
  }
  size_t item() const { return wide ? 16 : 8; }

  const KernelRequest& request;
  Lanes lanes;
  int64_t kept, rows;
  bool wide;
};

/// Items of a row before and after a launch, and where they lie in scratch memory.
struct Piecewise {
  int64_t count, kept, written, source, target;
  bool first, final;
};

Launch sort_pieces(const Sorting& s, const Piecewise& w) {
  const int64_t size = std::clamp<int64_t>(static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(w.count))), 64, kPiece);
  const int64_t pieces = (w.count + size - 1) / size;
  KernelText text = s.text(w.final);
  text.number("DESCENDING", s.request.attrs[attr::sort::descending] != 0).number("SIZE", size).number("FIRST", w.first);
  return launch_file(s.request, text, "sort_block",
                     {s.rows, w.count, s.lanes.inner, pieces, w.kept, w.written, w.source, w.target, s.lanes.count},
                     blocks_for(s.rows * pieces, 1), static_cast<uint32_t>(size / 2));
}

/// Runs are sorted in the first half of scratch memory, then merged to and fro between the halves.
std::vector<Launch> merge_sort(const Sorting& s) {
  const int64_t count = s.lanes.count, half = s.rows * count;
  std::vector<Launch> launches = {sort_pieces(s, {count, kPiece, count, 0, 0, true, false})};
  int64_t source = 0;
  for (int64_t run = kPiece; run < count; run *= 2) {
    const bool final = run * 2 >= count;
    const int64_t wanted = final ? s.kept : count;
    launches.push_back(launch_file(s.request, s.text(final), "sort_merge",
                                   {s.rows, count, s.lanes.inner, run, wanted, source, half - source},
                                   blocks_for(s.rows * ((wanted + 1023) / 1024), 1), 256));
    source = half - source;
  }
  return launches;
}

/// Every launch leaves the best `kept` of each piece, at most half of them, until one piece is left.
std::vector<Launch> select(const Sorting& s, int64_t& items) {
  std::vector<Launch> launches;
  int64_t count = s.lanes.count, source = 0;
  while (count > kPiece) {
    const int64_t pieces = (count + kPiece - 1) / kPiece;
    const int64_t left = (pieces - 1) * s.kept + std::min(s.kept, count - (pieces - 1) * kPiece);
    launches.push_back(sort_pieces(s, {count, s.kept, left, source, items, launches.empty(), false}));
    source = items;
    items += s.rows * left;
    count = left;
  }
  launches.push_back(sort_pieces(s, {count, s.kept, 0, source, 0, launches.empty(), true}));
  return launches;
}

}  // namespace

PreparedOp prepare_sort(const KernelRequest& request) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request)) return ask_for_contiguous(strided);
  const Sorting s(request);
  const bool merges = s.lanes.count > kPiece && s.kept > kPiece / 2;
  int64_t items = merges ? 2 * s.rows * s.lanes.count : 0;
  std::vector<Launch> launches = merges ? merge_sort(s) : select(s, items);
  const double steps = 1 + static_cast<double>(std::bit_width(static_cast<uint64_t>(s.lanes.count)));
  PreparedOp op = make_op(request, name_of(request.op).data(), std::move(launches), steps);
  op.scratch_bytes = static_cast<size_t>(items) * s.item();
  return op;
}

}  // namespace lazuli::cuda
