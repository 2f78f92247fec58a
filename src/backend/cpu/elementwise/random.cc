// Random draws and dropout: element k depends only on the seed and k, so tasks may be cut anywhere.
#include "backend/random.h"

#include <cmath>

#include "backend/cpu/tiles/tile_io.h"
#include "graph/ops/dropout.h"
#include "lazuli/op.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/elementwise/random.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/common/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR
void words(uint64_t seed, uint64_t block, int64_t blocks, uint32_t* out) {
  for (int64_t b = 0; b < blocks; ++b) {
    const auto four = philox(seed, block + static_cast<uint64_t>(b));
    for (size_t k = 0; k < 4; ++k) out[4 * b + static_cast<int64_t>(k)] = four[k];
  }
}
#else
/// High and low halves of v * factor in every 32-bit lane.
HWY_INLINE void multiply(VU v, VU factor, VU& high, VU& low) {
  const hn::RepartitionToWide<U32> d64;
  const auto even = hn::MulEven(v, factor);
  const auto odd = hn::MulEven(hn::BitCast(U32(), hn::ShiftRight<32>(hn::BitCast(d64, v))), factor);
  const auto low_half = hn::Set(d64, 0xffffffffu);
  low = hn::BitCast(U32(), hn::Or(hn::And(even, low_half), hn::ShiftLeft<32>(odd)));
  high = hn::BitCast(U32(), hn::Or(hn::ShiftRight<32>(even), hn::AndNot(low_half, odd)));
}

/// philox(seed, block + b) for b < blocks: a lane for each block.
void words(uint64_t seed, uint64_t block, int64_t blocks, uint32_t* out) {
  const U32 d;
  const auto step = static_cast<int64_t>(hn::Lanes(d));
  const VU m0 = hn::Set(d, 0xD2511F53u), m1 = hn::Set(d, 0xCD9E8D57u);
  HWY_ALIGN uint32_t low_word[HWY_LANES(uint32_t)], high_word[HWY_LANES(uint32_t)], lane[4][HWY_LANES(uint32_t)];
  for (int64_t first = 0; first < blocks; first += step) {
    for (int64_t i = 0; i < step; ++i) {
      const uint64_t counter = block + static_cast<uint64_t>(first + i);
      low_word[i] = static_cast<uint32_t>(counter);
      high_word[i] = static_cast<uint32_t>(counter >> 32);
    }
    VU c0 = hn::Load(d, low_word), c1 = hn::Load(d, high_word), c2 = hn::Zero(d), c3 = hn::Zero(d);
    auto k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
      VU high0, low0, high1, low1;
      multiply(c0, m0, high0, low0);
      multiply(c2, m1, high1, low1);
      c0 = hn::Xor(hn::Xor(high1, c1), hn::Set(d, k0));
      c2 = hn::Xor(hn::Xor(high0, c3), hn::Set(d, k1));
      c1 = low1;
      c3 = low0;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    hn::Store(c0, d, lane[0]);
    hn::Store(c1, d, lane[1]);
    hn::Store(c2, d, lane[2]);
    hn::Store(c3, d, lane[3]);
    const int64_t count = blocks - first < step ? blocks - first : step;
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t k = 0; k < 4; ++k) out[4 * (first + i) + k] = lane[k][i];
    }
  }
}
#endif

using WordsFn = void (*)(uint64_t seed, uint64_t block, int64_t blocks, uint32_t* out);
WordsFn lookup_words() { return words; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {
namespace {

HWY_EXPORT(lookup_words);

using WordsFn = void (*)(uint64_t seed, uint64_t block, int64_t blocks, uint32_t* out);

/// The words of tiles, for draws whose element k takes word k: tiles start at multiples of 4.
struct Words {
  WordsFn fn;
  size_t at;
  explicit Words(ScratchPlan& plan)
      : fn(HWY_DYNAMIC_DISPATCH(lookup_words)()), at(plan.take(static_cast<size_t>(kTile) * sizeof(uint32_t))) {}
  const uint32_t* tile(const KernelArgs& args, uint64_t seed, int64_t first, int64_t n) const {
    auto* out = static_cast<uint32_t*>(element_at(args.thread_scratch, static_cast<int64_t>(at), 1));
    fn(seed, static_cast<uint64_t>(first) / 4, (n + 3) / 4, out);
    return out;
  }
};

uint64_t seed_of(const KernelArgs& args, size_t k) { return static_cast<uint64_t>(*static_cast<const int64_t*>(args.in[k])); }

struct Random {
  Op op;
  int64_t numel;
  int bits;
  Words words;
  TileWriter out;

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const uint64_t seed = seed_of(args, 0);
    for (int64_t first = begin * kTile; first < std::min(end * kTile, numel); first += kTile) {
      const int64_t n = std::min(kTile, numel - first);
      const uint32_t* word = words.tile(args, seed, first, n);
      float* y = out.at(args, args.out[0], first);
      if (op == Op::random_uniform) {
        for (int64_t i = 0; i < n; ++i) y[i] = uniform_from(word[i], bits);
      } else {
        for (int64_t i = 0; i < n; i += 2) {
          const auto pair = normal_from(word[i], word[i + 1]);
          y[i] = static_cast<float>(pair[0]);
          if (i + 1 < n) y[i + 1] = static_cast<float>(pair[1]);
        }
      }
      out.finish(args, args.out[0], first, n);
    }
  }
};

/// Element k takes two words, the low one first.
struct RandomBits {
  int64_t numel;
  Words words;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const uint64_t seed = seed_of(args, 0);
    for (int64_t first = begin * kTile / 2; first < std::min(end * kTile / 2, numel); first += kTile / 2) {
      const int64_t n = std::min(kTile / 2, numel - first);
      const uint32_t* word = words.tile(args, seed, 2 * first, 2 * n);
      auto* y = static_cast<int64_t*>(args.out[0]) + first;
      for (int64_t i = 0; i < n; ++i) y[i] = static_cast<int64_t>(uint64_t{word[2 * i]} | uint64_t{word[2 * i + 1]} << 32);
    }
  }
};

struct Dropout {
  DType probability;
  int64_t numel;
  Words words;
  TileReader x;
  TileWriter out;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const uint64_t seed = seed_of(args, 2);
    const double p = factor(args.in[operand::dropout::probability], probability);
    const auto drop = static_cast<float>(p), scale = static_cast<float>(1 / (1 - p));
    for (int64_t first = begin * kTile; first < std::min(end * kTile, numel); first += kTile) {
      const int64_t n = std::min(kTile, numel - first);
      const uint32_t* word = words.tile(args, seed, first, n);
      const float* v = x.at(args, args.in[0], first, n);
      float* y = out.at(args, args.out[0], first);
      for (int64_t i = 0; i < n; ++i) y[i] = dropout_keeps(word[i], drop) ? v[i] * scale : 0.0f;
      out.finish(args, args.out[0], first, n);
    }
  }
};

}  // namespace

PreparedOp prepare_random(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  const OperandSpec& result = request.outputs[0];
  const int64_t numel = result.shape.numel();
  const char* name = name_of(request.op).data();
  ScratchPlan plan;
  const Words words(plan);
  PreparedOp op;
  if (request.op == Op::random_bits) {
    op = make_op(request, name, RandomBits{numel, words}, tasks_for(numel, kTile / 2));
  } else {
    const Random state{request.op, numel, uniform_bits(result.dtype), words, TileWriter(request, result, plan)};
    op = make_op(request, name, state, tasks_for(numel, kTile));
  }
  op.flops = 20 * static_cast<double>(numel);
  op.thread_scratch_bytes = plan.bytes();
  return op;
}

PreparedOp prepare_dropout(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  ScratchPlan plan;
  const Words words(plan);
  const int64_t numel = request.outputs[0].shape.numel();
  const Dropout state{request.inputs[operand::dropout::probability].dtype, numel, words,
                      TileReader(request, request.inputs[0], request.inputs[0].shape, plan), TileWriter(request, request.outputs[0], plan)};
  PreparedOp op = make_op(request, "dropout", state, tasks_for(numel, kTile), 20);
  op.thread_scratch_bytes = plan.bytes();
  op.in_place = first_in_place(request);
  return op;
}

}  // namespace lazuli::cpu
#endif
