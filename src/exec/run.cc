#include "exec/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>

#include "base/trace.h"
#include "exec/profile.h"
#include "exec/shared_tasks.h"
#include "tensor/device_memory.h"

namespace lazuli {

namespace {

/// Everything that the threads of one wave share.
struct WaveJob {
  const Plan* plan;
  const Wave* wave;
  size_t phase;
  void** pointers;
  std::byte* workspace;
  std::byte* thread_scratch;
  const bool* donated;
  SharedTasks tasks;
  std::atomic<const Step*> failed{nullptr};
  std::exception_ptr error;
};

/// Does tasks [begin, end) of a wave's phase, counted across its steps in order.
void run_range(WaveJob& job, int64_t begin, int64_t end, std::byte* scratch) {
  for (int32_t k = 0; k < job.wave->count && begin < end; ++k) {
    const Step& step = job.plan->steps[static_cast<size_t>(job.wave->first + k)];
    if (job.phase >= step.prepared.phases.size()) continue;
    const Kernel& kernel = step.prepared.phases[job.phase];
    if (begin < kernel.tasks && !skipped(step, job.donated)) {
      try {
        kernel.run(kernel.state.get(), arguments(step, job.pointers, job.workspace, scratch), begin, std::min(end, kernel.tasks));
      } catch (...) {
        const Step* none = nullptr;
        if (job.failed.compare_exchange_strong(none, &step)) job.error = std::current_exception();
        return;
      }
    }
    begin = std::max<int64_t>(0, begin - kernel.tasks);
    end -= kernel.tasks;
  }
}

void wave_body(void* context, int thread) {
  auto& job = *static_cast<WaveJob*>(context);
  std::byte* scratch = job.thread_scratch + static_cast<size_t>(thread) * job.plan->thread_scratch_bytes;
  while (job.failed.load(std::memory_order_relaxed) == nullptr) {
    const SharedTasks::Range range = job.tasks.take(thread);
    if (range.begin == range.end) break;
    run_range(job, range.begin, range.end, scratch);
  }
}

class Run {
 public:
  Run(const Plan& plan, const RunMemory& memory, Team* team)
      : plan_(plan), memory_(memory), team_(team), threads_(team != nullptr ? thread_count() : 1) {
    if (team != nullptr && std::any_of(plan.waves.begin(), plan.waves.end(), [](const Wave& w) { return w.parallel; })) {
      team->attend(threads_);
    }
    const size_t bytes = plan.workspace_bytes + plan.thread_scratch_bytes * static_cast<size_t>(threads_);
    if (bytes > 0) {
      lease_ = allocate_buffer(bytes);
      workspace_ = static_cast<std::byte*>(lease_->data());
    }
    fill_pointers();
  }

  void all() {
    for (const Wave& wave : plan_.waves) {
      if (wave.count == 1 && skipped(plan_.steps[static_cast<size_t>(wave.first)], memory_.donated)) continue;
      if (wave.parallel && threads_ > 1) {
        parallel_wave(wave);
      } else {
        for (int32_t k = 0; k < wave.count; ++k) serial(plan_.steps[static_cast<size_t>(wave.first + k)]);
      }
    }
  }

 private:
  void fill_pointers() {
    thread_local std::vector<void*> table;
    if (table.size() < plan_.pointers.size()) table.resize(plan_.pointers.size());
    pointers_ = table.data();
    void** p = pointers_;
    for (const Location& l : plan_.pointers) *p++ = address_of(l, plan_, memory_, workspace_, memory_.scalars);
  }

  std::byte* scratch() const { return workspace_ + plan_.workspace_bytes; }

  /// When a wave begins, where somebody wants to know.
  static uint64_t begin_of_wave() {
    const bool wanted = trace::enabled.load(std::memory_order_relaxed) || profile::enabled.load(std::memory_order_relaxed);
    return wanted ? trace::now() : 0;
  }

  void serial(const Step& step) {
    if (skipped(step, memory_.donated)) return;
    const uint64_t begin = begin_of_wave();
    run_step(step, arguments(step, pointers_, workspace_, scratch()), plan_, memory_);
    if (begin != 0) note({&step, 1}, begin);
  }

  void parallel_wave(const Wave& wave) {
    const uint64_t begin = begin_of_wave();
    const Step& first = plan_.steps[static_cast<size_t>(wave.first)];
    const size_t phases = wave.count == 1 ? first.prepared.phases.size() : 1;
    for (size_t phase = 0; phase < phases; ++phase) {
      if (wave.count == 1 && first.prepared.phases[phase].tasks == 1) {
        const Kernel& kernel = first.prepared.phases[phase];
        try {
          kernel.run(kernel.state.get(), arguments(first, pointers_, workspace_, scratch()), 0, kernel.tasks);
        } catch (...) {
          rethrow_in(first, plan_, memory_.nodes_at);
        }
        continue;
      }
      parallel_phase(wave, phase);
    }
    if (begin != 0) note({&first, static_cast<size_t>(wave.count)}, begin);
  }

  void parallel_phase(const Wave& wave, size_t phase) {
    int64_t total = 0;
    for (int32_t k = 0; k < wave.count; ++k) {
      const Step& step = plan_.steps[static_cast<size_t>(wave.first + k)];
      if (phase < step.prepared.phases.size()) total += step.prepared.phases[phase].tasks;
    }
    WaveJob job{&plan_, &wave, phase, pointers_, workspace_, scratch(), memory_.donated, SharedTasks(total, threads_), {}, {}};
    team_->run(threads_, wave_body, &job);
    if (const Step* failed = job.failed.load()) {
      try {
        std::rethrow_exception(job.error);
      } catch (...) {
        rethrow_in(*failed, plan_, memory_.nodes_at);
      }
    }
  }

  static void note(std::span<const Step> steps, uint64_t begin) {
    if (profile::enabled.load(std::memory_order_relaxed)) profile::note(steps, trace::now() - begin);
    for (const Step& step : steps) {
      trace::span("kernel", name_of(step.op), begin,
                  fmt::format(R"("kernel":"{}","what":"{}","bytes":{:.0f},"flops":{:.0f})", step.prepared.name, step.description,
                              step.prepared.bytes, step.prepared.flops));
    }
  }

  const Plan& plan_;
  const RunMemory& memory_;
  Team* team_;
  int threads_;
  BufferRef lease_;
  std::byte* workspace_ = nullptr;
  void** pointers_ = nullptr;
};

}  // namespace

void execute(const Plan& plan, const RunMemory& memory, Team* team) {
  trace::Scope scope("run", "run");
  if (plan.runner != nullptr) {
    plan.runner->run(plan, memory);
  } else {
    Run(plan, memory, team).all();
  }
}

const Tensor& bring_to(const Tensor& t, Device device, std::deque<Tensor>& moved) {
  if (same_memory(t.device(), device)) return t;
  moved.push_back(t.to(device));
  return moved.back();
}

}  // namespace lazuli
