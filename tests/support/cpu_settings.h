// Defines guards that change the CPU backend's settings for a test and restore them.
#pragma once

#include "backend/cpu/common/tuning.h"
#include "backend/cpu/gemm/emulated.h"
#include "exec/team.h"
#include "lazuli/plan_cache.h"

namespace lazuli {

/// So many threads.
class WithThreads {
 public:
  explicit WithThreads(int n) : before_(thread_count()) { set_thread_count(n); }
  WithThreads(const WithThreads&) = delete;
  WithThreads& operator=(const WithThreads&) = delete;
  ~WithThreads() { set_thread_count(before_); }

 private:
  int before_;
};

/// One number of the tuning, for what is planned meanwhile.
class WithTuned {
 public:
  WithTuned(int64_t cpu::Tuning::*number, int64_t value) : before_(cpu::tuning()) {
    cpu::Tuning now = before_;
    now.*number = value;
    cpu::set_tuning(now);
    clear_plan_cache();
  }
  WithTuned(const WithTuned&) = delete;
  WithTuned& operator=(const WithTuned&) = delete;
  ~WithTuned() {
    cpu::set_tuning(before_);
    clear_plan_cache();
  }

 private:
  cpu::Tuning before_;
};

/// Products by vectors alone, also where the processor has a matrix unit.
class WithoutMatrixUnit : public WithTuned {
 public:
  WithoutMatrixUnit() : WithTuned(&cpu::Tuning::matrix_unit_rows, 1 << 20) {}
};

/// Plain loops in place of what only some processors have, for what is planned meanwhile.
class WithEmulated {
 public:
  explicit WithEmulated(const cpu::Emulated& now) : before_(cpu::emulated()) { set(now); }
  WithEmulated(const WithEmulated&) = delete;
  WithEmulated& operator=(const WithEmulated&) = delete;
  ~WithEmulated() { set(before_); }

 private:
  static void set(const cpu::Emulated& now) {
    cpu::emulated() = now;
    clear_plan_cache();
  }
  cpu::Emulated before_;
};

}  // namespace lazuli
