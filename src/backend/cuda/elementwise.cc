// Elementwise ops and fused chains on the cuda backend: one generated kernel each, sizes as run-time numbers.
#include "backend/cuda/elementwise.h"

#include <fmt/format.h>

#include <algorithm>

#include "backend/backend.h"
#include "backend/cuda/generate.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/reduction.h"

namespace lazuli::cuda {

namespace {

constexpr int64_t kMost32 = int64_t{1} << 31;

/// The text of a kernel under construction.
struct Writer {
  const KernelRequest& request;
  const ElementwiseProgram& program;
  const Space& space;

  bool repeats(size_t k) const {
    return std::all_of(space.strides[k].begin(), space.strides[k].end(), [](int64_t s) { return s == 0; });
  }
  std::string_view in_type(size_t k) const { return type_name(request.inputs[k].dtype); }
  std::string_view out_type(size_t j) const { return type_name(request.outputs[j].dtype); }
  std::string_view value_type(size_t j) const { return wide_type(dtype_of_value(program, request.inputs, program.outputs[j])); }

  std::string hoisted() const {
    std::string text;
    for (size_t k = 0; k < program.inputs; ++k) {
      if (repeats(k)) text += fmt::format("  const auto x{0} = load<{1}>(p.in[{0}], 0);\n", k, in_type(k));
    }
    return text;
  }
  std::string declared_results() const {
    std::string text;
    for (size_t j = 0; j < program.outputs.size(); ++j) text += fmt::format("{} y{}; ", value_type(j), j);
    return text;
  }
  std::string call() const {
    std::string text = "element(";
    for (size_t k = 0; k < program.inputs; ++k) text += fmt::format("x{}, ", k);
    for (size_t j = 0; j < program.outputs.size(); ++j) text += fmt::format("{}y{}", j == 0 ? "" : ", ", j);
    return text + ");";
  }

  /// One element a turn; offsets from the run-time sizes: n[0] elements, then the dims, then each operand's strides.
  std::string single_loop(std::string_view index, std::string_view from) const {
    const int rank = space.rank();
    std::string text =
        fmt::format("  for ({0} i = {1}; i < static_cast<{0}>(p.n[0]); i += static_cast<{0}>(index_step())) {{\n", index, from);
    if (rank > 1) {
      text += fmt::format("    {} r = i;\n", index);
      for (size_t k = 0; k < program.inputs; ++k) {
        if (!repeats(k)) text += fmt::format("    i64 o{} = 0;\n", k);
      }
      for (int axis = rank - 1; axis >= 0; --axis) {
        text += fmt::format("    {{ const {0} d = static_cast<{0}>(p.n[{1}]); const {0} c = {2}; {3}", index, 1 + axis,
                            axis == 0 ? "r" : "r % d", axis == 0 ? "" : "r /= d; ");
        for (size_t k = 0; k < program.inputs; ++k) {
          if (!repeats(k)) text += fmt::format("o{} += static_cast<i64>(c) * p.n[{}]; ", k, 1 + rank + static_cast<int>(k) * rank + axis);
        }
        text += "}\n";
      }
    }
    for (size_t k = 0; k < program.inputs; ++k) {
      if (repeats(k)) continue;
      const std::string at = rank > 1 ? fmt::format("o{}", k) : fmt::format("static_cast<i64>(i) * p.n[{}]", 2 + k);
      text += fmt::format("    const auto x{0} = load<{1}>(p.in[{0}], {2});\n", k, in_type(k), at);
    }
    text += fmt::format("    {}{}\n", declared_results(), call());
    for (size_t j = 0; j < program.outputs.size(); ++j) {
      text += request.outputs[j].used ? fmt::format("    store<{1}>(p.out[{0}], i, y{0});\n", j, out_type(j)) : "";
    }
    return text + "  }\n";
  }

  /// Elements that one access of 16 bytes moves; 1 where operands are not row-major neighbours.
  int64_t pack() const {
    if (space.rank() != 1) return 1;
    size_t widest = 1;
    for (size_t k = 0; k < program.inputs; ++k) {
      if (repeats(k)) continue;
      if (space.strides[k][0] != 1) return 1;
      widest = std::max(widest, size_of(request.inputs[k].dtype));
    }
    for (const OperandSpec& o : request.outputs) widest = std::max(widest, size_of(o.dtype));
    return static_cast<int64_t>(16 / widest);
  }

  std::string packed_loop(std::string_view index, int64_t width) const {
    std::string aligned = "true", loads, unpack, results, stores;
    for (size_t k = 0; k < program.inputs; ++k) {
      if (repeats(k)) continue;
      aligned += fmt::format(" && reinterpret_cast<u64>(p.in[{}]) % sizeof(Pack<{},{}>) == 0", k, in_type(k), width);
      loads += fmt::format("      const auto a{0} = static_cast<const Pack<{1},{2}>*>(p.in[{0}])[g];\n", k, in_type(k), width);
      unpack += fmt::format("        const auto x{0} = widen(a{0}.v[w]);\n", k);
    }
    for (size_t j = 0; j < program.outputs.size(); ++j) {
      if (!request.outputs[j].used) continue;
      aligned += fmt::format(" && reinterpret_cast<u64>(p.out[{}]) % sizeof(Pack<{},{}>) == 0", j, out_type(j), width);
      loads += fmt::format("      Pack<{},{}> b{};\n", out_type(j), width, j);
      results += fmt::format("        b{0}.v[w] = narrow<{1}>(y{0});\n", j, out_type(j));
      stores += fmt::format("      static_cast<Pack<{1},{2}>*>(p.out[{0}])[g] = b{0};\n", j, out_type(j), width);
    }
    std::string text = fmt::format("  {0} first = static_cast<{0}>(first_index());\n  if ({1}) {{\n", index, aligned);
    text += fmt::format("    const {0} groups = static_cast<{0}>(p.n[0] / {1});\n", index, width);
    text += fmt::format("    for ({0} g = first; g < groups; g += static_cast<{0}>(index_step())) {{\n{1}", index, loads);
    text += fmt::format("#pragma unroll\n      for (int w = 0; w < {}; ++w) {{\n{}        {}{}\n{}      }}\n{}    }}\n", width, unpack,
                        declared_results(), call(), results, stores);
    return text + fmt::format("    first += groups * {};\n  }}\n", width);
  }

  std::string body() const {
    const std::string_view index = space.count < kMost32 ? "u32" : "i64";
    const int64_t width = pack();
    std::string text(kernel_file("elementwise"));
    text += element_function(program, request.inputs) + "KERNEL {\n" + hoisted();
    text += width > 1 ? packed_loop(index, width) + single_loop(index, "first")
                      : single_loop(index, fmt::format("static_cast<{}>(first_index())", index));
    return text + "}\n";
  }
};

std::vector<int> memory_to_take(const KernelRequest& request) {
  std::vector<int> taken;
  for (const OperandSpec& out : request.outputs) {
    int found = -1;
    for (size_t k = 0; k < request.inputs.size() && found < 0; ++k) {
      const OperandSpec& in = request.inputs[k];
      const bool free = std::find(taken.begin(), taken.end(), static_cast<int>(k)) == taken.end();
      if (free && in.contiguous && in.shape == out.shape && size_of(in.dtype) == size_of(out.dtype)) found = static_cast<int>(k);
    }
    taken.push_back(found);
  }
  return taken;
}

PreparedOp prepare_program(const KernelRequest& request, const ElementwiseProgram& program, const char* name) {
  refuse_f64(request);
  PreparedOp op = make_op(request, name, {elementwise_launch(request, program)}, static_cast<double>(program.code.size()));
  op.in_place = memory_to_take(request);
  return op;
}

}  // namespace

Launch elementwise_launch(const KernelRequest& request, const ElementwiseProgram& program) {
  const Space space = space_of(program.shape, request.inputs, ~uint64_t{0});
  const Writer writer{request, program, space};
  Launch launch;
  launch.sizes.push_back(space.count);
  launch.sizes.insert(launch.sizes.end(), space.dims.begin(), space.dims.end());
  if (space.rank() == 0) launch.sizes.push_back(1);
  for (const auto& strides : space.strides) {
    launch.sizes.insert(launch.sizes.end(), strides.begin(), strides.end());
    if (space.rank() == 0) launch.sizes.push_back(0);
  }
  launch.source = KernelText().of_body(request, launch.sizes.size(), writer.body());
  launch.grid = {blocks_for(space.count / std::max<int64_t>(1, writer.pack()) + 1), 1, 1};
  return launch;
}

PreparedOp prepare_elementwise(const KernelRequest& request) {
  const OperandSpec& out = request.outputs[0];
  return prepare_program(request, program_of(request.op, out.dtype, request.inputs.size(), out.shape), name_of(request.op).data());
}

PreparedOp prepare_fused_elementwise(const KernelRequest& request) {
  if (request.program->reduces) return prepare_program_reduction(request, *request.program, "fused_reduction");
  return prepare_program(request, *request.program, "fused_elementwise");
}

}  // namespace lazuli::cuda
