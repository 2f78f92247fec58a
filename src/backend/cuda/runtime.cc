#include "backend/cuda/runtime.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <thread>
#include <unordered_set>
#include <vector>

#include "backend/cuda/code_cache.h"
#include "backend/cuda/launch.h"
#include "lazuli/error.h"

namespace lazuli::cuda {

namespace {

thread_local Runtime* current_runtime = nullptr;
thread_local bool recording = false;
constexpr size_t kMostCompilers = 16;

/// Texts of the kernels that can report something; a kernel's number is its place here plus 1.
struct Reporters {
  std::mutex mutex;
  std::vector<std::string> texts;
};
Reporters& reporters() {
  static auto* const r = new Reporters;
  return *r;
}

uint64_t number_of(const std::string& what_fails) {
  if (what_fails.empty()) return 0;
  Reporters& r = reporters();
  const std::lock_guard lock(r.mutex);
  for (size_t k = 0; k < r.texts.size(); ++k) {
    if (r.texts[k] == what_fails) return k;
  }
  r.texts.push_back(what_fails);
  return r.texts.size() - 1;
}

DeviceMemory& open_memory(int index) { return Runtime::of(index); }
const bool registered = [] {
  DeviceMemory::set(DeviceKind::cuda, open_memory);
  return true;
}();

}  // namespace

DeviceFunction::DeviceFunction(const std::string& what_fails) : kernel_(number_of(what_fails)) {}

Runtime& Runtime::of(int index) {
  static std::mutex mutex;
  static auto* const open = new std::unordered_map<int, Runtime*>;
  static std::array<std::atomic<Runtime*>, 64> quick{};
  const auto slot = static_cast<size_t>(index);
  if (slot < quick.size()) {
    if (Runtime* r = quick[slot].load(std::memory_order_acquire)) return *r;
  }
  const std::lock_guard lock(mutex);
  Runtime*& runtime = (*open)[index];
  if (runtime == nullptr) {
    std::string problem;
    const int count = device_count(&problem);
    if (count == 0) throw DeviceError(fmt::format("device cuda:{} is not there: {}", index, problem));
    if (index < 0 || index >= count)
      throw DeviceError(fmt::format("device cuda:{} is not there: the driver sees {} of them", index, count));
    runtime = new Runtime(index);
    if (slot < quick.size()) quick[slot].store(runtime, std::memory_order_release);
  }
  return *runtime;
}

Runtime& Runtime::current() { return *current_runtime; }
Runtime::Use::Use(Runtime& runtime) : before_(current_runtime) { current_runtime = &runtime; }
Runtime::Use::~Use() { current_runtime = before_; }

Runtime::Runtime(int index) : api_(*library().api) {
  check(api_.device_info(index, &info_), "device");
  if (info_.major < 8) {
    throw DeviceError(fmt::format("device cuda:{} ({}) has compute capability {}.{}: 8.0 or later is needed", index, info_.name,
                                  info_.major, info_.minor));
  }
  check(api_.open(index, &device_), "device");
  architecture_ = fmt::format("sm_{}{}", info_.major, info_.minor);
  void* shared = nullptr;
  check(api_.allocate_shared(device_, sizeof(uint64_t), &shared, &report_on_device_), "device");
  report_ = static_cast<volatile uint64_t*>(shared);
  *report_ = 0;
}

void Runtime::check(int status, const char* what) const {
  if (status == LZ_OK) return;
  const std::string text = fmt::format("{} on {}: {}", what, info_.name, api_.last_error());
  if (status == LZ_OUT_OF_MEMORY) throw OutOfMemory(text);
  throw DeviceError(text);
}

void Runtime::check_reports() {
  const uint64_t word = *report_;
  if (word == 0) return;
  *report_ = 0;
  Reporters& r = reporters();
  const std::lock_guard lock(r.mutex);
  const uint64_t kernel = (word >> 32) - 1;
  const auto number = static_cast<int32_t>(static_cast<uint32_t>(word));
  throw ValueError(fmt::format("{} {} is out of range", kernel < r.texts.size() ? r.texts[kernel] : "index", number));
}

void* Runtime::allocate(size_t bytes) {
  void* memory = nullptr;
  const int status = api_.allocate(device_, bytes, &memory);
  if (status == LZ_OUT_OF_MEMORY) return nullptr;
  check(status, "allocate");
  return memory;
}

void Runtime::release(void* memory) {
  // A failure here repeats one that a run reports.
  static_cast<void>(api_.release(device_, memory));
}

void Runtime::upload(void* to, const void* from, size_t bytes) { check(api_.upload(device_, to, from, bytes), "copy to the device"); }

void Runtime::upload_filled(void* to, size_t bytes, const Fill& fill) {
  const auto call = [](void* context, void* piece, size_t offset, size_t size) {
    (*static_cast<const Fill*>(context))(piece, offset, size);
  };
  check(api_.upload_filled(device_, to, bytes, call, const_cast<Fill*>(&fill)), "copy to the device");
}

void Runtime::download(void* to, const void* from, size_t bytes) {
  check(api_.download(device_, to, from, bytes), "copy from the device");
  check_reports();
}

void* Runtime::begin_read(const void* from, size_t bytes) {
  LzRead* read = nullptr;
  check(api_.read_begin(device_, from, bytes, &read), "copy from the device");
  return read;
}

void Runtime::end_read(void* read, void* to) {
  const int status = api_.read_end(device_, static_cast<LzRead*>(read), to);
  if (to == nullptr) return;
  check(status, "copy from the device");
  check_reports();
}

void Runtime::synchronize() {
  check(api_.synchronize(device_), "synchronize");
  check_reports();
}

void* Runtime::function_of(const std::string& source) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = functions_.find(source); found != functions_.end()) return found->second;
  }
  LzLibraryInfo versions{};
  check(api_.library_info(&versions), "library");
  const std::string key = fmt::format("{} nvrtc {}\n{}", architecture_, versions.nvrtc_version, source);
  const CodeCache cache = CodeCache::of_user();
  std::vector<char> code = cache.find(key);
  if (code.empty()) {
    void* made = nullptr;
    size_t bytes = 0;
    check(api_.compile(source.c_str(), architecture_.c_str(), &made, &bytes), "compile");
    code.assign(static_cast<const char*>(made), static_cast<const char*>(made) + bytes);
    api_.free_code(made);
    cache.keep(key, {code.data(), code.size()});
  }
  void* function = nullptr;
  check(api_.load(device_, code.data(), &function), "load");
  // Two threads may have compiled the same text: the first one's function stays.
  const std::lock_guard lock(mutex_);
  return functions_.emplace(source, function).first->second;
}

void Runtime::prepare(std::span<const Kernel* const> kernels) {
  std::vector<const Kernel*> missing;
  std::unordered_set<std::string_view> texts;
  for (const Kernel* k : kernels) {
    if (needs_compiling(*k) && texts.insert(launch_of(*k)->source).second) missing.push_back(k);
  }
  std::atomic<size_t> next{0};
  const auto compile_some = [&] {
    for (size_t k = next++; k < missing.size(); k = next++) {
      try {
        static_cast<void>(function_of(launch_of(*missing[k])->source));
      } catch (const Error&) {
        continue;  // the launch says it, with the op's name
      }
    }
  };
  const size_t helpers = std::min<size_t>({missing.size(), std::thread::hardware_concurrency(), kMostCompilers});
  std::vector<std::thread> threads;
  for (size_t k = 1; k < helpers; ++k) threads.emplace_back(compile_some);
  compile_some();
  for (std::thread& t : threads) t.join();
}

void Runtime::prepare(const DeviceFunction& function, const Launch& launch) {
  if (function.function_.load(std::memory_order_acquire) == nullptr) {
    function.function_.store(function_of(launch.source), std::memory_order_release);
  }
}

void Runtime::launch(const DeviceFunction& function, const Launch& launch, std::span<const void* const> in, std::span<void* const> out,
                     void* scratch) {
  prepare(function, launch);
  // Params of kernels/prelude.cu, whose arrays have at least one entry.
  thread_local std::vector<uint64_t> words;
  words.clear();
  const auto add = [](const void* p) { words.push_back(reinterpret_cast<uint64_t>(p)); };
  for (const void* p : in) add(p);
  if (in.empty()) add(nullptr);
  for (const void* p : out) add(p);
  if (out.empty()) add(nullptr);
  add(scratch);
  add(report_on_device_);
  words.push_back(function.kernel_);
  for (const int64_t n : launch.sizes) words.push_back(static_cast<uint64_t>(n));
  if (launch.sizes.empty()) words.push_back(0);
  check(api_.launch(device_, function.function_.load(std::memory_order_relaxed), launch.grid.data(), launch.block, launch.shared_bytes,
                    words.data(), words.size() * sizeof(uint64_t)),
        "launch");
}

std::unique_ptr<ProductPlan> Runtime::make_product(const LzMatmul& spec) {
  LzMatmulPlan* plan = nullptr;
  check(api_.matmul_create(device_, &spec, &plan), "matmul");
  return std::make_unique<ProductPlan>(spec, plan, api_.matmul_destroy);
}

void Runtime::run_product(ProductPlan& plan, LzMatmulRun run) {
  run.alignment_log2 = alignment_of(run);
  if (!recording && !plan.settled[run.alignment_log2].load(std::memory_order_acquire)) choices_.settle(api_, device_, info_, plan, run);
  check(api_.matmul_run(device_, plan.plan, &run), "matmul");
}

void Runtime::begin_capture() {
  check(api_.capture_begin(device_), "capture");
  recording = true;
}

void Runtime::capture_after(std::span<const int32_t> marks, int lane) {
  check(api_.capture_after(device_, marks.data(), marks.size(), lane), "capture");
}

void Runtime::capture_mark() { check(api_.capture_mark(device_), "capture"); }

void* Runtime::end_capture() {
  recording = false;
  void* graph = nullptr;
  check(api_.capture_end(device_, &graph), "capture");
  return graph;
}

void Runtime::abandon_capture() {
  recording = false;
  static_cast<void>(api_.capture_end(device_, nullptr));
}

void Runtime::replay(void* graph) { check(api_.graph_launch(device_, graph), "launch"); }

}  // namespace lazuli::cuda
