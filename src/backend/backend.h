// Defines the Backend contract: how an op with known shapes becomes kernels that run on ranges of tasks.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "lazuli/operation.h"
#include "lazuli/tensor.h"

namespace lazuli {

/// One operand or result of a kernel: what is known before memory is.
struct OperandSpec {
  DType dtype = DType::f32;
  Shape shape;
  Strides strides;  ///< in elements; results are always row-major
  bool contiguous = true;
  bool used = true;  ///< false: a result nobody reads; its pointer is null
};

/// Everything a backend may look at when it prepares an op.
struct KernelRequest {
  Op op;
  const Attrs& attrs;
  std::span<const OperandSpec> inputs;
  std::span<const OperandSpec> outputs;
  const ElementwiseProgram* program = nullptr;  ///< of fused_elementwise
};

/// Memory of one run of a kernel: pointers to the first element of each operand. `in[k]` equals `out[j]` only where PreparedOp allowed it.
struct KernelArgs {
  const void* const* in;
  void* const* out;
  void* scratch;         ///< PreparedOp::scratch_bytes, shared by all phases and tasks, 64-byte aligned
  void* thread_scratch;  ///< PreparedOp::thread_scratch_bytes of the calling thread, 64-byte aligned
};

/// A step: `tasks` independent pieces of work. How work is cut into tasks must not depend on the number of threads, so that results do not.
struct Kernel {
  /// Does tasks [begin, end). Throws typed errors (index out of range); must not allocate, lock or open a parallel region.
  using Run = void (*)(const void* state, const KernelArgs& args, int64_t begin, int64_t end);
  Run run = nullptr;
  std::shared_ptr<const void> state;
  int64_t tasks = 1;
};

struct PreparedOp {
  std::vector<Kernel> phases;  ///< run one after the other
  size_t scratch_bytes = 0;
  size_t thread_scratch_bytes = 0;
  /// Bit k: input k has strides this kernel cannot read; the planner copies it and prepares again.
  uint32_t needs_contiguous = 0;
  bool needs_all_contiguous = false;  ///< the same for every input, of which there may be more than 32
  /// Output j may take the memory of input in_place[j] when that input dies here and has the same size (element i is read before it is
  /// written); -1 or absent: none. For slice_update, page_update and the scatters the planner copies the input first when it lives on, and
  /// always passes in[0] == out[0].
  std::vector<int> in_place;
  bool takes_turns = false;  ///< the plan must not run beside another one
  double bytes = 0;          ///< memory read and written, for cost estimates and traces
  double flops = 0;
  const char* name = "";  ///< kernel name for traces, static storage

  bool needs_copies() const { return needs_contiguous != 0 || needs_all_contiguous; }
  bool needs_copy(size_t k) const { return needs_all_contiguous || (k < 32 && (needs_contiguous >> k & 1) != 0); }
};

/// A device's way to compute. Implementations are stateless and thread-safe.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  /// Chooses kernels for an op. Throws DTypeError when the op does not support these dtypes on this backend.
  virtual PreparedOp prepare(const KernelRequest& request) const = 0;
};

using PrepareFn = PreparedOp (*)(const KernelRequest&);

const Backend& reference_backend();
const Backend& cpu_backend();
/// Prepares launches without a device; they run inside a cuda::Runtime::Use.
const Backend& cuda_backend();
/// Throws DeviceError for a device that is not there.
const Backend& backend_for(Device device);

}  // namespace lazuli
