// Conformance cases of attention and its gradient.
#include <algorithm>
#include <limits>

#include "conformance/cases.h"
#include "conformance/pages.h"
#include "graph/attention_operands.h"
#include "lazuli/op.h"

namespace lazuli::conformance {

namespace {

struct Setup {
  std::string label;
  int64_t batch, heads, kv_heads, queries, keys, size, value_size;
  bool causal = false;
  int64_t length = -1;  ///< -1: all keys
  enum Mask { none, boolean, added, row, hides_all } mask = none;
  int64_t left = -1, right = -1;  ///< windows
  bool by_row = false;            ///< the length of batch entry b is b less, but not less than 0
  double softcap = 0;
  bool sinks = false, first_keys = false;
  int64_t page = 0;  ///< keys of a page; 0: they lie one after the other
};

const Setup kSetups[] = {
    {"one", 1, 1, 1, 1, 1, 1, 1},
    {"plain", 2, 3, 3, 5, 7, 16, 16},
    {"value size", 1, 2, 2, 5, 7, 8, 24},
    {"grouped", 2, 6, 2, 4, 9, 16, 16},
    {"causal", 1, 2, 2, 9, 9, 16, 16, true},
    {"causal, more keys", 1, 2, 1, 3, 70, 32, 32, true},
    {"causal, more queries than keys", 1, 2, 2, 7, 4, 8, 8, true},
    {"decoding", 1, 4, 2, 1, 64, 32, 32, true, 37},
    {"length", 2, 2, 2, 3, 20, 8, 8, false, 11},
    {"length 0", 1, 2, 2, 3, 5, 8, 8, false, 0},
    {"causal prefill in a cache", 1, 4, 2, 6, 40, 16, 16, true, 10},
    {"bool mask", 2, 2, 2, 5, 7, 8, 8, false, -1, Setup::boolean},
    {"added mask", 2, 2, 2, 5, 7, 8, 8, false, -1, Setup::added},
    {"causal with mask", 2, 4, 2, 7, 7, 8, 8, true, -1, Setup::boolean},
    {"mask of keys", 2, 2, 2, 5, 7, 8, 8, false, -1, Setup::row},
    {"all hidden", 1, 2, 2, 3, 5, 8, 8, false, -1, Setup::hides_all},
    {"long", 1, 2, 1, 130, 130, 64, 64, true},
    {"odd size", 1, 1, 1, 33, 65, 24, 24},
    {"window", 1, 2, 2, 9, 9, 16, 16, true, -1, Setup::none, 2},
    {"window of two", 2, 2, 1, 7, 7, 16, 16, true, -1, Setup::none, 1},
    {"window to both sides", 2, 2, 2, 70, 70, 16, 16, false, -1, Setup::none, 5, 3},
    {"window to the right", 1, 2, 2, 70, 75, 16, 16, false, 72, Setup::none, -1, 4},
    {"long window", 1, 4, 2, 150, 150, 32, 32, true, -1, Setup::none, 70},
    {"short window of a long row", 1, 2, 1, 200, 200, 64, 64, true, -1, Setup::none, 9},
    {"window while decoding", 1, 4, 2, 1, 300, 32, 32, true, 290, Setup::none, 70},
    {"window of prefill in a cache", 2, 4, 2, 6, 90, 16, 16, true, 80, Setup::none, 20},
    {"window with mask", 2, 2, 2, 9, 9, 16, 16, true, -1, Setup::boolean, 3},
    {"length by row", 3, 4, 2, 5, 20, 16, 16, false, 11, Setup::none, -1, -1, true},
    {"decoding by row", 5, 4, 2, 1, 64, 32, 32, true, 37, Setup::none, -1, -1, true},
    {"length by row, down to 0", 4, 2, 2, 3, 20, 8, 8, true, 2, Setup::none, -1, -1, true},
    {"window and length by row", 3, 4, 2, 6, 90, 16, 16, true, 80, Setup::none, 20, -1, true},
    {"softcap", 2, 2, 2, 9, 9, 16, 16, true, -1, Setup::none, -1, -1, false, 1.5},
    {"softcap with window", 1, 4, 2, 70, 70, 32, 32, true, -1, Setup::none, 9, -1, false, 2},
    {"softcap with added mask", 2, 2, 2, 5, 7, 8, 8, false, -1, Setup::added, -1, -1, false, 0.8},
    {"softcap while decoding", 1, 4, 2, 1, 64, 32, 32, true, 37, Setup::none, -1, -1, false, 0.5},
    {"sinks", 2, 4, 2, 9, 9, 16, 16, true, -1, Setup::none, -1, -1, false, 0, true},
    {"sinks while decoding", 2, 4, 2, 1, 64, 32, 32, true, 37, Setup::none, 9, -1, true, 0, true},
    {"sinks alone", 1, 2, 2, 3, 5, 8, 8, false, 0, Setup::none, -1, -1, false, 0, true},
    {"texts in a row", 2, 4, 2, 70, 70, 16, 16, true, -1, Setup::none, -1, -1, false, 0, false, true},
    {"texts in a row, all at once", 2, 4, 2, 70, 70, 16, 24, true, -1, Setup::boolean, 30, -1, true, 1.5, true, true},
    {"wide window", 1, 2, 1, 70, 70, 160, 160, true, -1, Setup::none, 20},
    {"wide", 1, 2, 1, 70, 70, 256, 256, true, -1, Setup::none, -1, -1, false, 3},
    {"wider than values", 1, 2, 1, 70, 70, 192, 128, true},
    {"very wide", 1, 2, 1, 20, 20, 512, 512, true},
    {"no queries", 1, 2, 2, 0, 5, 8, 8},
    {"no batch", 0, 2, 2, 3, 5, 8, 8},
    {"no keys", 1, 2, 2, 3, 0, 8, 8},
};

Setup paged(int64_t page, Setup s) {
  s.page = page;
  return s;
}

const Setup kPagedSetups[] = {
    paged(64, {"one page", 1, 1, 1, 1, 64, 16, 16}),
    paged(64, {"decoding in pages", 3, 4, 2, 1, 256, 64, 64, true, 200, Setup::none, -1, -1, true}),
    paged(64, {"length at a border", 2, 4, 2, 1, 256, 32, 32, true, 128}),
    paged(64, {"length 0 of pages", 2, 2, 2, 3, 64, 8, 8, false, 0}),
    paged(128, {"prefill in pages", 2, 2, 1, 100, 384, 32, 32, true, 300, Setup::none, -1, -1, true}),
    paged(64, {"everything in pages", 2, 4, 2, 70, 128, 16, 24, true, 100, Setup::boolean, 30, -1, true, 1.5, true, true}),
    paged(64, {"added mask of pages", 2, 2, 2, 5, 64, 8, 8, false, 60, Setup::added}),
    paged(64, {"window within a page", 2, 4, 2, 1, 320, 64, 64, true, 310, Setup::none, 9, -1, true}),
    paged(192, {"window over borders", 2, 4, 2, 6, 576, 16, 16, true, 500, Setup::none, 150, -1, true}),
    paged(64, {"window to both sides in pages", 2, 2, 2, 70, 192, 16, 16, false, 130, Setup::none, 5, 3}),
    paged(64, {"texts in a row of pages", 2, 4, 2, 70, 128, 16, 16, true, 70, Setup::none, -1, -1, false, 0, false, true}),
    paged(64, {"wide pages", 1, 2, 1, 70, 128, 256, 256, true, -1, Setup::none, -1, -1, false, 3}),
    paged(64, {"keys wider than values in pages", 1, 2, 1, 70, 128, 192, 128, true}),
    paged(64, {"very wide pages", 1, 2, 1, 5, 64, 512, 512, true}),
    paged(64, {"odd size in pages", 2, 2, 1, 3, 128, 19, 21, true, 100}),
    paged(64, {"no queries on pages", 1, 2, 2, 0, 64, 8, 8}),
    paged(64, {"no rows of pages", 0, 2, 2, 3, 64, 8, 8}),
    paged(64, {"no pages", 2, 2, 2, 3, 0, 8, 8}),
};

Tensor mask_of(const Setup& s, DType t) {
  const Shape scores{s.batch, s.heads, s.queries, s.keys};
  switch (s.mask) {
    case Setup::boolean:
      return random(DType::boolean, {s.batch, 1, s.queries, s.keys}, 9);
    case Setup::row:
      return random(DType::boolean, {s.batch, 1, 1, s.keys}, 10);
    case Setup::hides_all:
      return Tensor::zeros(DType::boolean, {s.queries, s.keys});
    case Setup::added: {
      auto values = random(DType::f32, scores, 11).to_vector<float>();
      for (size_t k = 0; k < values.size(); k += 3) values[k] = -std::numeric_limits<float>::infinity();
      return Tensor::from_vector(values, scores).to(t);
    }
    case Setup::none:
      break;
  }
  return Tensor();
}

std::vector<int64_t> keys_of_rows(const Setup& s) {
  std::vector<int64_t> keys;
  for (int64_t b = 0; b < s.batch; ++b) keys.push_back(std::max<int64_t>((s.length < 0 ? s.keys : s.length) - (s.by_row ? b : 0), 0));
  return keys;
}

Tensor lengths_of(const Setup& s) {
  if (s.by_row) return vector<int64_t>(keys_of_rows(s)).to(DType::i32);
  return scalar(DType::i32, static_cast<double>(s.length < 0 ? s.keys : s.length));
}

/// Texts of 1 to 29 tokens, other ones in each row; some queries are told of a key behind their own.
Tensor first_keys_of(const Setup& s) {
  std::vector<int32_t> keys;
  for (int64_t b = 0; b < s.batch; ++b) {
    int32_t first = b == 0 ? -3 : 0;
    for (int64_t t = 0; t < s.queries; ++t) {
      if (t % (29 - 2 * b) == 1) first = static_cast<int32_t>(t);
      keys.push_back(t % 17 == 16 ? static_cast<int32_t>(t + 1) : first);
    }
  }
  return Tensor::from_vector(keys, {s.batch, s.queries});
}

OpCall forward(const Setup& s, DType t, Layout layout = Layout::row_major) {
  const int64_t pages = s.page == 0 ? 0 : s.keys / s.page;
  const int64_t rows = s.page == 0 ? s.batch : pool_for(s.batch, pages), keys = s.page == 0 ? s.keys : s.page;
  OpCall call{Op::sdpa,
              {laid_out(random(t, {s.batch, s.heads, s.queries, s.size}, 1), layout),
               laid_out(random(t, {rows, s.kv_heads, keys, s.size}, 2), layout),
               laid_out(random(t, {rows, s.kv_heads, keys, s.value_size}, 3), layout),
               scalar(DType::f32, 0.3 * std::min(1.0, 64.0 / static_cast<double>(s.size))), lengths_of(s)}};
  std::vector<AttentionPart> parts;
  const auto add = [&](AttentionPart part, const Tensor& operand) {
    parts.push_back(part);
    call.inputs.push_back(operand);
  };
  if (const Tensor mask = mask_of(s, t); mask.defined()) add(AttentionPart::mask, mask);
  if (s.softcap != 0) add(AttentionPart::softcap, scalar(DType::f32, s.softcap));
  if (s.sinks) add(AttentionPart::sinks, random(t == DType::f64 ? t : DType::f32, {s.heads}, 12));
  if (s.first_keys) add(AttentionPart::first_key, first_keys_of(s));
  if (s.page != 0) add(AttentionPart::blocks, block_table(keys_of_rows(s), pages, s.page));
  set_attention(call.attrs, s.causal, s.left, s.right, parts);
  return call;
}

OpCall backward(const Setup& s, DType t, Layout layout = Layout::row_major) {
  const OpCall f = forward(s, t, layout);
  const auto results = run(reference_backend(), f);
  OpCall call{Op::sdpa_backward, {f.inputs[0], f.inputs[1], f.inputs[2], results[0], results[1]}, f.attrs};
  call.inputs.push_back(random(t, results[0].shape(), 4));
  call.inputs.insert(call.inputs.end(), f.inputs.begin() + 3, f.inputs.end());
  return call;
}

/// Probabilities may be rounded to 16 bits before the second product.
Tolerance tolerance(DType t) { return {8, t == DType::bf16 ? 0x1p17 : t == DType::f16 ? 0x1p14 : 64, 1}; }

template <class Make>
Cases cases_with(Make make) {
  Cases cases;
  for (DType t : kFloats) {
    const std::string name = std::string(lazuli::name_of(t)) + " ";
    for (const Setup& s : kSetups) cases.push_back({name + s.label, make(s, t, Layout::row_major), tolerance(t)});
    for (Layout layout : kLayouts)
      cases.push_back({name + name_of(layout), make({"", 2, 4, 2, 5, 7, 16, 16, true}, t, layout), tolerance(t)});
  }
  return cases;
}

struct PackedSetup {
  std::string label;
  std::vector<int32_t> starts;
  int64_t tokens, heads, kv_heads, size, value_size;
  bool causal = false;
  int64_t left = -1, right = -1;
};

const PackedSetup kPackedSetups[] = {
    {"one", {0, 1}, 1, 1, 1, 1, 1},
    {"plain", {0, 3, 5, 12}, 12, 3, 3, 16, 16},
    {"grouped", {0, 4, 9}, 9, 6, 2, 16, 16},
    {"value size", {0, 4, 9}, 9, 2, 2, 8, 24},
    {"rows after the last", {0, 3, 5, 12}, 16, 2, 2, 16, 16},
    {"empty sequences", {0, 0, 5, 5, 7, 7}, 9, 2, 2, 8, 8},
    {"causal", {0, 7, 20}, 24, 4, 2, 16, 16, true},
    {"long", {0, 130, 131, 200, 201}, 201, 2, 1, 32, 32},
    {"long, causal", {0, 130, 200}, 290, 2, 2, 24, 24, true},
    {"window", {0, 9, 10, 24}, 26, 2, 2, 16, 16, false, 3, 3},
    {"window to the left alone", {0, 9, 24}, 24, 2, 1, 16, 8, false, 4},
    {"window to the right alone", {0, 9, 24}, 24, 2, 2, 16, 16, false, -1, 2},
    {"window, causal", {0, 9, 24}, 24, 2, 2, 16, 16, true, 2},
    {"its own key alone", {0, 9, 24}, 24, 2, 2, 16, 16, false, 0, 0},
    {"window, long", {0, 130, 131, 340}, 350, 2, 1, 32, 32, false, 30, 33},
    {"window of two tiles, long", {0, 300}, 300, 2, 2, 16, 16, false, 100, 70},
    {"no sequence", {0}, 5, 2, 2, 8, 8},
    {"no rows", {0, 0}, 0, 2, 2, 8, 8},
};

OpCall packed(const PackedSetup& s, DType t, Layout layout = Layout::row_major) {
  OpCall call{Op::sdpa_packed,
              {laid_out(random(t, {s.tokens, s.heads, s.size}, 1), layout), laid_out(random(t, {s.tokens, s.kv_heads, s.size}, 2), layout),
               laid_out(random(t, {s.tokens, s.kv_heads, s.value_size}, 3), layout), scalar(DType::f32, 0.3),
               Tensor::from_vector(s.starts, {static_cast<int64_t>(s.starts.size())})}};
  set_attention(call.attrs, s.causal, s.left, s.right, {});
  return call;
}

Cases sdpa_packed_cases(Op) {
  Cases cases;
  for (DType t : kFloats) {
    const std::string name = std::string(lazuli::name_of(t)) + " ";
    for (const PackedSetup& s : kPackedSetups) cases.push_back({name + s.label, packed(s, t), tolerance(t)});
    for (Layout layout : kLayouts)
      cases.push_back({name + name_of(layout), packed({"", {0, 2, 7}, 8, 4, 2, 16, 16}, t, layout), tolerance(t)});
  }
  return cases;
}
const RegisterCases kSdpaPackedCases({Op::sdpa_packed}, sdpa_packed_cases);

Cases sdpa_cases(Op) {
  Cases cases = cases_with(forward);
  for (DType t : kFloats) {
    const std::string name = std::string(lazuli::name_of(t)) + " ";
    for (const Setup& s : kPagedSetups) cases.push_back({name + s.label, forward(s, t), tolerance(t)});
    for (Layout layout : kLayouts) {
      const Setup s = paged(64, {"", 2, 4, 2, 5, 128, 16, 16, true, 100});
      cases.push_back({name + "pages " + name_of(layout), forward(s, t, layout), tolerance(t)});
    }
  }
  return cases;
}
const RegisterCases kSdpaCases({Op::sdpa}, sdpa_cases);
Cases sdpa_backward_cases(Op) { return cases_with(backward); }
const RegisterCases kSdpaBackwardCases({Op::sdpa_backward}, sdpa_backward_cases);

}  // namespace
}  // namespace lazuli::conformance
