// The cases around the thresholds of everything but products.
#include "conformance/threshold_rows.h"
#include "lazuli/op.h"
#include "support/attributes.h"

namespace lazuli::conformance {

namespace {

std::vector<Around> around_attention_and_loss() {
  return {
      {"sdpa.kFewRows",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t q : near(v)) r.attention({1, 1, q, 70, 16, 24}, true), r.attention({2, 1, q, 33, 24, 16, true}, false);
           for (const int64_t q : near(v / 2)) r.attention({4, 2, q, 40, 33, 17, false, true}, false);
         });
       }},
      {"sdpa.kTaskRows",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t q : near(v)) r.attention({1, 1, q, 40, 16, 16, true}, false), r.packed(q);
           for (const int64_t q : near(v / 2)) r.attention({4, 2, q, q, 16, 40, true}, false);
         });
       }},
      {"sdpa.kKeys",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t k : near(v))
             r.attention({2, 2, 20, k, 16, 16, false, true}, true), r.attention({2, 1, k, k, 8, 8, true}, true);
           for (const int64_t k : near(2 * v)) r.attention({1, 1, 20, k}, false);
         });
       }},
      {"sdpa.kKeysOfFew",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t k : near(v)) r.attention({2, 1, 1, k, 32, 32}, true), r.attention({3, 3, 5, k, 8, 8, true}, false);
           for (const int64_t k : near(2 * v)) r.attention({2, 2, 1, k, 16, 48, true}, false);
         });
       }},
      {"sdpa.kQueries",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t q : near(v)) r.attention({2, 1, q, 30, 16, 24, false, true}, true);
           for (const int64_t q : near(2 * v)) r.attention({1, 1, q, q, 8, 8, true}, true);
         });
       }},
      {"loss.kBlockRows",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t m : near(v)) r.loss(m, 8, 70);
         });
       }},
      {"loss.kChunkFloats",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v / 100 / 32 * 32)) r.loss(100, 5, n);
         });
       }},
      {"loss.kMostColumns",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.loss(3, 9, n);
         });
       }},
      {"loss.kFewestColumns",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.loss(40, 17, n);
         });
       }},
      {"loss.kTasks",
       [](Cases& c, int64_t v, bool large) {
         if (large) Rows(c, DType::f32).loss(512, 20, 512 * (v + 1));
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(2 * v)) r.loss(7, 5, n);
         });
       }},
      {"loss.kSumBytes",
       [](Cases& c, int64_t v, bool large) {
         if (large) Rows(c, DType::f32).loss(512, v / 4 / 2 / 512 + 1, 1100);
         each_type(c, [&](const Rows& r) { r.loss(33, 40, 70); });
       }},
      {"loss.kTaskFlops",
       [](Cases& c, int64_t v, bool) {
         // Two chunks, which are one segment or two.
         const Rows r(c, DType::f32);
         const int64_t most = 2 * v / (4 * 200 * 20);
         for (const int64_t n : {most, most + 1}) r.loss(200, 20, n);
       }},
  };
}

std::vector<Around> around_elements() {
  return {
      {"tile.kTile",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.tiles(n);
           for (const int64_t n : near(2 * v)) r.elementwise(n);
         });
         for (const int64_t n : near(v)) add_products(c, {2, n, 20});
         for (const DType t : kIntegers) {
           for (const int64_t n : near(v)) {
             c.push_back({"add of " + std::to_string(n), {Op::add, {random(t, {n}, 1, -50, 50), random(t, {n}, 2, -50, 50)}}, kExact});
             c.push_back({"sum of " + std::to_string(n), {Op::sum, {random(t, {n}, 1, -50, 50)}, attrs(1)}, kExact});
           }
         }
       }},
      {"elementwise.kChunk",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.elementwise(n);
         });
       }},
      {"elementwise.kSomeSteps",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t steps : near(v)) r.program(4097, steps), r.program(8193, steps);
         });
       }},
      {"elementwise.kManySteps",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t steps : near(v)) r.program(1025, steps);
         });
       }},
      {"elementwise.kStreamed",
       [](Cases& c, int64_t v, bool large) {
         for (const int64_t n : near(v)) {
           if (large || n == v) Rows(c, DType::f32).program(n, 2);
         }
       }},
      {"fill.kChunk",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.fills(n);
         });
       }},
      {"reduction.kWork",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const Op op : {Op::sum, Op::max}) {
             for (const int64_t n : near(2 * v)) r.fold(op, {n}, 1);
             for (const int64_t n : near(2 * v / 7)) r.fold(op, {n, 7}, 1);
             for (const int64_t n : near(v / 2 / 70)) r.fold(op, {n, 70}, 2);
             for (const int64_t n : near(1024)) r.fold(op, {33, n}, 1);
           }
         });
       }},
      {"reduction.kShortRow",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.fold(Op::sum, {9, n}, 2), r.fold(Op::min, {3, n, 3}, 2);
         });
       }},
      {"rows.kElements",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.rows({2, n});
           for (const int64_t n : near(v / 70)) r.rows({n, 70});
         });
       }},
      {"rows.kVectors",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t lanes : {4, 8, 16}) {
             for (const int64_t n : near(lanes * v)) r.rows({2, n});
           }
         });
       }},
      {"gather.kTaskBytes",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v / (400 + 16))) r.gather(n, 100);
           for (const int64_t n : near(v / (200 + 16))) r.gather(n, 100);
           for (const int64_t n : near(v / 8 / 33)) r.along(n, 33);
         });
       }},
      {"gather.kColumns",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.gather(40, n);
           for (const int64_t n : near(2 * v)) r.gather(3, n);
         });
       }},
      {"move.kTaskElements",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.moves(n);
         });
       }},
      {"move.kFew",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v)) r.moves(n);
         });
       }},
      {"rope.kTaskElements",
       [](Cases& c, int64_t v, bool) {
         each_type(c, [&](const Rows& r) {
           for (const int64_t n : near(v / 64 / 2)) r.rope(n, 64);
           for (const int64_t n : near(16)) r.rope(3, 2 * n);
         });
       }},
      {"tuning.threads_ns",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t n : near(v - 60)) Rows(c, DType::f32).elementwise(n);
       }},
      {"tuning.inline_ns",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t n : near(v - 60)) Rows(c, DType::f32).program(n, 1);
       }},
  };
}

}  // namespace

std::vector<Around> around_rows() {
  std::vector<Around> all = around_elements();
  for (const Around& row : around_attention_and_loss()) all.push_back(row);
  return all;
}

}  // namespace lazuli::conformance
