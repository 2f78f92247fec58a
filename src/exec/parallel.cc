#include "exec/parallel.h"

#include <sched.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lazuli/error.h"

#ifndef LAZULI_STD_THREADS
// libgomp's entry points, called directly: clang would bind OpenMP pragmas to another runtime than the one that oneDNN uses.
extern "C" {
void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags);
int omp_get_thread_num(void);
void omp_set_num_threads(int threads);
void omp_set_dynamic(int on);
}
#endif

namespace lazuli {

namespace {

int available_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    const int n = CPU_COUNT(&set);
    if (n > 0) return n;
  }
  return 1;
}

std::atomic<int>& configured() {
  static std::atomic<int> n{available_processors()};
  return n;
}

}  // namespace

int thread_count() { return configured().load(std::memory_order_relaxed); }

void set_thread_count(int n) {
  if (n < 1 || n > 1024) throw ValueError("threads: " + std::to_string(n) + " is not between 1 and 1024");
  configured().store(n, std::memory_order_relaxed);
}

#ifdef LAZULI_STD_THREADS

namespace {

/// Helpers of one executor thread; they sleep between regions.
class Team {
 public:
  explicit Team(int helpers) {
    for (int k = 0; k < helpers; ++k) threads_.emplace_back([this, k] { work(k + 1); });
  }
  ~Team() {
    stop_.store(true);
    generation_.fetch_add(1);
    generation_.notify_all();
    for (std::thread& t : threads_) t.join();
  }
  int size() const { return static_cast<int>(threads_.size()) + 1; }
  void run(void (*body)(void*, int), void* context) {
    body_ = body;
    context_ = context;
    running_.store(static_cast<int>(threads_.size()));
    generation_.fetch_add(1);
    generation_.notify_all();
    body(context, 0);
    for (int n = running_.load(); n != 0; n = running_.load()) running_.wait(n);
  }

 private:
  void work(int thread) {
    for (unsigned seen = 0;;) {
      generation_.wait(seen);
      seen = generation_.load();
      if (stop_.load()) return;
      body_(context_, thread);
      if (running_.fetch_sub(1) == 1) running_.notify_all();
    }
  }
  std::vector<std::thread> threads_;
  std::atomic<unsigned> generation_{0};
  std::atomic<int> running_{0};
  std::atomic<bool> stop_{false};
  void (*body_)(void*, int) = nullptr;
  void* context_ = nullptr;
};

}  // namespace

void bind_team(int) {}

void parallel(int threads, void (*body)(void*, int), void* context) {
  if (threads <= 1) {
    body(context, 0);
    return;
  }
  thread_local std::unique_ptr<Team> team;
  if (!team || team->size() != threads) team = std::make_unique<Team>(threads - 1);
  team->run(body, context);
}

#else

namespace {

struct Call {
  void (*body)(void*, int);
  void* context;
};

void enter(void* data) {
  const auto* call = static_cast<const Call*>(data);
  call->body(call->context, omp_get_thread_num());
}

}  // namespace

void bind_team(int threads) {
  thread_local int bound = 0;
  if (bound == threads) return;
  omp_set_dynamic(0);
  omp_set_num_threads(threads);
  bound = threads;
}

void parallel(int threads, void (*body)(void*, int), void* context) {
  if (threads <= 1) {
    body(context, 0);
    return;
  }
  Call call{body, context};
  GOMP_parallel(enter, &call, static_cast<unsigned>(threads), 0);
}

#endif

}  // namespace lazuli
