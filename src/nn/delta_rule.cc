// Implements the gated delta rule with products and elementwise operations, so that every backend has it and its gradient.
#include "nn/delta_rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <vector>

#include "lazuli/error.h"
#include "lazuli/ops.h"

namespace lazuli {

namespace {

constexpr int64_t kLongestDeltaChunk = 64;
constexpr size_t kChunkLengths = 7;  ///< powers of two up to the longest

/// Constants of chunks of one length.
struct ChunkMasks {
  LazyTensor sums;                 ///< f32, 1 at and above the diagonal: x @ sums adds up
  LazyTensor seen;                 ///< bool, at and below the diagonal
  LazyTensor identity;             ///< f32
  std::vector<LazyTensor> levels;  ///< f32: of each pair of blocks of 1, 2, 4, ... on the diagonal, the block below it between them
};

template <class Has>
Tensor mask(int64_t size, const Has& has) {
  Tensor t = Tensor::empty(DType::f32, {size, size});
  auto at = t.mutable_data<float>().begin();
  for (int64_t i = 0; i < size; ++i) {
    for (int64_t j = 0; j < size; ++j) *at++ = has(i, j) ? 1.0F : 0.0F;
  }
  return t;
}

ChunkMasks make_masks(int64_t size) {
  ChunkMasks m;
  m.sums = LazyTensor::from_tensor(mask(size, [](int64_t i, int64_t j) { return i <= j; }));
  m.seen = LazyTensor::from_tensor(mask(size, [](int64_t i, int64_t j) { return i >= j; }).to(DType::boolean));
  m.identity = LazyTensor::from_tensor(mask(size, [](int64_t i, int64_t j) { return i == j; }));
  for (int64_t block = 1; block < size; block *= 2) {
    m.levels.push_back(LazyTensor::from_tensor(
        mask(size, [block](int64_t i, int64_t j) { return i / (2 * block) == j / (2 * block) && i / block > j / block; })));
  }
  return m;
}

/// One set for all recordings, so that they stand in a plan once.
const ChunkMasks& masks_of(int64_t size) {
  static const std::array<ChunkMasks, kChunkLengths> all = [] {
    std::array<ChunkMasks, kChunkLengths> made;
    for (size_t k = 0; k < kChunkLengths; ++k) made[k] = make_masks(int64_t{1} << k);
    return made;
  }();
  if (size < 2 || size > kLongestDeltaChunk || !std::has_single_bit(static_cast<uint64_t>(size))) {
    throw ShapeError(fmt::format("[delta_rule] a power of two from 2 to {} is expected, got {}", kLongestDeltaChunk, size));
  }
  return all[static_cast<size_t>(std::countr_zero(static_cast<uint64_t>(size)))];
}

/// Sizes in which `rows` counts the heads of keys of all texts, and `groups` the heads of values of each.
struct DeltaSizes {
  explicit DeltaSizes(const DeltaRuleInputs& in)
      : batch(in.values.dim(0)),
        heads(in.values.dim(1)),
        tokens(in.values.dim(2)),
        key(in.keys.dim(3)),
        value(in.values.dim(3)),
        rows(batch * in.keys.dim(1)),
        groups(heads / std::max<int64_t>(in.keys.dim(1), 1)) {
    if (in.queries.shape() != in.keys.shape() || in.keys.dim(0) != batch || in.keys.dim(2) != tokens || groups * in.keys.dim(1) != heads) {
      throw ShapeError(fmt::format("[delta_rule] queries {}, keys {} and values {}: heads of keys that divide those of values are expected",
                                   to_string(in.queries.shape()), to_string(in.keys.shape()), to_string(in.values.shape())));
    }
  }
  int64_t batch, heads, tokens, key, value, rows, groups;
};

/// Memory as (rows, groups, key_size, value_size).
LazyTensor grouped_memory(const DeltaRuleInputs& in, const DeltaSizes& s) {
  return in.memory.defined() ? reshape(in.memory, {s.rows, s.groups, s.key, s.value}) : LazyTensor();
}

DeltaRuleResult as_heads(const LazyTensor& answers, const LazyTensor& memory, const DeltaSizes& s) {
  return {reshape(answers, {s.batch, s.heads, s.tokens, s.value}), reshape(memory, {s.batch, s.heads, s.key, s.value})};
}

/// (batch, heads, tokens, ...) with zeros up to a whole number of chunks, as (rows, heads of each, chunks, chunk, ...).
LazyTensor in_chunks(const LazyTensor& x, int64_t rows, int64_t chunk) {
  const int64_t tokens = x.dim(2), chunks = (tokens + chunk - 1) / chunk;
  std::vector<int64_t> low(static_cast<size_t>(x.rank()), 0), high = low;
  high[2] = chunks * chunk - tokens;
  std::vector<int64_t> sizes{rows, x.dim(0) * x.dim(1) / rows, chunks, chunk};
  if (x.rank() == 4) sizes.push_back(x.dim(3));
  return reshape(high[2] > 0 ? pad(x, low, high) : x, Shape(sizes));
}

/// What one pass over the chunks needs of all of them.
struct ChunkParts {
  LazyTensor values;   ///< that each token would store in an empty memory, (rows, groups, chunks, chunk, value_size)
  LazyTensor reads;    ///< what these are less of the memory before the chunk, (..., chunk, key_size)
  LazyTensor scores;   ///< of queries and the chunk's own tokens, (..., chunk, chunk)
  LazyTensor queries;  ///< that read the memory before the chunk, (..., chunk, key_size)
  LazyTensor keys;     ///< that store into the memory after it, (..., chunk, key_size)
  LazyTensor stays;    ///< part of the memory that stays, (rows, groups, chunks, 1)
};

/// The WY form of the corrections of a chunk (Yang et al. 2024), with decays between every two tokens.
ChunkParts chunk_parts(const DeltaRuleInputs& in, int64_t rows, int64_t chunk) {
  const ChunkMasks& masks = masks_of(chunk);
  const DType dtype = in.values.dtype();
  const LazyTensor q = in_chunks(in.queries, rows, chunk), k = in_chunks(in.keys, rows, chunk), v = in_chunks(in.values, rows, chunk);
  const LazyTensor rate = unsqueeze(in_chunks(in.rate, rows, chunk), 4);
  const LazyTensor sums = matmul(in_chunks(in.decay, rows, chunk), cast(masks.sums, dtype));
  const LazyTensor never = LazyTensor::full({}, -std::numeric_limits<double>::infinity(), dtype);
  const LazyTensor between = exp(where(masks.seen, sub(unsqueeze(sums, 4), unsqueeze(sums, 3)), never));
  const LazyTensor from_start = exp(unsqueeze(sums, 4)), whole = slice(sums, 3, chunk - 1, chunk);
  const LazyTensor corrections = unit_lower_inverse(mul(mul(matmul(k, k, false, true), between), rate));
  ChunkParts parts;
  parts.values = matmul(corrections, mul(v, rate));
  parts.reads = matmul(corrections, mul(k, mul(rate, from_start)));
  parts.scores = mul(matmul(q, k, false, true), between);
  parts.queries = mul(q, from_start);
  parts.keys = mul(k, unsqueeze(exp(sub(whole, sums)), 4));
  parts.stays = exp(whole);
  return parts;
}

}  // namespace

LazyTensor unit_lower_inverse(const LazyTensor& x) {
  const ChunkMasks& masks = masks_of(x.dim(-1));
  // Blocks on the diagonal are inverted from their halves: exact, and as stable as solving row by row. Powers of x would grow like
  // binomials where keys repeat.
  LazyTensor inverse = sub(cast(masks.identity, x.dtype()), mul(x, cast(masks.levels[0], x.dtype())));
  for (size_t k = 1; k < masks.levels.size(); ++k) {
    const LazyTensor below = mul(x, cast(masks.levels[k], x.dtype()));
    inverse = sub(inverse, matmul(matmul(inverse, below), inverse));
  }
  return inverse;
}

DeltaRuleResult gated_delta_rule_by_chunk(const DeltaRuleInputs& in, int64_t chunk) {
  const DeltaSizes s(in);
  const ChunkParts parts = chunk_parts(in, s.rows, chunk);
  LazyTensor memory = grouped_memory(in, s);
  const int64_t chunks = parts.values.dim(2);
  std::vector<LazyTensor> answers;
  for (int64_t n = 0; n < chunks; ++n) {
    const auto of_chunk = [n](const LazyTensor& x) { return squeeze(slice(x, 2, n, n + 1), 2); };
    const LazyTensor keys = of_chunk(parts.keys);
    LazyTensor stored = of_chunk(parts.values);
    if (memory.defined()) stored = sub(stored, matmul(of_chunk(parts.reads), memory));
    const LazyTensor own = matmul(of_chunk(parts.scores), stored);
    answers.push_back(memory.defined() ? add(matmul(of_chunk(parts.queries), memory), own) : own);
    const LazyTensor added = matmul(keys, stored, true);
    memory = memory.defined() ? add(mul(memory, unsqueeze(of_chunk(parts.stays), 3)), added) : added;
  }
  const LazyTensor all = chunks == 1 ? answers[0] : concat(answers, 2);
  return as_heads(slice(all, 2, 0, s.tokens), memory, s);
}

DeltaRuleResult gated_delta_rule_by_token(const DeltaRuleInputs& in) {
  const DeltaSizes s(in);
  const LazyTensor q = reshape(in.queries, {s.rows, 1, s.tokens, s.key}), k = reshape(in.keys, {s.rows, 1, s.tokens, s.key});
  const auto grouped = [&](const LazyTensor& x, int64_t size) { return reshape(x, {s.rows, s.groups, s.tokens, size}); };
  const LazyTensor v = grouped(in.values, s.value), rate = grouped(in.rate, 1), stays = exp(grouped(in.decay, 1));
  LazyTensor memory = grouped_memory(in, s);
  if (!memory.defined()) memory = LazyTensor::zeros({s.rows, s.groups, s.key, s.value}, v.dtype());
  std::vector<LazyTensor> answers;
  for (int64_t t = 0; t < s.tokens; ++t) {
    const auto at = [t](const LazyTensor& x) { return slice(x, 2, t, t + 1); };
    const LazyTensor query = at(q), key = at(k), stay = at(stays);
    // Both rows read the memory in one product: what was stored for this key, and what the query finds.
    const LazyTensor read = mul(matmul(concat({key, query}, 2), memory), stay);
    const LazyTensor error = mul(sub(at(v), slice(read, 2, 0, 1)), at(rate));
    memory = add(mul(memory, stay), mul(transpose(key, 2, 3), error));
    answers.push_back(add(slice(read, 2, 1, 2), mul(sum(mul(query, key), {3}, true), error)));
  }
  return as_heads(s.tokens == 1 ? answers[0] : concat(answers, 2), memory, s);
}

DeltaRuleResult gated_delta_rule(const DeltaRuleInputs& inputs) {
  const auto tokens = static_cast<uint64_t>(inputs.values.dim(2));
  if (tokens == 1) return gated_delta_rule_by_token(inputs);
  return gated_delta_rule_by_chunk(inputs, std::min(static_cast<int64_t>(std::bit_ceil(tokens)), kLongestDeltaChunk));
}

}  // namespace lazuli
