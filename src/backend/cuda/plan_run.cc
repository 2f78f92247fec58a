// Runs plans on a CUDA device: launched kernel by kernel, or recorded once and replayed as a whole.
#include <fmt/format.h>

#include "backend/cuda/library/api.h"
#include "backend/cuda/replays.h"
#include "backend/cuda/runtime.h"
#include "backend/plan.h"
#include "base/trace.h"
#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli::cuda {

namespace {

/// Shorter plans are launched kernel by kernel.
constexpr size_t kWorthRecording = 4;
constexpr size_t kAlignment = 256;

static_assert(kLanes == LZ_LANES);

class CudaRun {
 public:
  CudaRun(const Plan& plan, const RunMemory& memory) : plan_(plan), memory_(memory), runtime_(Runtime::of(plan.device.index)) {
    const size_t scalars_at = (plan.workspace_bytes + kAlignment - 1) / kAlignment * kAlignment;
    const size_t scalar_bytes = static_cast<size_t>(plan.scalar_count) * sizeof(uint64_t);
    if (scalars_at + scalar_bytes > 0) {
      lease_ = allocate_buffer(scalars_at + scalar_bytes, plan.device);
      workspace_ = static_cast<std::byte*>(lease_->data());
      scalars_ = reinterpret_cast<uint64_t*>(workspace_ + scalars_at);
    }
    if (scalar_bytes > 0) runtime_.upload(scalars_, memory.scalars, scalar_bytes);
    fill_pointers();
  }

  void all() {
    const Runtime::Use use(runtime_);
    // A trace shows each kernel's own time, so nothing is replayed as a whole.
    if (plan_.steps.size() < kWorthRecording || tracing()) {
      launch_all();
      return;
    }
    fill_addresses();
    void* graph = nullptr;
    switch (replays().advise(addresses(), &graph)) {
      case Replays::Advice::launch:
        compile_all();
        launch_all();
        break;
      case Replays::Advice::record:
        record_and_run();
        break;
      case Replays::Advice::replay:
        runtime_.replay(graph);
        break;
    }
  }

 private:
  Replays& replays() const { return static_cast<Replays&>(*plan_.state); }

  static bool tracing() { return trace::enabled.load(std::memory_order_relaxed); }

  static std::vector<void*>& table() {
    thread_local std::vector<void*> pointers;
    return pointers;
  }
  static std::vector<uint64_t>& addresses() {
    thread_local std::vector<uint64_t> words;
    return words;
  }

  void fill_pointers() {
    table().clear();
    for (const Location& l : plan_.pointers) table().push_back(address_of(l, plan_, memory_, workspace_, scalars_));
  }

  /// Everything that the launches depend on besides the plan.
  void fill_addresses() {
    std::vector<uint64_t>& words = addresses();
    words.clear();
    for (const void* p : table()) words.push_back(reinterpret_cast<uint64_t>(p));
    words.push_back(reinterpret_cast<uint64_t>(workspace_));
    for (size_t k = 0; memory_.donated != nullptr && k < plan_.buffers.size(); ++k) words.push_back(memory_.donated[k] ? 1 : 0);
  }

  void compile_all() const {
    std::vector<const Kernel*> kernels;
    for (const Step& step : plan_.steps) {
      for (const Kernel& kernel : step.prepared.phases) kernels.push_back(&kernel);
    }
    runtime_.prepare(kernels);
  }

  void launch_all() const {
    for (const Step& step : plan_.steps) {
      if (!skipped(step, memory_.donated)) launch(step);
    }
  }

  void launch(const Step& step) const {
    const uint64_t begin = tracing() ? trace::now() : 0;
    run_step(step, arguments(step, table().data(), workspace_, nullptr), plan_, memory_);
    if (begin == 0) return;
    runtime_.synchronize();
    trace::span("kernel", name_of(step.op), begin,
                fmt::format(R"("kernel":"{}","what":"{}","bytes":{:.0f},"flops":{:.0f})", step.prepared.name, step.description,
                            step.prepared.bytes, step.prepared.flops));
  }

  /// What runs by launches must not fail for want of the little that a recording takes.
  void record_and_run() {
    void* graph = nullptr;
    try {
      graph = record();
    } catch (const OutOfMemory&) {
      launch_all();
      return;
    }
    runtime_.replay(graph);
    replays().keep(addresses(), graph);
  }

  void* record() const {
    runtime_.begin_capture();
    try {
      for (const Step& step : plan_.steps) {
        runtime_.capture_after({plan_.waits.data() + step.first_wait, static_cast<size_t>(step.n_waits)}, step.lane);
        if (!skipped(step, memory_.donated)) launch(step);
        runtime_.capture_mark();
      }
    } catch (...) {
      runtime_.abandon_capture();
      throw;
    }
    return runtime_.end_capture();
  }

  const Plan& plan_;
  const RunMemory& memory_;
  Runtime& runtime_;
  BufferRef lease_;
  std::byte* workspace_ = nullptr;
  uint64_t* scalars_ = nullptr;  ///< the device's copy
};

class Runner final : public PlanRunner {
 public:
  std::shared_ptr<PlanState> new_state() const override { return std::make_shared<Replays>(); }
  void run(const Plan& plan, const RunMemory& memory) const override { CudaRun(plan, memory).all(); }
};

}  // namespace

const PlanRunner& plan_runner() {
  static const Runner runner;
  return runner;
}

}  // namespace lazuli::cuda
