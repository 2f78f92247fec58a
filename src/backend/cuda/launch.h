// Defines Launch, one kernel launch as data, and how the families of the cuda backend make them.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"

namespace lazuli::cuda {

/// What a pointer of a launch shows: an operand or result of the op by its number, or the step's scratch memory, from a byte on. A result
/// that nobody reads stays null.
struct Place {
  enum class Kind : uint8_t { input, output, scratch };
  Kind kind = Kind::input;
  int64_t number = 0;  ///< of the operand or result
  int64_t byte = 0;
  static Place input(size_t k, int64_t byte = 0) { return {Kind::input, static_cast<int64_t>(k), byte}; }
  static Place output(size_t k = 0, int64_t byte = 0) { return {Kind::output, static_cast<int64_t>(k), byte}; }
  static Place scratch(int64_t byte) { return {Kind::scratch, 0, byte}; }
};
void* resolve(const Place& place, const KernelArgs& args);

/// One launch: made without a device, so that it can be tested without one. Every kernel text has one entry, `run`, with one argument block
/// (kernels/prelude.cu: Params): the operands, the results, the step's scratch memory, and `sizes` as Params::n.
struct Launch {
  std::string source;
  std::array<uint32_t, 3> grid{1, 1, 1};
  uint32_t block = 256;
  uint32_t shared_bytes = 0;
  std::vector<int64_t> sizes;
  /// Params::in and Params::out; empty: the op's operands, the op's results.
  std::vector<Place> in, out;
  /// What Params' fail() means, for the error: "index", "target". Empty: the kernel cannot fail.
  std::string what_fails;
};

/// The text of a kernel: the prelude, names that stand for dtypes and numbers, then a file of kernels/ or generated code.
class KernelText {
 public:
  /// `type` becomes a type name of the kernel text.
  KernelText& type(std::string_view name, DType dtype);
  KernelText& number(std::string_view name, int64_t value);
  /// A list of floats, in braces.
  KernelText& numbers(std::string_view name, std::span<const float> values);
  /// The whole text for a request's numbers of operands and results. `file`: name in kernels/ without ending.
  std::string of_file(const KernelRequest& request, size_t sizes, std::string_view file) const;
  std::string of_body(const KernelRequest& request, size_t sizes, std::string_view body) const;

 private:
  std::string names_;
};

/// How the kernel texts spell a dtype.
std::string_view type_name(DType dtype);
/// The text of kernels/<name>.cu; throws GraphError when there is none.
std::string_view kernel_file(std::string_view name);

/// Blocks for a loop over `count` items, one a thread (or one a block with block = 1): enough to fill a card, at least 1.
uint32_t blocks_for(int64_t count, uint32_t block = 256, int64_t most = 132 * 16);
/// Threads that share a row of `count` elements: a multiple of 32, at most 1024.
uint32_t threads_for_row(int64_t count);

/// A launch of kernels/<file>.cu.
Launch launch_file(const KernelRequest& request, const KernelText& text, std::string_view file, std::vector<int64_t> sizes, uint32_t grid,
                   uint32_t block);

/// Memory that operands and results take, each counted once.
double bytes_of(const KernelRequest& request);

/// One phase: a launch, for use beside phases of other kinds.
Kernel make_kernel(const KernelRequest& request, Launch launch);
/// A prepared op that runs launches one after the other. `name`: static storage.
PreparedOp make_op(const KernelRequest& request, const char* name, std::vector<Launch> launches, double flops_per_element = 1);
/// The launch behind a kernel made by make_kernel, for tests and printers; null for a library call.
const Launch* launch_of(const Kernel& kernel);

/// Whether it is a launch whose text no device has compiled yet.
bool needs_compiling(const Kernel& kernel);

/// f64 data lives on the reference backend only. Throws DTypeError.
void refuse_f64(const KernelRequest& request);
/// Bit k set for each operand k of `which` (all by default) that is not row-major.
uint32_t strided_operands(const KernelRequest& request, uint32_t which = ~0u);
/// A prepared op that only asks for row-major operands.
PreparedOp ask_for_contiguous(uint32_t operands);

}  // namespace lazuli::cuda
