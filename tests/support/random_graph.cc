#include "support/random_graph.h"

#include <cmath>
#include <cstring>
#include <random>

namespace lazuli::test {

namespace {

constexpr int64_t kRows = 6, kCols = 16, kRank = 4;

class Builder {
 public:
  Builder(uint32_t seed, DType dtype, Intercept intercept) : rng_(seed), dtype_(dtype), intercept_(intercept) {}

  RandomGraph run() {
    for (int k = 0; k < 3; ++k) pool_.push_back(leaf({kRows, kCols}));
    const int ops = 4 + pick(16);
    for (int k = 0; k < ops; ++k) keep(step());
    RandomGraph g;
    g.outputs.push_back(pool_.back());
    if (pick(2) == 0) g.outputs.push_back(any());
    if (pick(3) == 0) g.outputs.push_back(see(sum(any(), {pick(2)})));
    g.values = values_;
    return g;
  }

 private:
  int pick(int n) { return static_cast<int>(rng_() % static_cast<unsigned>(n)); }
  double number(double lo, double hi) { return lo + (hi - lo) * (static_cast<double>(rng_()) / 4294967296.0); }
  const LazyTensor& any() { return pool_[static_cast<size_t>(pick(static_cast<int>(pool_.size())))]; }

  LazyTensor leaf(const Shape& shape, double scale = 1.0) {
    std::vector<float> v(static_cast<size_t>(shape.numel()));
    for (float& x : v) x = static_cast<float>(number(-scale, scale));
    return LazyTensor::from_tensor(Tensor::from_vector(v, shape).to(dtype_));
  }

  /// Every value goes through here, so that the caller can look at it or put its evaluated copy in its place.
  LazyTensor see(const LazyTensor& x) {
    LazyTensor y = intercept_ != nullptr ? intercept_(x) : x;
    values_.push_back(y);
    return y;
  }
  void keep(const LazyTensor& x) { pool_.push_back(x); }

  LazyTensor unary(const LazyTensor& x) {
    switch (pick(11)) {
      case 0:
        return see(tanh(x));
      case 1:
        return see(sigmoid(x));
      case 2:
        return see(gelu(x));
      case 3:
        return see(gelu_tanh(x));
      case 4:
        return see(silu(x));
      case 5:
        return see(erf(x));
      case 6:
        return see(neg(x));
      case 7:
        return see(sqrt(see(add_scalar(see(square(x)), 1.0))));
      case 8:
        return see(exp(see(mul_scalar(see(tanh(x)), 0.5))));
      case 9:
        return see(log(see(add_scalar(see(square(x)), 1.5))));
      default:
        return see(abs(x));
    }
  }

  LazyTensor binary(const LazyTensor& a, const LazyTensor& b) {
    switch (pick(6)) {
      case 0:
        return see(add(a, b));
      case 1:
        return see(sub(a, b));
      case 2:
        return see(mul(see(tanh(a)), b));
      case 3:
        return see(div(a, see(add_scalar(see(square(b)), 1.0))));
      case 4:
        return see(maximum(a, b));
      default:
        return see(where(see(greater(a, b)), a, b));
    }
  }

  LazyTensor broadcast(const LazyTensor& x) {
    switch (pick(4)) {
      case 0:
        return see(add(x, leaf({kCols})));
      case 1:
        return see(mul(x, leaf({kRows, 1})));
      case 2:
        return see(mul_scalar(x, number(0.3, 0.9)));
      default:
        return see(sub(x, see(mean(x, {1}, true))));
    }
  }

  LazyTensor rows(const LazyTensor& x) {
    switch (pick(8)) {
      case 6:
        return see(rms_norm(see(add(x, any())), leaf({kCols})));
      case 7:
        return see(layer_norm(see(add(x, any())), leaf({kCols}), leaf({kCols})));
      case 0:
        return see(softmax(x));
      case 1:
        return see(softmax(see(mul_scalar(x, 0.7))));
      case 2:
        return see(mul_scalar(see(softmax(x)), 3.0));
      case 3:
        return see(rms_norm(x, leaf({kCols})));
      case 4:
        return see(layer_norm(x, leaf({kCols}), leaf({kCols})));
      default:
        return see(log_softmax(x, 0));
    }
  }

  LazyTensor activated(const LazyTensor& x) {
    switch (pick(5)) {
      case 0:
        return see(gelu(x));
      case 1:
        return see(silu(x));
      case 2:
        return see(relu(x));
      case 3:
        return see(gelu_tanh(x));
      default:
        return x;
    }
  }

  LazyTensor gated(const LazyTensor& x) {
    const bool transposed = pick(2) == 0;
    const auto product = [&] { return see(matmul(x, leaf({kCols, kCols}, 0.4), false, transposed)); };
    const LazyTensor gate = activated(product());
    return see(mul(gate, product()));
  }

  LazyTensor linear(const LazyTensor& x) {
    if (pick(5) == 0) return gated(x);
    LazyTensor y = pick(2) == 0 ? see(matmul(x, leaf({kCols, kCols}, 0.4))) : see(matmul(x, leaf({kCols, kCols}, 0.4), false, true));
    if (pick(2) == 0) y = see(add(y, leaf({kCols})));
    if (pick(2) == 0) y = see(add(y, any()));
    return activated(y);
  }

  LazyTensor lora(const LazyTensor& x) {
    LazyTensor low = see(matmul(x, leaf({kCols, kRank}, 0.4)));
    LazyTensor delta = see(mul_scalar(see(matmul(low, leaf({kRank, kCols}, 0.4))), number(0.5, 2.0)));
    return pick(2) == 0 ? delta : see(add(see(matmul(x, leaf({kCols, kCols}, 0.4))), delta));
  }

  LazyTensor attention(const LazyTensor& x) {
    const LazyTensor scores = see(mul_scalar(see(matmul(x, any(), false, true)), 0.25));
    return see(matmul(see(softmax(scores)), any()));
  }

  LazyTensor moves(const LazyTensor& x) {
    switch (pick(4)) {
      case 0:
        return see(concat({see(x.slice(0, 2, kRows)), see(any().slice(0, 0, 2))}, 0));
      case 1:
        return see(transpose(see(add(see(transpose(x)), leaf({kRows})))));
      case 2:
        return see(reshape(see(unary(see(reshape(x, {kRows * 2, kCols / 2})))), {kRows, kCols}));
      default:
        return see(mul(x, see(expand(see(sum(see(tanh(any())), {0}, true)), {kRows, kCols}))));
    }
  }

  LazyTensor step() {
    const LazyTensor x = any();
    switch (pick(9)) {
      case 0:
      case 1:
        return unary(x);
      case 2:
      case 3:
        return binary(x, any());
      case 4:
        return broadcast(x);
      case 5:
        return rows(x);
      case 6:
        return linear(x);
      case 7:
        return pick(2) == 0 ? lora(x) : attention(x);
      default:
        return moves(x);
    }
  }

  std::mt19937 rng_;
  DType dtype_;
  Intercept intercept_;
  std::vector<LazyTensor> pool_;
  std::vector<LazyTensor> values_;
};

}  // namespace

RandomGraph random_graph(uint32_t seed, DType dtype, Intercept intercept) { return Builder(seed, dtype, intercept).run(); }

bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(Device{}).contiguous(), y = b.to(Device{}).contiguous();
  return x.dtype() == y.dtype() && x.shape() == y.shape() && std::memcmp(x.raw(), y.raw(), x.nbytes()) == 0;
}

double largest(const Tensor& t) {
  double m = 0;
  for (double v : t.to_vector<double>()) m = std::max(m, std::abs(v));
  return m;
}

}  // namespace lazuli::test
