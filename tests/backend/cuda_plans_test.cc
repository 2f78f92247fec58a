// Compares what whole plans launch on a card with golden texts, without a card. After a change that is meant to be one,
// `LAZULI_WRITE_GOLDENS=1 build/release/bin/lazuli_tests --gtest_filter='CudaPlans*'` writes the texts again.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/launch.h"
#include "explain/workload.h"
#include "lazuli/op.h"
#include "lazuli/optimize.h"
#include "plan/plan.h"
#include "support/family_model.h"
#include "support/source_folder.h"

namespace lazuli {
namespace {

using Lines = std::vector<std::string>;

std::string kernels_of(const PreparedOp& op) {
  std::string text;
  for (const Kernel& kernel : op.phases) {
    if (!text.empty()) text += " + ";
    const cuda::Launch* l = cuda::launch_of(kernel);
    if (l == nullptr) {
      text += "library";
      continue;
    }
    text += fmt::format("{}x{}", l->grid[0], l->grid[1]);
    if (l->grid[2] != 1) text += fmt::format("x{}", l->grid[2]);
    text += fmt::format(" blocks of {}", l->block);
    if (l->shared_bytes != 0) text += fmt::format(" with {} bytes", l->shared_bytes);
  }
  return text;
}

/// A line for each step: its op and shapes, its kernels, its scratch memory, and whether a donated argument makes it needless.
Lines lines_of(const Plan& plan) {
  Lines lines = {fmt::format("{} steps, {} bytes of workspace", plan.steps.size(), plan.workspace_bytes)};
  for (const Step& step : plan.steps) {
    std::string line = fmt::format("{} | {}: {}", step.description, step.prepared.name, kernels_of(step.prepared));
    if (step.prepared.scratch_bytes != 0) line += fmt::format(" | scratch {}", step.prepared.scratch_bytes);
    if (step.unless_donated >= 0) line += " | unless donated";
    lines.push_back(std::move(line));
  }
  return lines;
}

Lines read_lines(const std::string& path) {
  std::ifstream file(path);
  Lines lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

/// What lies between the lines that both begin with and the lines that both end with.
std::string difference(const Lines& wanted, const Lines& got) {
  constexpr size_t kMost = 20;
  size_t begin = 0, same = 0;
  const size_t shorter = std::min(wanted.size(), got.size());
  while (begin < shorter && wanted[begin] == got[begin]) ++begin;
  while (begin + same < shorter && wanted[wanted.size() - 1 - same] == got[got.size() - 1 - same]) ++same;
  if (begin == wanted.size() && begin == got.size()) return {};
  std::string text = fmt::format("from line {} on:\n", begin + 1);
  const auto add = [&](char sign, const Lines& lines) {
    const size_t end = lines.size() - same;
    for (size_t k = begin; k < std::min(end, begin + kMost); ++k) text += fmt::format("{} {}\n", sign, lines[k]);
    if (end > begin + kMost) text += fmt::format("{} ({} lines more)\n", sign, end - begin - kMost);
  };
  add('-', wanted);
  add('+', got);
  return text;
}

/// A plan keeps constants on its card; here they are inputs, which kernels read alike.
Plan plan_without_card(const Workload& workload) {
  const Device device{DeviceKind::cuda, 0};
  GraphOptimizer optimizer = GraphOptimizer::standard();
  optimizer.set_fold(fold_on(device));
  ComputationGraph graph = workload.graph;
  optimizer.run(graph);
  for (GraphNode& node : graph.nodes) {
    if (node.op != Op::constant) continue;
    node.op = Op::input;
    node.attrs.i[0] = graph.input_count++;
    node.constant = Tensor();
  }
  return make_plan(graph, device, cuda_backend(), workload.input_strides);
}

void expect_golden(const std::string& name, DType dtype, const WorkloadOptions& options) {
  const AnyModel model = AnyModel::load(source_folder() + "/models/pycoder-16m", dtype);
  const Lines got = lines_of(plan_without_card(record_workload(model, nullptr, options)));
  const std::string path = fmt::format("{}/tests/data/cuda_plans/{}.txt", source_folder(), name);
  if (std::getenv("LAZULI_WRITE_GOLDENS") != nullptr) {
    std::ofstream file(path);
    for (const std::string& line : got) file << line << "\n";
    ASSERT_TRUE(file.flush().good()) << path;
    GTEST_SKIP() << path << " is written";
  }
  EXPECT_EQ(difference(read_lines(path), got), "") << path;
}

TEST(CudaPlans, ADecodingStepLaunchesThis) { expect_golden("decode_f32", DType::f32, {.kind = WorkloadKind::decode, .tokens = 512}); }

TEST(CudaPlans, ADecodingStepOf16BitsLaunchesThis) {
  expect_golden("decode_bf16", DType::bf16, {.kind = WorkloadKind::decode, .tokens = 512});
}

TEST(CudaPlans, AReadPromptLaunchesThis) { expect_golden("prefill_bf16", DType::bf16, {.kind = WorkloadKind::prefill, .tokens = 128}); }

TEST(CudaPlans, ATrainingStepLaunchesThis) {
  WorkloadOptions options{.kind = WorkloadKind::train, .tokens = 128, .batch = 2};
  options.lora.rank = 8;
  expect_golden("train_f32", DType::f32, options);
}

// Their operations have ranks and broadcasts that no other layers have.
TEST(CudaPlans, LayersOfLinearAttentionAndOfExpertsHaveKernelsForEveryStep) {
  const std::pair<const char*, int64_t> families[] = {{"qwen3_5", 128},    {"qwen3_5_moe", 128},      {"qwen3_next", 128},
                                                      {"qwen3_moe", 64},   {"gpt_oss", 64},           {"gemma4_moe", 64},
                                                      {"deepseek_v2", 64}, {"deepseek_v2_groups", 64}};
  for (const auto& [family, tokens] : families) {
    const test::FamilyModel files(family);
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const AnyModel model = AnyModel::load(files.folder(), dtype);
      for (const WorkloadKind kind : {WorkloadKind::decode, WorkloadKind::prefill, WorkloadKind::train}) {
        WorkloadOptions options{.kind = kind, .tokens = tokens, .batch = 2};
        options.lora.rank = 4;
        const Plan plan = plan_without_card(record_workload(model, nullptr, options));
        EXPECT_GT(plan.steps.size(), 20U) << family << " " << name_of(kind);
        for (const Step& step : plan.steps) EXPECT_FALSE(step.prepared.phases.empty()) << step.description;
      }
    }
  }
}

TEST(CudaPlans, ADifferenceShowsTheLinesThatChanged) {
  EXPECT_EQ(difference({"a", "b", "c"}, {"a", "b", "c"}), "");
  EXPECT_EQ(difference({"a", "b", "c"}, {"a", "x", "y", "c"}), "from line 2 on:\n- b\n+ x\n+ y\n");
  EXPECT_EQ(difference({"a"}, {"a", "b"}), "from line 2 on:\n+ b\n");
}

}  // namespace
}  // namespace lazuli
