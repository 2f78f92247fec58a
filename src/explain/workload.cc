// Implements the recording of workloads.
#include "explain/workload.h"

#include <fmt/format.h>

#include <array>
#include <set>
#include <utility>

#include "embed/batches.h"
#include "exec/team.h"
#include "generate/chunks.h"
#include "generate/decode_pass.h"
#include "graph/capture.h"
#include "graph/recorded_call.h"
#include "lazuli/error.h"
#include "lazuli/optimize.h"
#include "train/train_step.h"

namespace lazuli {

namespace {

constexpr std::array<std::string_view, 4> kNames = {"prefill", "decode", "train", "embed"};

void capture_function(const Function& f, const std::vector<CallArgument>& arguments, Workload& w) {
  for (const CallArgument& a : arguments) w.argument_bytes += static_cast<uint64_t>(a.spec.shape.numel()) * size_of(a.spec.dtype);
  const RecordedCall call = record_call(f, arguments);
  Capture capture;
  const GraphReadGuard guard;
  capture.walk(call.edges);
  w.graph = capture.graph(&w.input_strides);
  std::set<const void*> seen;
  for (const Edge& e : capture.inputs()) {
    if (e.node->argument >= 0 || !e.node->ready()) continue;
    const Tensor& value = e.node->value(e.out);
    if (seen.insert(value.raw()).second) w.weight_bytes += value.nbytes();
  }
}

void check_options(const AnyModel& model, const WorkloadOptions& o) {
  const ModelInfo& info = model.info();
  const bool fits = o.kind == WorkloadKind::train || (o.kind == WorkloadKind::embed) == (model.embedding() != nullptr);
  if (!fits) {
    throw ValueError(fmt::format("{}: {} is expected of '{}', got {}", info.path,
                                 model.embedding() ? "embed or train" : "prefill, decode or train", info.architecture, name_of(o.kind)));
  }
  const int64_t context = model.context();
  if (o.tokens < 1 || (context > 0 && o.tokens > context)) {
    throw ValueError(fmt::format("{}: 1 to {} tokens are expected (the model's context), got {}", info.path, context, o.tokens));
  }
}

std::vector<CallArgument> as_arguments(std::span<const TensorSpec> specs) {
  std::vector<CallArgument> arguments;
  arguments.reserve(specs.size());
  for (const TensorSpec& spec : specs) arguments.push_back({spec});
  return arguments;
}

void record_forward(const std::shared_ptr<const LanguageModel>& model, const Adapter* adapter, Workload& w) {
  const WorkloadOptions& o = w.options;
  const bool prefill = o.kind == WorkloadKind::prefill;
  const int64_t capacity = cache_capacity(prefill ? std::max(o.capacity, o.tokens) : o.tokens);
  const DecodePass pass(model, SlotAdapters::shared(adapter != nullptr ? std::optional(*adapter) : std::nullopt));
  std::vector<TensorSpec> specs;
  pass.arguments(1, capacity, prefill ? o.tokens : 0).move_into(specs);
  std::vector<CallArgument> arguments = as_arguments(specs);
  for (const int k : pass.donated()) arguments[static_cast<size_t>(k)].donated = true;
  capture_function(pass, arguments, w);
}

void record_embedding(const std::shared_ptr<const EmbeddingModel>& model, const Adapter* adapter, Device device, Workload& w) {
  auto context = adapter != nullptr ? std::make_shared<const AdapterContext>(*adapter) : nullptr;
  const WorkloadOptions& o = w.options;
  if (packs_on(*model, device)) {
    const auto arguments = as_arguments(packed_batch_specs(o.batch, o.batch * o.tokens));
    return capture_function(packed_embedding_function(model, std::move(context)), arguments, w);
  }
  capture_function(embedding_function(model, std::move(context)), as_arguments(batch_specs(o.batch, o.tokens)), w);
}

void record_training(const AnyModel& model, const Adapter* given, Workload& w) {
  const WorkloadOptions& o = w.options;
  const Adapter adapter = given != nullptr ? *given : Adapter::of_zeros(model.linears(), o.lora);
  const std::vector<Tensor> factors = adapter.parameters();
  std::vector<CallArgument> arguments;
  for (int group = 0; group < 3; ++group) {
    for (const Tensor& t : factors) arguments.push_back({{DType::f32, t.shape()}, true});
  }
  std::vector<CallArgument> batch = {{{DType::i32, Shape{o.batch, o.tokens + 1}}}};
  if (model.embedding()) batch = as_arguments(batch_specs(2 * o.batch, o.tokens));
  arguments.insert(arguments.end(), batch.begin(), batch.end());
  arguments.push_back({{DType::f32, Shape{}}});
  arguments.push_back({{DType::i32, Shape{}}});
  arguments.push_back({{DType::i64, Shape{}}});
  TrainConfig config;
  config.max_grad_norm = o.max_grad_norm;
  const auto objective =
      model.embedding() ? pair_objective(model.embedding(), PairLoss::contrastive) : next_token_objective(model.language());
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

Workload record_workload(const AnyModel& model, const Adapter* adapter, const WorkloadOptions& options, Device device) {
  check_options(model, options);
  Workload w;
  w.options = options;
  if (options.kind == WorkloadKind::train) {
    record_training(model, adapter, w);
  } else if (options.kind == WorkloadKind::embed) {
    record_embedding(model.embedding(), adapter, device, w);
  } else {
    record_forward(model.language(), adapter, w);
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
