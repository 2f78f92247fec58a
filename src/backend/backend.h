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

/// What plans are scheduled by: rough times on one thread, in ns.
struct Scheduling {
  double ns_per_step = 60;
  double bytes_per_ns = 8;
  double flops_per_ns = 50;
  double inline_ns = 150e3;  ///< a plan below runs on the thread that asks for it
  double threads_ns = 8e3;   ///< a wave of steps above is shared among the host's threads
  size_t inline_steps = 6;   ///< where the device runs whole plans: up to so many are submitted by the thread that asks
};

struct Plan;
struct PlanState;
struct RunMemory;

/// Runs whole plans, for a device that does not leave their steps to the host's threads.
class PlanRunner {
 public:
  virtual ~PlanRunner() = default;
  /// For a new plan.
  virtual std::shared_ptr<PlanState> new_state() const = 0;
  /// Submits all steps and may return before they are done: results are there for whatever is submitted later, and copies to the host wait.
  /// Errors of the submission name the op; what goes wrong on the device itself is thrown by the next copy to the host.
  virtual void run(const Plan& plan, const RunMemory& memory) const = 0;
};

/// A device's way to compute. Implementations are stateless and thread-safe.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  virtual Scheduling scheduling() const { return {}; }
  /// Null: the host's threads run the steps, which must be able to read the device's memory.
  virtual const PlanRunner* runner() const { return nullptr; }
  /// Chooses kernels for an op. Throws DTypeError when the op does not support these dtypes on this backend.
  virtual PreparedOp prepare(const KernelRequest& request) const = 0;
  /// The public function of this name, for a weight on this backend's device; the weight itself where there is nothing to keep.
  virtual Tensor keep_packed(const Tensor& weight, bool /*in_file*/) const { return weight; }
};

using PrepareFn = PreparedOp (*)(const KernelRequest&);

const Backend& reference_backend();
const Backend& cpu_backend();
/// Prepares launches without a device; its runner needs one.
const Backend& cuda_backend();

/// The backend of device `index` of a kind; throws DeviceError where there is none.
using OpenBackend = const Backend& (*)(int index);
/// Makes a kind of device known. A device that the host cannot read also has a DeviceMemory.
void register_backend(DeviceKind kind, OpenBackend open);
/// Throws DeviceError for a device that is not there.
const Backend& backend_for(Device device);

}  // namespace lazuli
