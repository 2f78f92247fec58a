#include <algorithm>
#include <atomic>
#include <memory>

#include "exec/executor.h"
#include "exec/run.h"
#include "exec/team.h"
#include "graph/capture.h"
#include "graph/recorded_call.h"
#include "lazuli/determinism.h"
#include "lazuli/transforms.h"
#include "plan/plan_cache.h"
#include "tensor/device_memory.h"

namespace lazuli {

namespace {

/// Where an input of the plan comes from: an argument of the call, or a value that the function closed over.
struct Binding {
  int32_t argument = -1;
  Tensor value;
};

/// One trace: a combination of argument dtypes and shapes.
struct Trace {
  std::vector<TensorSpec> arguments;
  std::shared_ptr<const Plan> plan;
  std::vector<Binding> inputs;
  std::vector<uint64_t> scalars;
  std::vector<Where> nodes_at;

  bool fits(std::span<const Tensor> args) const {
    if (args.size() != arguments.size() || plan->deterministic != deterministic()) return false;
    for (size_t k = 0; k < args.size(); ++k) {
      // An empty Tensor looks like a number of f32.
      if (!args[k].defined() || args[k].dtype() != arguments[k].dtype || !(args[k].shape() == arguments[k].shape)) return false;
    }
    return true;
  }

  MemoryNeed need() const {
    MemoryNeed need;
    const size_t threads = plan->run_inline ? 1 : static_cast<size_t>(thread_count());
    const size_t workspace = plan->workspace_bytes + plan->thread_scratch_bytes * threads;
    if (workspace > 0) need.workspace = allocated_bytes(workspace);
    for (const OutputBuffer& b : plan->buffers) {
      if (b.donor < 0) need.results += allocated_bytes(b.bytes);
    }
    return need;
  }
};

struct CallJob final : Job {
  void run() override {
    try {
      Executor& executor = Executor::of(plan->device);
      const std::lock_guard turn(executor.turn());
      execute(*plan, memory, &executor.team());
    } catch (...) {
      error = std::current_exception();
    }
    done.store(true, std::memory_order_release);
    done.notify_all();
  }
  const Plan* plan = nullptr;
  RunMemory memory;
  std::exception_ptr error;
  std::atomic<bool> done{false};
};

}  // namespace

struct CompiledFunction::Impl {
  Impl(Function f, Device d) : function(std::move(f)), device(d) {}

  Function function;
  Device device;
  std::vector<bool> donated_arguments;
  std::vector<std::unique_ptr<Trace>> traces;
  Trace* last = nullptr;
  // Scratch of a call.
  std::vector<const void*> inputs;
  std::deque<Tensor> moved;
  ResultMemory memory;

  bool donates(size_t k) const { return k < donated_arguments.size() && donated_arguments[k]; }

  Trace& find(std::span<Tensor> args) {
    if (last != nullptr && last->fits(args)) return *last;
    for (auto& t : traces) {
      if (t->fits(args)) return *(last = t.get());
    }
    std::vector<TensorSpec> specs;
    specs.reserve(args.size());
    for (size_t k = 0; k < args.size(); ++k) {
      if (!args[k].defined()) throw GraphError("compile: argument " + std::to_string(k) + " is an empty Tensor");
      specs.push_back({args[k].dtype(), args[k].shape()});
    }
    auto made = trace(std::move(specs));
    // A trace that is kept is not asked again.
    require_memory("[compile]", made->need(), device);
    traces.push_back(std::move(made));
    return *(last = traces.back().get());
  }

  const Trace& find_planned(std::span<const TensorSpec> specs) {
    for (auto& t : traces) {
      const bool same = t->plan->deterministic == deterministic();
      if (same && std::equal(specs.begin(), specs.end(), t->arguments.begin(), t->arguments.end())) return *t;
    }
    traces.push_back(trace({specs.begin(), specs.end()}));
    return *traces.back();
  }

  std::unique_ptr<Trace> trace(std::vector<TensorSpec> specs) const {
    auto t = std::make_unique<Trace>();
    t->arguments = std::move(specs);
    std::vector<CallArgument> arguments;
    arguments.reserve(t->arguments.size());
    for (size_t k = 0; k < t->arguments.size(); ++k) {
      arguments.push_back({t->arguments[k], donates(k)});
    }
    const RecordedCall call = record_call(function, arguments);
    Capture capture;
    ComputationGraph graph;
    std::vector<Strides> strides;
    {
      GraphReadGuard guard;
      capture.walk(call.edges);
      capture.copy_wheres(t->nodes_at);
      t->plan = PlanCache::global().find(capture, device);
      if (t->plan == nullptr) graph = capture.graph(&strides);
    }
    if (t->plan == nullptr) t->plan = PlanCache::global().make(capture, std::move(graph), std::move(strides), device);
    for (const Edge& e : capture.inputs()) {
      if (e.node->argument >= 0) {
        t->inputs.push_back({e.node->argument, {}});
      } else {
        e.node->wait();
        t->inputs.push_back({-1, e.node->value(e.out).to(device)});
      }
    }
    t->scalars.assign(capture.scalars().begin(), capture.scalars().end());
    return t;
  }

  const Tensor& input_tensor(const Trace& t, std::span<Tensor> args, size_t k) const {
    const Binding& b = t.inputs[k];
    return b.argument >= 0 ? args[static_cast<size_t>(b.argument)] : b.value;
  }

  void bind(const Trace& t, std::span<Tensor> args) {
    inputs.clear();
    // From the back: the pool gives back what it got last, so each copy finds its own place again and a recorded run can be replayed.
    while (!moved.empty()) moved.pop_back();
    for (size_t k = 0; k < t.inputs.size(); ++k) {
      const int32_t a = t.inputs[k].argument;
      if (a >= 0 && !args[static_cast<size_t>(a)].is_contiguous()) args[static_cast<size_t>(a)] = args[static_cast<size_t>(a)].contiguous();
      inputs.push_back(bring_to(input_tensor(t, args, k), device, moved).raw());
    }
  }

  void allocate(const Trace& t, std::span<Tensor> args) {
    memory.take(*t.plan, [&](size_t k) { return t.inputs[k].argument >= 0 ? &input_tensor(t, args, k) : nullptr; });
  }

  void run(const Trace& t) {
    const RunMemory bases{inputs.data(), t.scalars.data(), memory.pointers(), memory.donated(), t.nodes_at};
    if (t.plan->run_inline) {
      execute(*t.plan, bases, nullptr);
      return;
    }
    Executor& executor = Executor::of(device);
    std::unique_lock<std::mutex> turn;
    if (executor.on_own_thread()) {
      turn = std::unique_lock(executor.turn());
    } else if (on_host(device)) {
      turn = executor.free_turn();
    }
    if (turn) {
      execute(*t.plan, bases, &executor.team());
      return;
    }
    CallJob job;
    job.plan = t.plan.get();
    job.memory = bases;
    executor.submit(&job);
    job.done.wait(false, std::memory_order_acquire);
    if (job.error) std::rethrow_exception(job.error);
  }
};

CompiledFunction::CompiledFunction() = default;
CompiledFunction::CompiledFunction(Function f, Device device) : impl_(std::make_unique<Impl>(std::move(f), device)) {}
CompiledFunction::~CompiledFunction() = default;
CompiledFunction::CompiledFunction(CompiledFunction&&) noexcept = default;
CompiledFunction& CompiledFunction::operator=(CompiledFunction&&) noexcept = default;

std::vector<Tensor> CompiledFunction::operator()(std::vector<Tensor> args) {
  std::vector<Tensor> results;
  call(args, results);
  return results;
}

void CompiledFunction::call(std::span<Tensor> args, std::vector<Tensor>& results) {
  if (impl_ == nullptr) throw GraphError("compile: the CompiledFunction is empty");
  Impl& f = *impl_;
  Trace& t = f.find(args);
  f.bind(t, args);
  f.allocate(t, args);
  f.run(t);
  const Plan& plan = *t.plan;
  f.memory.collect(
      plan, [&](size_t k) -> const Tensor& { return f.input_tensor(t, args, k); }, results);
  for (size_t k = 0; k < plan.buffers.size(); ++k) {
    if (f.memory.donated()[k]) args[static_cast<size_t>(t.inputs[static_cast<size_t>(plan.buffers[k].donor)].argument)] = Tensor();
  }
  f.memory.release();
}

void CompiledFunction::donate(const std::vector<int>& argnums) {
  if (impl_ == nullptr) throw GraphError("compile: the CompiledFunction is empty");
  for (int a : argnums) {
    if (a < 0) throw ValueError("compile: donate: argument numbers are not negative");
    if (impl_->donated_arguments.size() <= static_cast<size_t>(a)) impl_->donated_arguments.resize(static_cast<size_t>(a) + 1);
    impl_->donated_arguments[static_cast<size_t>(a)] = true;
  }
  impl_->traces.clear();
  impl_->last = nullptr;
}

MemoryNeed CompiledFunction::plan(std::span<const TensorSpec> arguments) {
  if (impl_ == nullptr) throw GraphError("compile: the CompiledFunction is empty");
  return impl_->find_planned(arguments).need();
}

size_t CompiledFunction::workspace_bytes() const { return impl_ && impl_->last != nullptr ? impl_->last->plan->workspace_bytes : 0; }
size_t CompiledFunction::peak_bytes() const { return impl_ && impl_->last != nullptr ? impl_->last->plan->peak_bytes() : 0; }
size_t CompiledFunction::traces() const { return impl_ ? impl_->traces.size() : 0; }

CompiledFunction compile(Function f, Device device) { return {std::move(f), device}; }

}  // namespace lazuli
