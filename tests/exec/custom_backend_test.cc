// A third device that knows the contracts of Backend and DeviceMemory alone: memory that the host cannot read, and plans that run as a
// whole, by the reference backend's kernels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>

#include "backend/backend.h"
#include "backend/plan.h"
#include "lazuli/error.h"
#include "support/gradient_check.h"
#include "support/random_graph.h"
#include "support/temp_folder.h"
#include "tensor/device_memory.h"

namespace lazuli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr Device kCustom{DeviceKind::custom, 0};

/// Addresses that no process has: whoever reads them on the host ends the test.
constexpr uintptr_t kAway = uintptr_t{1} << 60;
void* away(void* p) { return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(p) + kAway); }
std::byte* here(const void* p) { return p != nullptr ? reinterpret_cast<std::byte*>(reinterpret_cast<uintptr_t>(p) - kAway) : nullptr; }

class AwayMemory final : public DeviceMemory {
 public:
  void* allocate(size_t bytes) override {
    void* const memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    const std::lock_guard lock(mutex_);
    kept_.insert(memory);
    return away(memory);
  }
  void release(void* memory) override {
    const std::lock_guard lock(mutex_);
    kept_.erase(here(memory));
    std::free(here(memory));
  }
  size_t total_bytes() const override { return size_t{1} << 30; }
  void upload(void* to, const void* from, size_t bytes) override { std::memcpy(here(to), from, bytes); }
  void upload_filled(void* to, size_t bytes, const Fill& fill) override { fill(here(to), 0, bytes); }
  void download(void* to, const void* from, size_t bytes) override { std::memcpy(to, here(from), bytes); }
  void* begin_read(const void* from, size_t bytes) override { return new std::vector<std::byte>(here(from), here(from) + bytes); }
  void end_read(void* read, void* to) override {
    const std::unique_ptr<std::vector<std::byte>> bytes(static_cast<std::vector<std::byte>*>(read));
    if (to != nullptr) std::memcpy(to, bytes->data(), bytes->size());
  }

 private:
  std::mutex mutex_;
  std::set<void*> kept_;  ///< for whoever looks for leaks: the pool's own pointers lead nowhere
};

class InTurn final : public PlanRunner {
 public:
  std::shared_ptr<PlanState> new_state() const override { return nullptr; }
  void run(const Plan& plan, const RunMemory& memory) const override {
    const size_t scalar_bytes = static_cast<size_t>(plan.scalar_count) * sizeof(uint64_t);
    const BufferRef lease = allocate_buffer(plan.workspace_bytes + plan.thread_scratch_bytes + 64, plan.device);
    const BufferRef scalars = allocate_buffer(scalar_bytes + 64, plan.device);
    if (scalar_bytes > 0) std::memcpy(here(scalars->data()), memory.scalars, scalar_bytes);
    auto* workspace = static_cast<std::byte*>(lease->data());
    std::vector<void*> table;
    for (const Location& l : plan.pointers) {
      table.push_back(here(address_of(l, plan, memory, workspace, static_cast<const uint64_t*>(scalars->data()))));
    }
    run_in_turn(plan, memory, table.data(), here(workspace), here(workspace + plan.workspace_bytes));
  }
};

class CustomBackend final : public Backend {
 public:
  std::string_view name() const override { return "custom"; }
  PreparedOp prepare(const KernelRequest& request) const override { return reference_backend().prepare(request); }
  const PlanRunner* runner() const override { return &runner_; }

 private:
  InTurn runner_;
};

DeviceMemory& open_memory(int /*index*/) {
  static AwayMemory* const memory = new AwayMemory;  // pools give memory back after static objects are gone
  return *memory;
}

const Backend& open_backend(int index) {
  static const CustomBackend backend;
  if (index != 0) throw DeviceError("there is one custom device");
  return backend;
}

void register_custom() {
  DeviceMemory::set(DeviceKind::custom, open_memory);
  register_backend(DeviceKind::custom, open_backend);
}

std::vector<Tensor> random_graph_on(Device device, uint32_t seed) {
  const test::OnDevice on(device);
  return eval(test::random_graph(seed, DType::f32).outputs);
}

TEST(CustomBackend, RunsGraphsThroughTheContractAlone) {
  register_custom();
  int computed = 0;  // an output may be a leaf, which stays where it is
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const auto got = random_graph_on(kCustom, seed), wanted = random_graph_on({DeviceKind::reference, 0}, seed);
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t k = 0; k < got.size(); ++k) {
      computed += got[k].device() == kCustom ? 1 : 0;
      const auto x = got[k].to(Device{}).to_vector<double>(), y = wanted[k].to_vector<double>();
      // Constants are folded on the CPU.
      for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], 1e-4 * (1 + test::largest(wanted[k]))) << "seed " << seed;
    }
  }
  EXPECT_GT(computed, 60);
}

TEST(CustomBackend, ErrorsNameTheOpAndThePlace) {
  register_custom();
  const test::OnDevice on(kCustom);
  const LazyTensor table = LazyTensor::zeros({3, 2}, DType::f32) + 1.0;
  const LazyTensor rows = gather(table, LazyTensor::from_tensor(Tensor::from_vector(std::vector<int32_t>{5}, {1})));
  EXPECT_THAT(test::message_of<ValueError>([&] { rows.eval(); }), AllOf(HasSubstr("gather"), HasSubstr("custom_backend_test.cc")));
}

TEST(CustomBackend, OthersOfItsKindAreNotThere) {
  register_custom();
  EXPECT_THROW(backend_for({DeviceKind::custom, 1}), DeviceError);
}

}  // namespace
}  // namespace lazuli
