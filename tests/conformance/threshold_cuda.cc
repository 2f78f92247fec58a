// The cases around the thresholds of the cuda backend.
#include <algorithm>

#include "backend/cuda/thresholds.h"
#include "conformance/threshold_rows.h"
#include "lazuli/op.h"

namespace lazuli::conformance {

namespace {

std::vector<Around> around_cuda_attention() {
  return {
      {"cuda.sdpa.kTile",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v))
             r.attention({2, 1, n, 40, 16, 24, true}, true), r.attention({2, 2, 20, n, 64, 64}, true), r.packed(n);
         });
       }},
      {"cuda.sdpa.kFewQueries",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v))
             r.attention({4, 2, n, 70, 32, 32, true}, false), r.attention({1, 1, n, 33, 16, 16, false, true}, false);
         });
       }},
      {"cuda.sdpa.kShortestStretch",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.attention({4, 2, 1, n, 64, 64}, false);
           for (const int64_t n : near(8 * v)) r.attention({4, 1, 1, n, 64, 128}, false);
         });
       }},
      {"cuda.sdpa.kFixedStretch",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.attention({2, 2, 1, n, 32, 32}, false);
         });
       }},
      {"cuda.sdpa.kWidestDecode",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v, 8)) r.attention({2, 1, 1, 40, n, n}, false);
         });
       }},
      {"cuda.sdpa.kDecodeThreads",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.attention({2, 1, 1, 40, 64, n}, false);
         });
       }},
      {"cuda.sdpa.kWidestMma",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v, 8)) r.attention({2, 1, 70, 70, n, n, true}, true);
         });
       }},
      {"cuda.sdpa.kTwoStages",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v / 2, 16)) r.attention({1, 1, 70, 70, n, v - v / 2}, true);
         });
       }},
      {"cuda.sdpa.kWholeTiles",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v / 2, 16)) r.attention({2, 1, 70, 70, n, v - v / 2, true}, true);
         });
       }},
      {"cuda.sdpa.kBothSums",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v / 2, 16)) r.attention({2, 1, 40, 70, n, v - v / 2}, true);
         });
       }},
      {"cuda.loss.kLogitBytes",
       [](Cases& c, int64_t v, bool large) {
         if (large) Rows(c, DType::bf16).loss(v / 2 / 65536 + 1, 16, 65536);
         each_type(c, [&](const Rows& r) { r.loss(33, 16, 70); });
       }},
      {"cuda.loss.kFewestRows",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.loss(n, 16, 96);
         });
       }},
  };
}

std::vector<Around> around_cuda_products() {
  return {
      {"cuda.product.kFewColumns",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t n : near(v)) add_products(c, {1, n, 70}), add_products(c, {2, n, 64});
       }},
      {"cuda.product.kLongColumn",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t k : near(v, 8)) add_products(c, {1, 8, k}), add_products(c, {1, 72, k});
       }},
      {"cuda.product.kWorthFlops",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t k : near(v / 2 / 256 / 256)) add_products(c, {256, 256, k});
       }},
      {"cuda.product.kWorthBytes",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t k : near(v / 4 / 512)) add_products(c, {8, 512, k});
       }},
      {"cuda.fixed.kFewRows",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_products(c, {m, 72, 40});
       }},
      {"cuda.fixed.kBusy",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t n : near(v * 128, 128)) add_products(c, {100, n, 32});
       }},
      {"cuda.low_rank.kMostRanks",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t r : near(v)) add_products(c, {40, 72, 64, r});
       }},
      {"cuda.low_rank.kFewestRows",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_products(c, {m, 80, 64, 16});
       }},
      {"cuda.low_rank.kMmaRows",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_products(c, {m, 40, 32, 16});
       }},
      {"cuda.low_rank.kMmaColumns",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t n : near(v)) add_products(c, {33, n, 32, 9});
       }},
      {"cuda.low_rank.kTile",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t n : near(v)) add_products(c, {n, 30, 32, 4}), add_products(c, {30, n, 32, 65});
       }},
      {"cuda.experts.kFewSlots",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_chosen(c, {m, 70, 40, 5, 9});
       }},
      {"cuda.experts.kTile",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_chosen(c, {m + 80, 30, 40, 3, m});
         for (const int64_t n : near(v)) add_chosen(c, {80, n, 40, 3, 9}), add_chosen(c, {80, 30, n, 3, 9});
       }},
  };
}

std::vector<Around> around_cuda_elements() {
  return {
      {"cuda.reduction.kEnoughThreads",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v / 1024)) r.fold(Op::sum, {n, 1100}, 2);
         });
       }},
      {"cuda.reduction.kPiece",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(2 * v)) r.fold(Op::sum, {2, n}, 2), r.fold(Op::max, {n}, 1);
         });
       }},
      {"cuda.reduction.kColumnPiece",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(2 * v)) r.fold(Op::sum, {n, 40}, 1);
         });
       }},
      {"cuda.reduction.kMostPieces",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(64 * v)) r.fold(Op::mean, {n, 32}, 1);
         });
       }},
      {"cuda.reduction.kFewestColumns",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.fold(Op::sum, {70, n}, 1), r.fold(Op::min, {300, n}, 1);
         });
       }},
      {"cuda.reduction.kFixedPiece",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.fold(Op::sum, {3, n}, 2);
         });
       }},
      {"cuda.reduction.kFixedColumnPiece",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.fold(Op::sum, {n, 9}, 1);
         });
       }},
      {"cuda.reduction.kMostFixedPieces",
       [](Cases& c, int64_t v, bool large) {
         for (const int64_t n : near(v * 512)) {
           if (large) Rows(c, DType::f32).fold(Op::sum, {n, 3}, 1);
         }
         each_type(c, [&](const Rows& r) { r.fold(Op::sum, {v + 1, 3}, 1); });
       }},
      {"cuda.rows.kFewRows",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.rows({n, 300});
         });
       }},
      {"cuda.rows.kFewPacks",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(4 * v, 4)) r.rows({3, n}), r.rows({3, 2 * n});
         });
       }},
      {"cuda.rows.kPacksOfWarp",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(4 * v, 4)) r.rows({140, n}), r.rows({3, 2 * n});
         });
       }},
      {"cuda.row_reduction.kShort",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) {
             for (const Op op : {Op::logsumexp, Op::var, Op::argmax}) r.fold(op, {n, 70}, 1), r.fold(op, {40, n}, 2);
           }
         });
       }},
      {"cuda.row_reduction.kLong",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.fold(Op::logsumexp, {n, 70}, 1), r.fold(Op::argmax, {n, 70}, 1);
         });
       }},
      {"cuda.row_reduction.kFewResults",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.fold(Op::var, {40, n}, 1), r.fold(Op::argmax, {40, n}, 1);
         });
       }},
      {"cuda.sort.kPiece",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.sort(2, n, 5), r.sort(2, 2 * n, v / 2), r.sort(1, 2 * n, v / 2 + 1);
         });
       }},
      {"cuda.scatter.kMostSearched",
       [](Cases& c, int64_t v, bool large) {
         for (const int64_t n : near(v)) {
           if (large) Rows(c, DType::f32).gather(n, 64);
         }
         each_type(c, [&](const Rows& r) { r.gather(300, 64); });
       }},
      {"cuda.scatter.kRow",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.gather(40, n);
           for (const int64_t n : near(4 * v)) r.gather(40, n);
         });
       }},
      {"cuda.scatter.kFewLanes",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.along(n, 40);
         });
       }},
      {"cuda.scatter.kManyIndices",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.gather(n, 20), r.along(9, n);
         });
       }},
      {"cuda.adamw.kMostParameters",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.adamw(9, n);
         });
       }},
      {"cuda.sample.kChunk",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.sample(n), r.sample(2 * n);
         });
       }},
      {"cuda.sample.kMostBlocks",
       [](Cases& c, int64_t v, bool large) {
         for (const int64_t n : near(v * 1024)) {
           if (large) Rows(c, DType::f32).sample(n);
         }
         each_type(c, [&](const Rows& r) { r.sample(v); });
       }},
  };
}

}  // namespace

std::vector<Threshold> cuda_thresholds() {
  const auto all = cuda::thresholds();
  return {all.begin(), all.end()};
}

std::vector<Around> around_cuda() {
  std::vector<Around> all = around_cuda_elements();
  for (const auto& rows : {around_cuda_attention(), around_cuda_products()}) all.insert(all.end(), rows.begin(), rows.end());
  return all;
}

}  // namespace lazuli::conformance
