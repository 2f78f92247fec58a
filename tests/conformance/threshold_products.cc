// The cases around the thresholds of products.
#include <algorithm>

#include "conformance/thresholds.h"
#include "lazuli/op.h"
#include "support/attributes.h"

namespace lazuli::conformance {

namespace {

/// Operands of one dtype, made when they are first asked for.
struct Operands {
  Operands(DType dtype, const Sizes& sizes) : t(dtype), s(sizes) {}
  Tensor get(Tensor& kept, const Shape& shape, uint64_t seed) const {
    if (!kept.defined()) kept = quick_numbers(t, shape, seed);
    return kept;
  }
  Tensor x(bool transposed = false) { return transposed ? get(xt_, {s.k, s.m}, 1) : get(x_, {s.m, s.k}, 1); }
  Tensor w(bool transposed) { return transposed ? get(wt_, {s.n, s.k}, 2) : get(w_, {s.k, s.n}, 2); }
  Tensor up(bool transposed) { return transposed ? get(upt_, {s.n, s.k}, 3) : get(up_, {s.k, s.n}, 3); }
  Tensor a(bool transposed) { return transposed ? get(at_, {s.rank, s.k}, 4) : get(a_, {s.k, s.rank}, 4); }
  Tensor b(bool transposed) { return transposed ? get(bt_, {s.n, s.rank}, 5) : get(b_, {s.rank, s.n}, 5); }
  Tensor bias() { return get(bias_, {s.n}, 6); }
  Tensor residual() { return get(residual_, {s.m, s.n}, 7); }
  Tensor scale() const { return scalar(DType::f32, 1.5); }
  DType t;
  Sizes s;
  std::string label(const std::string& what) const {
    return std::string(lazuli::name_of(t)) + " " + what + " " + to_string(Shape{s.m, s.n, s.k, s.rank});
  }

 private:
  Tensor x_, xt_, w_, wt_, up_, upt_, a_, at_, b_, bt_, bias_, residual_;
};

class Products {
 public:
  Products(Cases& cases, DType t, const Sizes& s) : cases_(cases), o_(t, s) {}
  void matmul(bool ta, bool tb) {
    add(std::string("x") + (ta ? "^T" : "") + " w" + (tb ? "^T" : ""), {Op::matmul, {o_.x(ta), o_.w(tb)}, attrs(ta, tb)});
  }
  void linear(bool tb) {
    add("linear", {Op::linear, {o_.x(), o_.w(tb), o_.bias(), o_.residual()}, attrs(tb, 3, static_cast<int64_t>(Op::silu))});
  }
  void gated(bool tb) { add("gated", {Op::gated_linear, {o_.x(), o_.w(tb), o_.up(tb)}, attrs(tb, 0, static_cast<int64_t>(Op::silu))}); }
  void lora(bool tb) { add("lora", {Op::lora_linear, {o_.x(), o_.w(tb), o_.a(tb), o_.b(tb), o_.scale(), o_.bias()}, attrs(tb, tb, tb)}); }
  void lora_alone(bool transposed) {
    add("lora alone", {Op::lora_fused, {o_.x(), o_.a(transposed), o_.b(transposed), o_.scale()}, attrs(transposed, transposed)});
  }
  /// Two entries, of which one has no adapter.
  void lora_rows() {
    const Sizes& s = o_.s;
    const auto own = [&](const Tensor& t) { return t.reshape({1, t.dim(0), t.dim(1)}); };
    OpCall call{Op::lora_rows,
                {quick_numbers(o_.t, {2, s.m, s.k}, 8), own(o_.a(true)), own(o_.b(true)), vector<float>({1.5F}), vector<int32_t>({0, -1}),
                 quick_numbers(o_.t, {2, s.m, s.n}, 9)}};
    add("lora rows", std::move(call));
  }

 private:
  void add(const std::string& what, OpCall call) { cases_.push_back({o_.label(what), std::move(call), {8, 64, 1}}); }
  Cases& cases_;
  Operands o_;
};

double terms(const Sizes& s) { return static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k); }

void add_all(Cases& cases, DType t, const Sizes& s) {
  Products p(cases, t, s);
  for (const bool tb : {false, true}) {
    p.matmul(false, tb);
    p.matmul(true, tb);
    p.linear(tb);
    p.gated(tb);
    p.lora(tb);
  }
  p.lora_alone(true);
  p.lora_rows();
}

/// The orientation that models have, with and without what is fused, and others once.
void add_some(Cases& cases, const Sizes& s) {
  Products f32(cases, DType::f32, s), bf16(cases, DType::bf16, s), f16(cases, DType::f16, s);
  f32.matmul(false, true);
  f32.matmul(true, false);
  f32.linear(true);
  f32.lora(false);
  f32.lora(true);
  bf16.linear(false);
  bf16.gated(true);
  bf16.lora(true);
  bf16.lora(false);
  f16.lora(true);
}

void add_few(Cases& cases, const Sizes& s) {
  Products f32(cases, DType::f32, s), bf16(cases, DType::bf16, s), f16(cases, DType::f16, s);
  f32.matmul(false, true);
  f32.lora(true);
  bf16.lora(true);
  f16.gated(false);
}

struct BySizes {
  Cases& cases;
  void operator()(const Sizes& s) const { add_products(cases, s); }
};

/// A batch of small products, of which a task computes several.
void add_batch(Cases& cases, int64_t count, int64_t size) {
  for (DType t : kProductTypes) {
    const Tensor a = quick_numbers(t, {count, size, size}, 1), b = quick_numbers(t, {count, size, size}, 2);
    cases.push_back({std::string(lazuli::name_of(t)) + " " + std::to_string(count) + " matrices",
                     {Op::matmul, {a, b}, attrs(0, t == DType::bf16)},
                     {8, 64, 1}});
  }
}

// Depths with which (m, n) take `flops` operations, just below and just above.
std::vector<int64_t> depths_of(int64_t flops, int64_t m, int64_t n) {
  const int64_t k = flops / (2 * m * n);
  return {k, k + 1};
}

}  // namespace

void add_products(Cases& cases, const Sizes& s) {
  if (s.m < 1 || s.n < 1 || s.k < 1 || s.rank < 1) return;
  if (terms(s) > 1e8) {
    Products(cases, DType::f32, s).matmul(false, true);
  } else if (terms(s) > 3e6) {
    add_few(cases, s);
  } else if (terms(s) > 3e5) {
    add_some(cases, s);
  } else {
    for (DType t : kProductTypes) add_all(cases, t, s);
  }
}

std::vector<Around> around_products() {
  return {
      {"tuning.piece_of_k",
       [](Cases& c, int64_t v, bool) {
         const BySizes add{c};
         for (const int64_t k : near(v)) add({33, 70, k});
         for (const int64_t k : near(2 * v)) add({3, 40, k});
         // A rank that is one piece beside a depth that is two shorter ones.
         for (const int64_t r : near(v * 5 / 8, v / 8)) add({40, 66, v + 44, r});
         for (const int64_t r : near(v, v / 8)) add({70, 40, 2 * v + 64, r});
       }},
      {"tuning.block_rows",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_products(c, {m, 70, 33});
         add_products(c, {v + 1, 96, 100});
       }},
      {"tuning.few_rows",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_products(c, {m, 70, 40});
         for (const int64_t n : near(v)) add_products(c, {90, n, 40});
       }},
      {"tuning.few_dots",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_products(c, {m, 70, 40});
         for (const int64_t n : near(v)) add_products(c, {70, n, 40});
       }},
      {"tuning.matrix_unit_rows",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(std::min<int64_t>(v, 128))) add_products(c, {m, 512, 320});
         for (const int64_t n : near(std::min<int64_t>(v, 128))) add_products(c, {512, n, 320});
       }},
      {"tuning.task_kiloflops",
       [](Cases& c, int64_t v, bool) {
         // A batch's matrices of 8 x 8 take 2 * 9 * 64 + 100 operations each.
         for (const int64_t count : near(v * 1000 / 1252)) add_batch(c, count, 8);
         for (const int64_t k : depths_of(2 * v * 1000, 120, 64)) add_products(c, {120, 130, k});
         for (const int64_t k : depths_of(4 * v * 1000, 240, 64)) add_products(c, {230, 64, k});
       }},
      {"gemm.kShortDot",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t k : near(v)) add_products(c, {8, 70, k}), add_products(c, {70, 8, k});
       }},
      {"gemm.kFewShort",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_products(c, {m, 70, 20});
       }},
      {"gemm.kPanelsTogether",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t n : near(32 * v)) add_products(c, {40, n, 70});
         for (const int64_t n : near(32 * (v + 1))) add_products(c, {120, n, 530});
       }},
      {"gemm.kTaskBytes",
       [](Cases& c, int64_t v, bool) {
         const int64_t lines = v / 4 / 1024 / 32 * 32;
         for (const int64_t n : near(lines)) add_products(c, {4, n, 1024}), add_products(c, {n, 4, 1024});
         for (const int64_t n : near(2 * lines)) add_products(c, {1, n, 1024});
       }},
      {"gemm.kLargeFlops",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t k : depths_of(v, 65, 100)) add_products(c, {65, 100, k});
         for (const int64_t k : depths_of(v, 700, 40)) add_products(c, {700, 40, k});
         for (const int64_t k : depths_of(v, 700, 97)) add_products(c, {700, 97, k, 40});
       }},
      {"gemm.kMostLeftFloats",
       [](Cases& c, int64_t v, bool large) {
         for (int64_t m : near(v / 1024)) {
           if (large) add_products(c, {m, 70, 1024});
         }
         if (!large) add_products(c, {v / 4096 + 1, 70, 64});
       }},
      {"gemm.kMostRightFloats",
       [](Cases& c, int64_t v, bool large) {
         for (int64_t n : near(v / 1024, 32)) {
           if (large) add_products(c, {700, n, 1024});
         }
         if (!large) add_products(c, {700, v / 32768 + 1, 64});
       }},
      {"gemm.kPackFloats",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(2 * v / 1024)) add_products(c, {m, 100, 1024});
         for (const int64_t k : near(v / 32)) add_products(c, {40, 130, k});
       }},
      {"gemm.kPart",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t k : near(v)) add_products(c, {30, 17, k}), add_products(c, {2, 33, k});
         for (const int64_t k : near(2 * v)) add_products(c, {18, 31, k});
       }},
      {"gemm.kTallest",
       [](Cases& c, int64_t v, bool) {
         for (int64_t m = v - 1; m <= 2 * v + 1; ++m) add_products(c, {m, 49, 40}), add_products(c, {m + 24, 31, 20});
       }},
      {"gemm.kTallestWide",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_products(c, {m, 15, 17}), add_products(c, {2 * m + 1, 47, 33});
         for (const int64_t m : near(3 * v)) add_products(c, {m, 48, 16});
       }},
      {"kept.kLeastFlops",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t k : depths_of(v, 65, 100)) add_products(c, {65, 100, k, 40});
       }},
      {"kept.kFewestFloats",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t k : near(v / 128)) add_products(c, {160, 128, k});
       }},
      {"kept.kRowsBefore",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_products(c, {m, 128, 257});
       }},
      {"kept.kTransposedSums",
       [](Cases& c, int64_t v, bool) {
         // So many rows that a block of the transposed product has as many as it may.
         for (const int64_t n : near(8 * v / 512)) add_products(c, {512, n, 40});
       }},
      {"kept.kTransposedColumns",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_products(c, {m, 256, 129});
       }},
      {"kept.kMostTransposedFloats",
       [](Cases& c, int64_t v, bool large) {
         for (int64_t m : near(v / 1024, 32)) {
           if (large) add_products(c, {m, 70, 1024});
         }
         if (!large) add_products(c, {v / 16384, 70, 100});
       }},
      {"limbs.kPiece",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t k : near(v)) add_products(c, {200, 200, k, 40});
         for (const int64_t k : near(2 * v)) add_products(c, {96, 224, k, v + 1});
       }},
      {"limbs.kBlock",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t n : near(v)) add_products(c, {n, 128, 160}), add_products(c, {128, n, 160});
         add_products(c, {2 * v + 1, 65, 160});
       }},
      {"limbs.kLeastFlops",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t k : depths_of(v, 96, 128)) add_products(c, {96, 128, k, 65});
       }},
      {"limbs.kShortK",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t k : near(v)) add_products(c, {320, 288, k});
       }},
      {"limbs.kMostSharedBytes",
       [](Cases& c, int64_t v, bool large) {
         for (int64_t m : near(v / 6 / 1024, 32)) {
           if (large) add_products(c, {m, 64, 1024});
         }
         if (!large) add_products(c, {v / 98304, 64, 96});
       }},
      {"blocks.kRows",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_products(c, {m, 128, 70});
         for (const int64_t m : near(2 * v)) add_products(c, {m, 96, 64});
       }},
      {"blocks.kColumns",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t n : near(v)) add_products(c, {64, n, 70});
         // Further terms are added to whole panels alone.
         for (const int64_t n : near(v, 32)) add_products(c, {70, n, 70, 40});
         for (const int64_t n : near(2 * v, 32)) add_products(c, {70, n, 300});
       }},
      {"blocks.kFewest",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_products(c, {m, 160, 80});
         for (const int64_t n : near(v, 32)) add_products(c, {130, n, 80});
         for (const int64_t k : near(v)) add_products(c, {90, 96, k});
       }},
      {"gated.kTogether",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t n : near(64 * v)) add_products(c, {40, n, 33});
         for (const int64_t n : near(32 * v)) add_products(c, {3, n, 33});
       }},
  };
}

}  // namespace lazuli::conformance
