// Sums, means and extremes over axes on the cuda backend: one generated kernel, and a second one where a sum is cut in pieces. How it is
// cut depends on the sizes alone, so results are the same in every run; in deterministic runs not on how many results there are either.
#include "backend/cuda/reduction.h"

#include <fmt/format.h>

#include <algorithm>

#include "backend/backend.h"
#include "backend/cuda/generate.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/row_reduction.h"
#include "backend/cuda/thresholds.h"
#include "graph/ops/sum.h"
#include "lazuli/determinism.h"
#include "lazuli/op.h"

namespace lazuli::cuda {

namespace {

using threshold::reduction::kEnoughThreads;
using threshold::reduction::kMostPieces;
/// In deterministic runs: elements of a piece, until there are too many pieces; and threads that fold one. More elements that are zero
/// change no result then, so padding does not either.
using threshold::reduction::kFixedColumnPiece;
using threshold::reduction::kFixedPiece;
using threshold::reduction::kMostFixedPieces;
constexpr uint32_t kFixedThreads = 256;

struct Fold {
  static constexpr size_t kFirstDim = 4;  ///< after results, elements of each, pieces, elements of a piece

  const KernelRequest& request;
  const ElementwiseProgram& program;
  Space kept, folded;
  bool columns = false;  ///< a thread for each result instead of a block
  int64_t pieces = 1;
  int64_t length = 1;  ///< elements of a piece
  uint32_t threads_of_piece = 1;

  Fold(const KernelRequest& r, const ElementwiseProgram& p) : request(r), program(p) {
    const auto axes = static_cast<uint64_t>(p.axes);
    kept = space_of(p.shape, r.inputs, ~axes);
    folded = space_of(p.shape, r.inputs, axes);
    if (deterministic()) {
      cut_at_fixed_places();
    } else {
      cut_to_fill_the_card();
    }
  }

  void cut_to_fill_the_card() {
    int last = program.shape.rank() - 1;
    while (last >= 0 && program.shape[last] == 1) --last;
    columns = last >= 0 && (program.axes >> last & 1) == 0 && kept.count >= threshold::reduction::kFewestColumns;
    const int64_t threads = kept.count * (columns ? 1 : std::min<int64_t>(folded.count, 1024));
    const int64_t least = columns ? threshold::reduction::kColumnPiece : threshold::reduction::kPiece;  // elements that a piece folds
    if (threads < kEnoughThreads)
      pieces = std::clamp<int64_t>(std::min(folded.count / least, kEnoughThreads / std::max<int64_t>(1, threads)), 1, kMostPieces);
    length = (folded.count + pieces - 1) / pieces;
    threads_of_piece = threads_for_row(folded.count / pieces);
  }

  void cut_at_fixed_places() {
    const int last = program.shape.rank() - 1;
    columns = last >= 0 && (program.axes >> last & 1) == 0;
    const int64_t least = columns ? kFixedColumnPiece : kFixedPiece;
    length = std::max(least, (folded.count + kMostFixedPieces - 1) / kMostFixedPieces);
    pieces = std::max<int64_t>(1, (folded.count + length - 1) / length);
    threads_of_piece = kFixedThreads;
  }

  DType value_dtype() const { return dtype_of_value(program, request.inputs, program.outputs[0]); }
  std::string_view value_type() const { return wide_type(value_dtype()); }
  /// Means of integers are sums of floats.
  std::string accumulator() const {
    return std::string(program.reduction == Op::mean && !is_float(value_dtype()) ? "double" : value_type());
  }
  const char* combine() const { return program.reduction == Op::max ? "Larger()" : program.reduction == Op::min ? "Smaller()" : "Sum()"; }

  std::string neutral() const {
    if (program.reduction != Op::max && program.reduction != Op::min) return "0";
    const bool max = program.reduction == Op::max;
    switch (value_dtype()) {
      case DType::i64:
        return max ? "(-9223372036854775807ll - 1)" : "9223372036854775807ll";
      case DType::i32:
        return max ? "-2147483648ll" : "2147483647ll";
      case DType::i8:
        return max ? "-128" : "127";
      case DType::u8:
        return max ? "0" : "255";
      case DType::boolean:
        return max ? "0" : "1";
      default:
        return max ? "-infinity()" : "infinity()";
    }
  }

  std::string finished(std::string_view value) const {
    if (program.reduction == Op::mean) return fmt::format("{} / static_cast<{}>(p.n[1])", value, accumulator());
    return std::string(value);
  }

  /// Adds to the offsets `o<k>` those of number `of` in a space whose dims and strides start at n[first].
  std::string decode(const Space& space, std::string_view of, size_t first, std::string_view prefix, std::string_view indent) const {
    std::string text;
    const int rank = space.rank();
    if (rank > 1) text += fmt::format("{}i64 {}_rest = {};\n", indent, prefix, of);
    for (int axis = rank - 1; axis >= 0; --axis) {
      const std::string left = rank > 1 ? fmt::format("{}_rest", prefix) : std::string(of);
      const std::string coordinate = axis == 0 ? left : fmt::format("{} % p.n[{}]", left, first + static_cast<size_t>(axis));
      text += fmt::format("{}{{ const i64 c = {}; ", indent, coordinate);
      if (axis > 0) text += fmt::format("{} /= p.n[{}]; ", left, first + static_cast<size_t>(axis));
      for (size_t k = 0; k < program.inputs; ++k) {
        text += fmt::format("{}{} += c * p.n[{}]; ", prefix, k, first + static_cast<size_t>(rank) * (k + 1) + static_cast<size_t>(axis));
      }
      text += "}\n";
    }
    return text;
  }

  std::vector<int64_t> sizes() const {
    std::vector<int64_t> n = {kept.count, folded.count, pieces, length};
    for (const Space* s : {&kept, &folded}) {
      n.insert(n.end(), s->dims.begin(), s->dims.end());
      for (const auto& strides : s->strides) n.insert(n.end(), strides.begin(), strides.end());
    }
    return n;
  }

  std::string offsets(std::string_view prefix, std::string_view from, std::string_view indent) const {
    std::string text;
    for (size_t k = 0; k < program.inputs; ++k) {
      text += fmt::format("{}i64 {}{} = {};\n", indent, prefix, k, from.empty() ? "0" : fmt::format("{}{}", from, k));
    }
    return text;
  }

  /// Folds the elements r = begin, begin + step, ... of a piece into `sum`.
  std::string loop() const {
    const size_t folded_at = kFirstDim + kept.dims.size() * (1 + program.inputs);
    std::string text = fmt::format("    {0} sum = {1};\n    for (i64 r = begin; r < end; r += step) {{\n", accumulator(), neutral());
    text += offsets("f", "o", "      ") + decode(folded, "r", folded_at, "f", "      ");
    std::string call = "element(";
    for (size_t k = 0; k < program.inputs; ++k) call += fmt::format("load<{1}>(p.in[{0}], f{0}), ", k, type_name(request.inputs[k].dtype));
    text += fmt::format("      {} y; {}y);\n      sum = combine(sum, static_cast<{}>(y));\n    }}\n", value_type(), call, accumulator());
    return text;
  }

  std::string source() const {
    std::string text(kernel_file("elementwise"));
    text += element_function(program, request.inputs);
    text += fmt::format("KERNEL {{\n  const auto combine = {};\n", combine());
    text += "  const i64 length = p.n[3], piece = blockIdx.y;\n";
    text += "  const i64 stop = p.n[1] < (piece + 1) * length ? p.n[1] : (piece + 1) * length;\n";
    text +=
        columns
            ? "  const i64 begin = piece * length, end = stop, step = 1;\n  for (i64 o = first_index(); o < p.n[0]; o += index_step()) {\n"
            : "  const i64 begin = piece * length + threadIdx.x, end = stop, step = blockDim.x;\n"
              "  for (i64 o = blockIdx.x; o < p.n[0]; o += gridDim.x) {\n";
    text += offsets("o", "", "    ") + decode(kept, "o", kFirstDim, "o", "    ") + loop();
    if (!columns)
      text += fmt::format("    sum = block_reduce(sum, combine, static_cast<{}>({}));\n    if (threadIdx.x != 0) continue;\n",
                          accumulator(), neutral());
    text += pieces > 1 ? fmt::format("    static_cast<{}*>(p.scratch)[piece * p.n[0] + o] = sum;\n", accumulator())
                       : fmt::format("    store<{}>(p.out[0], o, {});\n", type_name(request.outputs[0].dtype), finished("sum"));
    return text + "  }\n}\n";
  }

  std::string second_source() const {
    return fmt::format(
        "KERNEL {{\n  const auto combine = {0};\n  for (i64 o = first_index(); o < p.n[0]; o += index_step()) {{\n    {1} sum = {2};\n"
        "    for (i64 s = 0; s < p.n[2]; ++s) sum = combine(sum, static_cast<const {1}*>(p.scratch)[s * p.n[0] + o]);\n"
        "    store<{3}>(p.out[0], o, {4});\n  }}\n}}\n",
        combine(), accumulator(), neutral(), type_name(request.outputs[0].dtype), finished("sum"));
  }

  size_t scratch_bytes() const { return pieces > 1 ? static_cast<size_t>(kept.count * pieces) * sizeof(int64_t) : 0; }
};

}  // namespace

PreparedOp prepare_program_reduction(const KernelRequest& request, const ElementwiseProgram& program, const char* name) {
  refuse_f64(request);
  const Fold fold(request, program);
  std::vector<Launch> launches(1);
  Launch& first = launches[0];
  first.sizes = fold.sizes();
  first.source = KernelText().of_body(request, first.sizes.size(), fold.source());
  first.block = fold.columns ? 128 : fold.threads_of_piece;
  first.grid = {fold.columns ? blocks_for(fold.kept.count, 128) : blocks_for(fold.kept.count, 1), static_cast<uint32_t>(fold.pieces), 1};
  if (fold.pieces > 1) {
    Launch second;
    second.sizes = first.sizes;
    second.source = KernelText().of_body(request, second.sizes.size(), fold.second_source());
    second.grid = {blocks_for(fold.kept.count), 1, 1};
    launches.push_back(std::move(second));
  }
  PreparedOp op = make_op(request, name, std::move(launches), static_cast<double>(program.code.size() + 1));
  op.scratch_bytes = fold.scratch_bytes();
  return op;
}

PreparedOp prepare_reduce(const KernelRequest& request) {
  if (request.op == Op::argmax || request.op == Op::logsumexp || request.op == Op::var) return prepare_row_reduction(request);
  ElementwiseProgram program = identity_program(request.inputs[0].shape);
  program.reduces = true;
  program.reduction = request.op;
  program.axes = request.attrs[attr::sum::axes];
  program.keepdims = request.attrs[attr::sum::keepdims] != 0;
  return prepare_program_reduction(request, program, name_of(request.op).data());
}

}  // namespace lazuli::cuda
