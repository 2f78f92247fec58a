// Implements the recording of workloads.
#include "explain/workload.h"

#include <fmt/format.h>

#include <array>
#include <set>
#include <utility>

#include "exec/parallel.h"
#include "generate/decode_session.h"
#include "graph/capture.h"
#include "lazuli/error.h"
#include "lazuli/transforms.h"
#include "train/train_step.h"

namespace lazuli {

namespace {

constexpr std::array<std::string_view, 3> kNames = {"prefill", "decode", "train"};

struct Argument {
  TensorSpec spec;
  bool donated = false;
};

/// Calls `f` with placeholders, as `compile` does, and captures what it records.
void capture_function(const Function& f, const std::vector<Argument>& arguments, Workload& w) {
  std::vector<LazyTensor> handles;
  handles.reserve(arguments.size());
  for (size_t k = 0; k < arguments.size(); ++k) {
    const TensorSpec& spec = arguments[k].spec;
    handles.push_back(make_placeholder(static_cast<int32_t>(k), spec.dtype, spec.shape));
    handles.back().node()->donate = arguments[k].donated ? 1 : 0;
    w.argument_bytes += static_cast<uint64_t>(spec.shape.numel()) * size_of(spec.dtype);
  }
  const std::vector<LazyTensor> results = f(handles);
  std::vector<Edge> edges;
  edges.reserve(results.size());
  for (const LazyTensor& r : results) edges.push_back({r.checked(), r.out()});
  Capture capture;
  const GraphReadGuard guard;
  capture.walk(edges);
  w.graph = capture.graph(&w.input_strides);
  std::set<const void*> seen;
  for (const Edge& e : capture.inputs()) {
    if (e.node->argument >= 0 || !e.node->ready()) continue;
    const Tensor& value = e.node->value(e.out);
    if (seen.insert(value.raw()).second) w.weight_bytes += value.nbytes();
  }
}

void check_tokens(const ModelInfo& info, int64_t tokens) {
  if (tokens < 1 || (info.context > 0 && tokens > info.context)) {
    throw ValueError(fmt::format("{}: 1 to {} tokens are expected (the model's context), got {}", info.path, info.context, tokens));
  }
}

void record_forward(const std::shared_ptr<const LanguageModel>& model, const Adapter* adapter, Workload& w) {
  const ModelInfo& info = model->info();
  const WorkloadOptions& o = w.options;
  const bool prefill = o.kind == WorkloadKind::prefill;
  const int64_t capacity = cache_capacity(prefill ? std::max(o.capacity, o.tokens) : o.tokens);
  const Shape cache{1, info.kv_heads, capacity, info.head_size};
  std::vector<Argument> arguments = {{{DType::i32, Shape{1, prefill ? o.tokens : 1}}}, {{DType::i32, Shape{}}}, {{DType::i32, Shape{}}}};
  for (int64_t k = 0; k < 2 * info.layers; ++k) arguments.push_back({{info.dtype, cache}, true});
  auto context = adapter != nullptr ? std::make_shared<const AdapterContext>(*adapter) : nullptr;
  capture_function(decode_function(model, std::move(context)), arguments, w);
}

void record_training(const std::shared_ptr<const LanguageModel>& model, const Adapter* given, Workload& w) {
  const Adapter adapter = given != nullptr ? *given : Adapter::create(model->linears(), w.options.lora, 0);
  const std::vector<Tensor> factors = adapter.parameters();
  std::vector<Argument> arguments;
  for (int group = 0; group < 3; ++group) {
    for (const Tensor& t : factors) arguments.push_back({{DType::f32, t.shape()}, true});
  }
  arguments.push_back({{DType::i32, Shape{w.options.batch, w.options.tokens + 1}}});
  arguments.push_back({{DType::f32, Shape{}}});
  arguments.push_back({{DType::i32, Shape{}}});
  arguments.push_back({{DType::i64, Shape{}}});
  TrainConfig config;
  config.max_grad_norm = w.options.max_grad_norm;
  const auto objective = next_token_objective(model);
  capture_function([&](std::span<const LazyTensor> args) { return record_train_step(*objective, adapter, config, args); }, arguments, w);
}

}  // namespace

std::string_view name_of(WorkloadKind kind) { return kNames[static_cast<size_t>(kind)]; }

WorkloadKind parse_workload(std::string_view name) {
  for (size_t k = 0; k < kNames.size(); ++k) {
    if (kNames[k] == name) return static_cast<WorkloadKind>(k);
  }
  throw ValueError(fmt::format("[explain] one of {} is expected, got '{}'", fmt::join(kNames, ", "), name));
}

Workload record_workload(const std::shared_ptr<const LanguageModel>& model, const Adapter* adapter, const WorkloadOptions& options) {
  check_tokens(model->info(), options.tokens);
  Workload w;
  w.options = options;
  if (options.kind == WorkloadKind::train) {
    record_training(model, adapter, w);
  } else {
    record_forward(model, adapter, w);
  }
  return w;
}

Plan plan_workload(const Workload& workload, Device device, GraphOptimizer::Observer observer) {
  GraphOptimizer optimizer = GraphOptimizer::standard();
  optimizer.set_fold(fold_on(device));
  optimizer.set_observer(std::move(observer));
  ComputationGraph graph = workload.graph;
  optimizer.run(graph);
  return make_plan(graph, device, workload.input_strides);
}

MemoryUse memory_of(const Workload& workload, const Plan& plan) {
  MemoryUse use{workload.weight_bytes, workload.argument_bytes, plan.workspace_bytes, 0};
  use.workspace += plan.thread_scratch_bytes * static_cast<size_t>(thread_count());
  for (const OutputBuffer& b : plan.buffers) {
    if (b.donor < 0) use.results += b.bytes;
  }
  return use;
}

}  // namespace lazuli
