#include "backend/cpu/gemm/onednn.h"

#include <dlfcn.h>

#include <dnnl.hpp>
#include <string_view>

#include "backend/cpu/gemm/emulated.h"
#include "lazuli/error.h"

namespace lazuli::cpu {

namespace {

using dnnl::memory;

const dnnl::engine& engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

/// How many threads the runtime of OpenMP gives the calling thread's regions. Asked for where oneDNN itself finds it: a link of our own
/// could bring a second runtime, with a team of its own, which oneDNN would not listen to.
struct OpenMp {
  int (*max_threads)() = nullptr;
  void (*set_threads)(int) = nullptr;
};

OpenMp find_openmp() {
  Dl_info onednn = {};
  if (dladdr(reinterpret_cast<const void*>(&dnnl_primitive_execute), &onednn) == 0 || onednn.dli_fname == nullptr) return {};
  // The library stays open as long as the process runs; this handle looks into it and what it is linked with, or into the whole program
  // where oneDNN is part of that.
  void* library = dlopen(onednn.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) library = dlopen(nullptr, RTLD_LAZY);
  if (library == nullptr) return {};
  return {reinterpret_cast<int (*)()>(dlsym(library, "omp_get_max_threads")),
          reinterpret_cast<void (*)(int)>(dlsym(library, "omp_set_num_threads"))};
}

const OpenMp& openmp() {
  static const OpenMp found = find_openmp();
  return found;
}

/// Primitives made or run meanwhile use this thread alone: what runs side by side is decided elsewhere.
class OneThread {
 public:
  OneThread() : threads_(openmp().max_threads()) { openmp().set_threads(1); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
  ~OneThread() { openmp().set_threads(threads_); }

 private:
  int threads_;
};

dnnl::matmul::primitive_desc describe(const memory::desc& a, const memory::desc& b, const memory::desc& c,
                                      const dnnl::primitive_attr& attr) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), a, b, c, attr, true};
#else
  return {dnnl::matmul::desc(a, b, c), attr, engine(), true};
#endif
}

class OneDnnBlock final : public BlockProduct {
 public:
  OneDnnBlock(const memory::desc& a, const memory::desc& b, const memory::desc& c, const dnnl::matmul::primitive_desc& description)
      : a_(a), b_(b), c_(c), scratch_(description.scratchpad_desc()), product_(description) {}
  size_t scratch_bytes() const override { return scratch_.get_size(); }
  void run(const void* a, const void* b, float* c, void* scratch) const override {
    const OneThread one;
    thread_local const dnnl::stream stream(engine());
    // The library takes operands that it only reads through pointers to non-const memory, too.
    const memory x(a_, engine(), const_cast<void*>(a)), w(b_, engine(), const_cast<void*>(b)), y(c_, engine(), c);
    const memory rest(scratch_, engine(), scratch);
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, x.get()}, {DNNL_ARG_WEIGHTS, w.get()}, {DNNL_ARG_DST, y.get()}, {DNNL_ARG_SCRATCHPAD, rest.get()}};
    if (dnnl_primitive_execute(product_.get(), stream.get(), 4, args) != dnnl_success) throw DeviceError("matmul: oneDNN failed");
  }

 private:
  memory::desc a_, b_, c_, scratch_;
  dnnl::matmul product_;
};

bool has_bf16_arithmetic() {
  // An instruction set's number has the bits of those that it includes.
  const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa()), needed = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (isa & needed) == needed;
}

}  // namespace

bool has_onednn_threads() { return openmp().max_threads != nullptr && openmp().set_threads != nullptr; }

std::shared_ptr<const BlockProduct> BlockProduct::make(const Shape& s) {
  if (emulated().bf16_blocks) return plain_block_product(s);
  static const bool fast = has_bf16_arithmetic() && has_onednn_threads();
  if (!fast) return nullptr;
  const OneThread one;
  const memory::desc a({s.rows, s.k}, memory::data_type::bf16, memory::dims{s.lda, 1});
  const memory::desc b({s.k, s.columns}, memory::data_type::bf16, memory::dims{s.b_row, s.b_column});
  const memory::desc c({s.rows, s.columns}, memory::data_type::f32, memory::dims{s.columns, 1});
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const auto description = describe(a, b, c, attr);
  // Other implementations take memory of their own at every call.
  if (!description || std::string_view(description.impl_info_str()).substr(0, 3) != "brg") return nullptr;
  return std::make_shared<OneDnnBlock>(a, b, c, description);
}

}  // namespace lazuli::cpu
