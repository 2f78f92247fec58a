#include "conformance/sweep.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "conformance/pages.h"
#include "graph/attention_operands.h"
#include "lazuli/error.h"
#include "lazuli/op.h"
#include "support/attributes.h"

namespace lazuli::conformance {

namespace {

class Draw {
 public:
  Draw(uint64_t seed, const std::vector<Threshold>& thresholds) : random_(seed) {
    // What is compared with rows, columns, depths or heads; of flops, bytes and the like the sizes follow from those.
    for (const Threshold& t : thresholds) {
      if (t.value >= 2 && t.value <= 1200) pool_.push_back(t.value);
    }
    pool_.insert(pool_.end(), {16, 32, 48, 64});
  }
  int64_t below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  bool one_in(int64_t n) { return below(n) == 0; }
  template <class T>
  T one_of(std::initializer_list<T> list) {
    return *(list.begin() + below(static_cast<int64_t>(list.size())));
  }
  DType dtype() { return one_of({DType::f32, DType::f32, DType::bf16, DType::f16}); }
  /// Near a threshold or a small multiple of one, at most `most`.
  int64_t size(int64_t most) {
    if (one_in(12)) return 1 + below(4);
    const int64_t base = pool_[static_cast<size_t>(below(static_cast<int64_t>(pool_.size())))];
    int64_t n = one_in(3) ? base * (1 + below(3)) : one_in(4) ? base / 2 + base / 2 * below(4) : base;
    n += below(5) - 2;
    while (n > most) n = n / 2 + below(3) - 1;
    return std::max<int64_t>(n, 1);
  }
  uint64_t seed() { return random_(); }
  Tensor numbers(DType t, const Shape& shape) { return quick_numbers(t, shape, seed()); }
  /// As it is, or as it lies in memory the other way round or with gaps.
  Tensor somehow(const Tensor& t) { return one_in(6) ? laid_out(t, one_of({Layout::column_major, Layout::stepped})) : t; }

 private:
  std::mt19937_64 random_;
  std::vector<int64_t> pool_;
};

Sizes sizes_of(Draw& d, double terms) {
  Sizes s{d.size(1300), d.size(1300), d.size(1300), d.one_in(3) ? d.size(320) : d.one_of<int64_t>({1, 4, 8, 16})};
  while (static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k + s.rank) > terms) {
    int64_t& longest = s.m >= s.n && s.m >= s.k ? s.m : s.n >= s.k ? s.n : s.k;
    longest = d.size(longest - 1);
  }
  return s;
}

/// Any product op, from those that add_products() makes, with layouts of its own.
Case product_case(Draw& d, double terms) {
  const Sizes s = sizes_of(d, terms);
  const DType t = d.dtype();
  const bool tb = d.one_in(2), ta = d.one_in(4), la = d.one_in(2), lb = d.one_in(2);
  const auto x = [&] { return d.somehow(d.numbers(t, {s.m, s.k})); };
  const auto w = [&] { return d.numbers(t, tb ? Shape{s.n, s.k} : Shape{s.k, s.n}); };
  const auto a = [&] { return d.somehow(d.numbers(t, la ? Shape{s.rank, s.k} : Shape{s.k, s.rank})); };
  const auto b = [&] { return d.somehow(d.numbers(t, lb ? Shape{s.n, s.rank} : Shape{s.rank, s.n})); };
  const Tensor scale = scalar(DType::f32, 0.75);
  const Op activation = d.one_of({Op::input, Op::gelu, Op::silu, Op::relu});
  OpCall call{Op::matmul};
  switch (d.below(6)) {
    case 0:
      call = {Op::matmul, {d.somehow(d.numbers(t, ta ? Shape{s.k, s.m} : Shape{s.m, s.k})), d.somehow(w())}, attrs(ta, tb)};
      break;
    case 1: {
      const int64_t parts = d.below(4);
      call = {Op::linear, {x(), d.somehow(w())}, attrs(tb, parts, static_cast<int64_t>(activation))};
      if ((parts & 1) != 0) call.inputs.push_back(d.numbers(t, {s.n}));
      if ((parts & 2) != 0) call.inputs.push_back(d.numbers(t, {s.m, s.n}));
      break;
    }
    case 2:
      call = {Op::lora_linear, {x(), d.somehow(w()), a(), b(), scale}, attrs(la, lb, tb)};
      if (d.one_in(2)) call.inputs.push_back(d.numbers(t, {s.n}));
      break;
    case 3:
      call = {Op::lora_fused, {x(), a(), b(), scale}, attrs(la, lb)};
      break;
    case 4:
      call = {Op::gated_linear, {x(), w(), w()}, attrs(tb, 0, static_cast<int64_t>(d.one_of({Op::gelu, Op::silu})))};
      break;
    default: {
      const auto c = d.one_of<int32_t>({-1, 0, 1});
      call = {Op::lora_rows,
              {d.numbers(t, {2, s.m, s.k}), d.numbers(t, {2, s.rank, s.k}), d.numbers(t, {2, s.n, s.rank}), vector<float>({0.5F, 2}),
               vector<int32_t>({1, c})}};
      if (d.one_in(2)) call.inputs.push_back(d.numbers(t, {2, s.m, s.n}));
    }
  }
  return {std::string(lazuli::name_of(call.op)) + " " + std::string(lazuli::name_of(t)) + " " + to_string(Shape{s.m, s.n, s.k, s.rank}),
          std::move(call),
          {8, 64, 1}};
}

Case quantized_case(Draw& d, double terms) {
  Cases all;
  add_quantized(all, sizes_of(d, terms / 2));
  return all[static_cast<size_t>(d.below(static_cast<int64_t>(all.size())))];
}

double half_spread(DType t) { return t == DType::bf16 ? 0x1p17 : t == DType::f16 ? 0x1p14 : 64; }

Case attention_case(Draw& d, bool gradient) {
  const DType t = d.dtype();
  const int64_t group = 1 + d.below(3), heads = 1 + d.below(2), q = d.size(gradient ? 150 : 280), some = std::max<int64_t>(d.size(600), 1);
  const int64_t page = !gradient && d.one_in(4) ? kPageUnit * (1 + d.below(4)) : 0, pages = page == 0 ? 0 : (some + page - 1) / page;
  const int64_t k = page == 0 ? some : pages * page, pool = page == 0 ? 1 : pool_for(1, pages), rows = page == 0 ? k : page;
  const int64_t size = d.one_in(2) ? 8 * (1 + d.below(9)) : d.size(80), value_size = d.one_in(3) ? d.size(80) : size;
  const int64_t length = d.one_in(3) ? d.below(k + 1) : k;
  OpCall call{Op::sdpa,
              {d.numbers(t, {1, heads * group, q, size}), d.numbers(t, {pool, heads, rows, size}),
               d.numbers(t, {pool, heads, rows, value_size}), scalar(DType::f32, 0.6), scalar(DType::i32, static_cast<double>(length))},
              attrs(d.one_in(2), d.one_in(3) ? 1 + d.below(k) : 0, d.one_in(4) ? 1 + d.below(k) : 0)};
  std::vector<AttentionPart> parts;
  const auto add = [&](AttentionPart part, const Tensor& operand) {
    call.attrs.i[3] |= static_cast<int64_t>(part);
    call.inputs.push_back(operand);
  };
  if (d.one_in(3)) add(AttentionPart::mask, random(DType::boolean, d.one_in(2) ? Shape{q, k} : Shape{1, k}, d.seed()));
  if (d.one_in(4)) add(AttentionPart::softcap, scalar(DType::f32, 1.5));
  if (d.one_in(4)) add(AttentionPart::sinks, random(DType::f32, {heads * group}, d.seed()));
  if (page != 0) add(AttentionPart::blocks, block_table({length}, pages, page));
  const std::string what = (page == 0 ? "attention " : "attention on pages ") + std::string(lazuli::name_of(t)) + " " +
                           to_string(Shape{heads, group, q, k, size, value_size});
  // A log-sum-exp near zero is the difference of the largest score and the logarithm of a sum near one.
  if (!gradient) return {what, std::move(call), {8, half_spread(t), 1, 2}};
  const auto results = run(reference_backend(), call);
  OpCall back{Op::sdpa_backward,
              {call.inputs[0], call.inputs[1], call.inputs[2], results[0], results[1], d.numbers(t, results[0].shape())},
              call.attrs};
  back.inputs.insert(back.inputs.end(), call.inputs.begin() + 3, call.inputs.end());
  // Where a query sees one key, its gradient is the difference of two equal sums of value_size products: all of it is rounding.
  const double rounding =
      static_cast<double>(value_size) * std::sqrt(static_cast<double>(group * q)) / static_cast<double>(std::max<int64_t>(length, 1));
  return {"gradient of " + what, std::move(back), {8, 4 * half_spread(t), 1, rounding}};
}

Case loss_case(Draw& d, double terms) {
  const DType t = d.dtype();
  Sizes s = sizes_of(d, terms / 16);
  const bool turned = d.one_in(2);
  auto targets = random_indices(DType::i32, {s.m}, s.n, d.seed()).to_vector<int32_t>();
  if (s.m > 2) targets[1] = -100;
  // A loss near zero is the difference of two logits, each a sum of k products.
  const double rounding = 2 * std::sqrt(static_cast<double>(s.k));
  return {"loss " + std::string(lazuli::name_of(t)) + " " + to_string(Shape{s.m, s.n, s.k}),
          {Op::linear_cross_entropy,
           {d.somehow(d.numbers(t, {s.m, s.k})), d.numbers(t, turned ? Shape{s.n, s.k} : Shape{s.k, s.n}), vector<int32_t>(targets),
            scalar(DType::f32, d.one_of({0.0, 0.1}))},
           attrs(-100, turned)},
          {8, t == DType::f32 ? 64 : 4 * half_spread(t), 1, rounding}};
}

/// Rows whose neighbours differ by about one: where all of a row were nearly equal, a norm and its gradient would be rounding.
Tensor uneven(const Tensor& x) {
  auto values = x.to_vector<float>();
  const auto columns = static_cast<size_t>(x.shape().back());
  for (size_t k = 0; k < values.size(); ++k) values[k] = values[k] / 4 + static_cast<float>(k % columns % 8);
  return Tensor::from_vector(values, x.shape()).to(x.dtype());
}

Case row_case(Draw& d) {
  const DType t = d.dtype();
  const int64_t kind = d.below(5);
  // Of one or two columns a norm's gradient is zero but for eps.
  const Shape shape{d.size(40), std::max<int64_t>(d.size(4200), kind == 1 ? 3 : 1)};
  const Tensor x = d.somehow(d.numbers(t, shape)), w = random(t, {shape[1]}, d.seed(), 0.5, 1.5), eps = scalar(DType::f32, 1e-5);
  OpCall call{Op::softmax, {x}, attrs(d.below(2))};
  switch (kind) {
    case 0:
      call = {d.one_of({Op::rms_norm, Op::layer_norm}), {d.somehow(uneven(x)), w}};
      if (call.op == Op::layer_norm) call.inputs.push_back(d.numbers(t, {shape[1]}));
      call.inputs.push_back(eps);
      break;
    case 1:
      call = {d.one_of({Op::rms_norm_backward, Op::layer_norm_backward}), {d.somehow(uneven(x)), w, d.numbers(t, shape), eps}};
      break;
    case 2:
      call = {d.one_of({Op::sum, Op::mean, Op::max, Op::min, Op::logsumexp, Op::var}),
              {d.somehow(random(t, shape, d.seed(), 0.5, 1.5))},
              attrs(1 + d.below(3))};
      break;
    case 3:
      call = {d.one_of({Op::softmax_backward, Op::add}), {x, d.somehow(d.numbers(t, shape))}, attrs(1)};
      if (call.op == Op::add) call.attrs = {};
      break;
    default:
      break;
  }
  return {std::string(lazuli::name_of(call.op)) + " " + std::string(lazuli::name_of(t)) + " " + to_string(shape),
          std::move(call),
          {16, 64, 1, kind == 1 ? 8.0 : 0.0}};
}

int64_t set_in(const char* variable, int64_t otherwise) {
  const char* const value = std::getenv(variable);
  return value == nullptr ? otherwise : std::atoll(value);
}

}  // namespace

Case random_case(uint64_t seed, const std::vector<Threshold>& thresholds, double terms) {
  Draw d(seed, thresholds);
  // One large one among many small ones: most borders are where sizes are small.
  const double most = d.one_in(4) ? terms : terms / 16;
  const int64_t kind = d.below(20);
  if (kind < 11) return product_case(d, most);
  if (kind < 13) return quantized_case(d, most / 4);
  if (kind < 16) return attention_case(d, kind == 15);
  if (kind < 17) return loss_case(d, most);
  return row_case(d);
}

std::string sweep(const std::vector<Threshold>& thresholds, int64_t rounds, double terms,
                  const std::function<std::string(const Case& c, uint64_t seed)>& wrong) {
  using Clock = std::chrono::steady_clock;
  const auto first = static_cast<uint64_t>(set_in("LAZULI_SWEEP_SEED", 1));
  const int64_t seconds = set_in("LAZULI_SWEEP_SECONDS", 0);
  rounds = set_in("LAZULI_SWEEP_ROUNDS", rounds);
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  uint64_t seed = first;
  for (; seconds > 0 ? Clock::now() < end : seed < first + static_cast<uint64_t>(rounds); ++seed) {
    const std::string back = "LAZULI_SWEEP_SEED=" + std::to_string(seed) + " LAZULI_SWEEP_ROUNDS=1 brings it back: ";
    const Case c = random_case(seed, thresholds, terms);
    std::string what;
    try {
      what = wrong(c, seed);
    } catch (const Error& e) {
      what = e.what();
    }
    if (!what.empty()) return back + c.label + ": " + what;
  }
  if (seconds > 0)
    std::printf("%llu cases from seed %llu on are right\n", static_cast<unsigned long long>(seed - first),
                static_cast<unsigned long long>(first));
  return "";
}

}  // namespace lazuli::conformance
