// One row of the comparison that bench/run.py makes: `lazuli_rows NAME [THREADS [MODEL]]` prepares it, then answers every line on standard
// input with one JSON line: {"seconds": of one call, the least of several}. `lazuli_rows` alone lists the names.
// `lazuli_rows --tune PROFILE [THREADS]` looks for better numbers for this machine and writes them.
#include "rows.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/cpu/common/tuning.h"
#include "exec/team.h"
#include "lazuli/embed.h"
#include "lazuli/error.h"
#include "lazuli/future.h"
#include "lazuli/nn.h"
#include "lazuli/ops.h"
#include "lazuli/transforms.h"
#include "lazuli/weights.h"

namespace {

using lazuli::CompiledFunction;
using lazuli::LazyTensor;
using lazuli::Shape;
using lazuli::Tensor;
using lazuli::rows::Call;
using lazuli::rows::Row;
using lazuli::rows::seconds_of;

constexpr double kSampleSeconds = 0.25;

Tensor filled(const Shape& shape, float scale = 1) {
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  uint32_t x = 1;
  for (float& v : values) {
    x = x * 1664525u + 1013904223u;
    v = scale * (static_cast<float>(x >> 8) / static_cast<float>(1 << 24) - 0.5f);
  }
  return Tensor::from_vector(values, shape);
}
LazyTensor leaf(const Shape& shape, float scale = 1) { return LazyTensor::from_tensor(filled(shape, scale)); }

/// A call of a compiled function whose arguments stay.
Call compiled(lazuli::Function f, std::vector<Tensor> args) {
  struct Kept {
    CompiledFunction function;
    std::vector<Tensor> args, results;
  };
  auto kept = std::make_shared<Kept>(Kept{lazuli::compile(std::move(f)), std::move(args), {}});
  return [kept] { kept->function.call(kept->args, kept->results); };
}

/// 1,000 dependent additions, recorded and evaluated.
Call additions() {
  const LazyTensor x = leaf({64}), y = leaf({64});
  return [x, y] {
    LazyTensor sum = x;
    for (int k = 0; k < 1000; ++k) sum = sum + y;
    sum.eval();
  };
}

Call lora_delta(int64_t rows) {
  const LazyTensor x = leaf({rows, 512}), a = leaf({512, 8}), b = leaf({8, 512});
  return [x, a, b] { (matmul(matmul(x, a), b) * 2.0).eval(); };
}

Call lora_with_weight() {
  const LazyTensor x = leaf({1, 512}), w = leaf({512, 512}), a = leaf({512, 8}), b = leaf({8, 512});
  return [x, w, a, b] { (matmul(x, w) + matmul(matmul(x, a), b) * 2.0).eval(); };
}

Call softmax_of(const Shape& shape) {
  const LazyTensor x = leaf(shape);
  return [x] { softmax(x).eval(); };
}

Call rms_norm_of(const Shape& shape) {
  const LazyTensor x = leaf(shape), w = leaf({shape.back()});
  return [x, w] { rms_norm(x, w).eval(); };
}

Call cheap_chain() {
  const Shape shape{10'000'000};
  const LazyTensor x = leaf(shape), y = leaf(shape), z = leaf(shape);
  return [x, y, z] { (square(relu((x * y + z - x) * 0.5) * y) + z).eval(); };
}

Call costly_chain() {
  const LazyTensor x = leaf({1'000'000});
  return [x] { (tanh(reciprocal(exp(x * 0.5) + 1.0) * 2.0 - x) * x + 0.25).eval(); };
}

/// The weights of one transformer layer.
struct LayerSizes {
  int64_t tokens, hidden, heads, kv_heads, inner;
  bool llama;             ///< RMS norm, RoPE, gated feed-forward; else layer norm and GELU
  bool op_by_op = false;  ///< each operation is evaluated before the next is recorded: no plan of more than one
  int64_t head() const { return hidden / heads; }
};

LazyTensor heads_of(const LazyTensor& x, const LayerSizes& s, int64_t heads) {
  return transpose(reshape(x, {1, s.tokens, heads, s.head()}), 1, 2);
}

std::vector<LazyTensor> layer(std::span<const LazyTensor> a, const LayerSizes& s) {
  const LazyTensor& x = a[0];
  const auto op = [&](const LazyTensor& t) {
    if (s.op_by_op) t.eval();
    return t;
  };
  const auto norm = [&](const LazyTensor& v, size_t at) { return op(s.llama ? rms_norm(v, a[at]) : layer_norm(v, a[at], a[at + 1])); };
  const LazyTensor h = norm(x, 1);
  LazyTensor q = heads_of(op(matmul(h, a[3])), s, s.heads), k = heads_of(op(matmul(h, a[4])), s, s.kv_heads);
  const LazyTensor v = heads_of(op(matmul(h, a[5])), s, s.kv_heads);
  if (s.llama) {
    const LazyTensor zero = LazyTensor::scalar_int(0, lazuli::DType::i32);
    q = op(rope(q, a[11], a[12], zero));
    k = op(rope(k, a[11], a[12], zero));
  }
  lazuli::AttentionOptions options;
  options.causal = s.llama;
  const LazyTensor attended = op(scaled_dot_product_attention(q, k, v, 1 / std::sqrt(static_cast<double>(s.head())), options));
  const LazyTensor y = op(x + op(matmul(reshape(transpose(attended, 1, 2), {1, s.tokens, s.hidden}), a[6])));
  const LazyTensor g = norm(y, 7);
  const LazyTensor up = op(matmul(g, a[9]));
  const LazyTensor inner = op(s.llama ? op(silu(op(matmul(g, a[13])))) * up : gelu(up));
  return {op(y + op(matmul(inner, a[10])))};
}

Call layer_of(const LayerSizes& s) {
  const int64_t kv = s.kv_heads * s.head();
  const float w = 0.05f;
  std::vector<Tensor> args = {filled({1, s.tokens, s.hidden}),
                              filled({s.hidden}),
                              filled({s.hidden}),
                              filled({s.hidden, s.hidden}, w),
                              filled({s.hidden, kv}, w),
                              filled({s.hidden, kv}, w),
                              filled({s.hidden, s.hidden}, w),
                              filled({s.hidden}),
                              filled({s.hidden}),
                              filled({s.hidden, s.inner}, w),
                              filled({s.inner, s.hidden}, w),
                              filled({s.tokens, s.head() / 2}),
                              filled({s.tokens, s.head() / 2}),
                              filled({s.hidden, s.inner}, w)};
  for (Tensor& t : args) t = lazuli::keep_packed(t);
  if (s.op_by_op) {
    std::vector<LazyTensor> leaves;
    for (const Tensor& t : args) leaves.push_back(LazyTensor::from_tensor(t));
    return [s, leaves] { layer(leaves, s); };
  }
  return compiled([s](std::span<const LazyTensor> a) { return layer(a, s); }, std::move(args));
}

/// 32 steps of two LoRA layers, each on what the one before gave: every step awaited before the next is recorded, or all submitted and the
/// last one awaited.
Call lora_chain(bool async) {
  const lazuli::LoRALayer first(filled({8, 512}), filled({512, 8}), 16), second(filled({8, 512}), filled({512, 8}), 16);
  const LazyTensor x = leaf({64, 512});
  return [first, second, x, async] {
    LazyTensor y = x;
    lazuli::Future<Tensor> last;
    for (int step = 0; step < 32; ++step) {
      y = second.forward_lazy(first.forward_lazy(y));
      if (async) {
        last = y.eval_async();
      } else {
        y.eval();
      }
    }
    if (async) last.get();
  };
}

/// The lines of `MODEL/<row>.txt`, from text to vector by `MODEL/model`.
Call embedding(const std::string& row, const std::string& folder, lazuli::Quantization quantization = lazuli::Quantization::none) {
  std::ifstream file(folder + "/" + row + ".txt");
  std::vector<std::string> texts;
  for (std::string line; std::getline(file, line);) texts.push_back(line);
  if (texts.empty()) throw lazuli::IoError(folder + "/" + row + ".txt: texts are expected");
  const auto embedder =
      std::make_shared<lazuli::Embedder>(lazuli::EmbeddingModel::load(folder + "/model", lazuli::DType::f32, quantization));
  return [embedder, texts] { embedder->run(texts); };
}

constexpr LayerSizes qwen(int64_t tokens) { return {tokens, 896, 14, 2, 4864, true}; }
constexpr LayerSizes kBlock768 = {128, 768, 12, 12, 3072, false};
constexpr LayerSizes kBlock64 = {8, 64, 4, 4, 256, false};
constexpr LayerSizes op_by_op(LayerSizes s) {
  s.op_by_op = true;
  return s;
}

const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      {"add_1000", additions},
      {"lora_1x512", [] { return lora_delta(1); }},
      {"lora_w_512x512", lora_with_weight},
      {"lora_4096x512", [] { return lora_delta(4096); }},
      {"softmax_1x1024",
       [] {
         return softmax_of({1, 1024});
       }},
      {"softmax_128x4096",
       [] {
         return softmax_of({128, 4096});
       }},
      {"rms_norm_1x1024",
       [] {
         return rms_norm_of({1, 1024});
       }},
      {"rms_norm_128x4096",
       [] {
         return rms_norm_of({128, 4096});
       }},
      {"chain_cheap_1e7", cheap_chain},
      {"chain_costly_1e6", costly_chain},
      {"block_qwen_1", [] { return layer_of(qwen(1)); }},
      {"block_qwen_128", [] { return layer_of(qwen(128)); }},
      {"block_qwen_512", [] { return layer_of(qwen(512)); }},
      {"block_768_128", [] { return layer_of(kBlock768); }},
      {"block_64_8", [] { return layer_of(kBlock64); }},
      {"block_qwen_128_op_by_op", [] { return layer_of(op_by_op(qwen(128))); }},
      {"block_768_128_op_by_op", [] { return layer_of(op_by_op(kBlock768)); }},
      {"block_64_8_op_by_op", [] { return layer_of(op_by_op(kBlock64)); }},
      {"lora_chain", [] { return lora_chain(true); }},
      {"lora_chain_sync", [] { return lora_chain(false); }},
      {"minilm_100", {}, [](const std::string& model) { return embedding("minilm_100", model); }},
      {"minilm_1", {}, [](const std::string& model) { return embedding("minilm_1", model); }},
      {"minilm_100_int8", {}, [](const std::string& model) { return embedding("minilm_100", model, lazuli::Quantization::int8); }},
      {"minilm_1_int8", {}, [](const std::string& model) { return embedding("minilm_1", model, lazuli::Quantization::int8); }},
  };
  return all;
}

void serve(const Call& call) {
  for (int k = 0; k < 3; ++k) call();
  const double once = seconds_of(call, 1);
  const int64_t times = std::max<int64_t>(1, static_cast<int64_t>(kSampleSeconds / 5 / once));
  std::string line;
  while (std::getline(std::cin, line)) {
    double least = seconds_of(call, times);
    for (int k = 0; k < 4; ++k) least = std::min(least, seconds_of(call, times));
    std::printf("{\"seconds\": %.9g}\n", least);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "";
  try {
    if (const int at = name == "--tune" ? 3 : 2; argc > at) lazuli::set_thread_count(std::atoi(argv[at]));
    if (name == "--tune") return lazuli::rows::tune(rows(), argc > 2 ? argv[2] : lazuli::cpu::profile_path());
    for (const Row& row : rows()) {
      if (name.empty()) std::printf("%s\n", row.name);
      if (name != row.name) continue;
      serve(row.prepare_model ? row.prepare_model(argc > 3 ? argv[3] : ".") : row.prepare());
      return 0;
    }
    if (name.empty()) return 0;
    std::fprintf(stderr, "lazuli_rows: no row is called '%s'\n", name.c_str());
    return 2;
  } catch (const lazuli::Error& error) {
    std::fprintf(stderr, "lazuli_rows: %s\n", error.what());
    return 1;
  }
}
