#include "backend/cpu/gemm/gemm.h"

#include <utility>

#include "backend/cpu/gemm/gemm_stages.h"

namespace lazuli::cpu {

namespace {

/// Operands of the product as given, for a cut that may be of the transposes.
void swap_where_transposed(const GemmCut& cut, GemmPointers& pointers) {
  if (cut.swapped) std::swap(pointers.a[0], pointers.b[0]);
  if (cut.is_transposed) pointers.swap_sides();
}

GemmPointers transposed(GemmPointers pointers) {
  pointers.swap_sides();
  pointers.left = nullptr;
  return pointers;
}

/// Null where the weight's panels are of the other kind.
PackedWeight* of_kind(PackedWeight* weight, PackedWeight::By by) { return weight != nullptr && weight->by() == by ? weight : nullptr; }

}  // namespace

Gemm::Gemm(GemmSpec spec) : cut_(gemm::choose(std::move(spec))), transposed_(gemm::choose_transposed(cut_)) {}

void Gemm::pack(const GemmPointers& given, int64_t begin, int64_t end) const {
  if (runs_transposed(given.weight)) {
    const Share share(begin, end, pack_tasks(), own_pack_tasks(*transposed_));
    gemm::pack_panels(*transposed_, transposed(given), nullptr, share.begin, share.end);
    return;
  }
  GemmPointers pointers = given;
  swap_where_transposed(cut_, pointers);
  if (cut_.way == GemmWay::limbs) return gemm::split_shared(cut_, pointers, begin, end);
  if (begin == 0 && cut_.packing.right_tasks == 0) count_rows(given);
  const Share share(begin, end, pack_tasks(), own_pack_tasks(cut_));
  gemm::pack_panels(cut_, pointers, of_kind(given.weight, cut_.kept.by), share.begin, share.end);
}

void Gemm::run(const GemmPointers& given, void* scratch, int64_t begin, int64_t end) const {
  if (runs_transposed(given.weight)) {
    const Share share(begin, end, tasks(), transposed_->tasks());
    gemm::run_tasks(*transposed_, transposed(given), given.weight, static_cast<float*>(scratch), share.begin, share.end);
    return;
  }
  GemmPointers pointers = given;
  swap_where_transposed(cut_, pointers);
  if (begin == 0 && (cut_.packing.right_tasks > 0 || pack_tasks() == 0)) count_rows(given);
  const Share share(begin, end, tasks(), cut_.tasks());
  gemm::run_tasks(cut_, pointers, of_kind(given.weight, cut_.kept.by), static_cast<float*>(scratch), share.begin, share.end);
}

int64_t Gemm::shared_left_floats() const {
  if (cut_.packing.left_tasks == 0) return 0;
  if (cut_.way == GemmWay::limbs) return cut_.packing.floats;
  int64_t floats = 0;
  for (const GemmTerm& term : cut_.spec.terms) floats += cut_.spec.m * round_up(term.k, kChunk);
  return floats;
}

bool Gemm::packs_left_as(const Gemm& other) const {
  const GemmCut &mine = cut_, &its = other.cut_;
  if (mine.way != its.way || mine.is_transposed != its.is_transposed) return false;
  const bool right = mine.way == GemmWay::limbs && mine.is_transposed;
  const auto same = [&](const GemmTerm& x, const GemmTerm& y) {
    const MatrixLayout &a = right ? x.b : x.a, &b = right ? y.b : y.a;
    return x.k == y.k && a.dtype == b.dtype && a.row == b.row && a.column == b.column;
  };
  return mine.packing.left_tasks > 0 && mine.packing.left_tasks == its.packing.left_tasks && mine.packing.rows == its.packing.rows &&
         mine.blocks.height == its.blocks.height && (right ? mine.spec.n == its.spec.n : mine.spec.m == its.spec.m) &&
         mine.tuning.piece_of_k == its.tuning.piece_of_k &&
         std::equal(mine.spec.terms.begin(), mine.spec.terms.end(), its.spec.terms.begin(), its.spec.terms.end(), same);
}

PackedWeight* Gemm::weight_of(const GemmPointers& pointers) const {
  return takes_turns() ? PackedWeight::find(pointers.b[0], cut_.kept.rows, cut_.kept.columns) : nullptr;
}

void Gemm::count_rows(const GemmPointers& pointers) const {
  const bool fills = cut_.blocks.row_blocks == 1 || cut_.packing.right_tasks > 0;
  if (pointers.weight != nullptr && !pointers.is_part && fills) pointers.weight->count(cut_.kept.by, cut_.spec.m);
}

}  // namespace lazuli::cpu
