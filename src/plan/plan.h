// Defines Plan: the schedule and memory plan of one graph at given sizes on one device; immutable, without buffers of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/replays.h"
#include "lazuli/graph.h"

namespace lazuli {

/// Where an operand lies: an offset from one of the bases that a run supplies.
enum class Base : uint8_t { none, workspace, constant, input, scalar, output };
struct Location {
  Base base = Base::none;
  int32_t index = 0;   ///< which input, scalar, constant or output buffer
  int64_t offset = 0;  ///< bytes
};

struct Step {
  PreparedOp prepared;
  int32_t first_pointer = 0;  ///< in Plan::pointers: operands, then results
  int16_t n_inputs = 0;
  int16_t n_outputs = 0;
  int64_t scratch_offset = 0;  ///< in the workspace
  int32_t first_wait = 0;      ///< in Plan::waits: the steps that it follows where a device runs some side by side
  int32_t n_waits = 0;
  int32_t lane = 0;             ///< steps of one lane run one after the other
  int32_t unless_donated = -1;  ///< skipped when that output buffer was donated: it holds the data already
  double cost_ns = 0;           ///< rough, on one thread
  Op op{};
  std::string description;  ///< `[matmul] (2, 3) x (3, 4)` for errors and traces
  Where where;
};

/// Steps that may run at the same time.
struct Wave {
  int32_t first = 0;
  int32_t count = 0;
  double cost_ns = 0;
  bool parallel = false;  ///< worth the threads: more than one task and enough work
};

/// Memory that a run allocates for results; it outlives the run.
struct OutputBuffer {
  size_t bytes = 0;
  int32_t donor = -1;  ///< input whose memory is taken when that input was given up by its only owner
};

/// How result k is seen: a view of an output buffer, or of an input that is passed through.
struct ResultView {
  TensorSpec spec;
  Strides strides;
  int64_t offset = 0;  ///< bytes
  int32_t buffer = -1;
  int32_t input = -1;
};

struct Plan {
  Device device;
  std::vector<Step> steps;
  std::vector<Wave> waves;
  std::vector<Location> pointers;
  std::vector<int32_t> waits;
  std::vector<OutputBuffer> buffers;
  std::vector<ResultView> results;
  std::vector<Tensor> constants;
  int input_count = 0;
  int scalar_count = 0;
  size_t workspace_bytes = 0;
  size_t thread_scratch_bytes = 0;
  size_t output_bytes = 0;
  double cost_ns = 0;
  bool deterministic = false;  ///< made while that was on
  bool run_inline = false;     ///< so short that the caller's thread runs it
  size_t optimised_nodes = 0;
  std::shared_ptr<cuda::Replays> replays;  ///< of a CUDA device; null for others
  std::vector<Where> recorded_at;          ///< of each node but leaves of the captured graph that the plan was first made for

  /// Bytes that a run takes on top of its inputs.
  size_t peak_bytes() const { return workspace_bytes + output_bytes; }
  /// Memory that the plan itself holds (for the cache's bound).
  size_t footprint() const;
};

/// Schedules an optimised graph, chooses kernels and places all intermediates. `input_strides` as Capture::graph gives them.
Plan make_plan(const ComputationGraph& graph, Device device, const std::vector<Strides>& input_strides);

}  // namespace lazuli
