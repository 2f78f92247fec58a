// Checks that an explanation says what a run does: its graphs, fusions, kernels and memory.
#include "explain/explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/json.h"
#include "explain/memory_estimate.h"
#include "lazuli/error.h"
#include "lazuli/train.h"
#include "support/temp_folder.h"
#include "support/tiny_llama.h"

namespace lazuli {
namespace {

using testing::HasSubstr;

class Explain : public testing::Test {
 protected:
  Explain() {
    folder_.write("config.json", test::kTinyLlamaConfig);
    save_safetensors(folder_.path("model.safetensors"), test::tiny_llama_weights());
    model_ = load_model(folder_.path());
  }
  Explanation decode() const { return explain(model_, nullptr, {.kind = WorkloadKind::decode, .tokens = 100}, {}); }
  static size_t count(const ComputationGraph& graph, Op op) {
    size_t n = 0;
    for (const GraphNode& node : graph.nodes) n += node.op == op ? 1 : 0;
    return n;
  }
  test::TempFolder folder_;
  std::shared_ptr<const LanguageModel> model_;
};

TEST_F(Explain, StagesGoFromTheRecordedGraphToThePlannedOne) {
  const Explanation e = decode();
  ASSERT_EQ(e.stages.size(), GraphOptimizer::standard().names().size() + 1);
  EXPECT_EQ(e.stages[0].name, "recorded");
  EXPECT_EQ(count(e.stages[0].graph, Op::linear), 0U);
  EXPECT_EQ(count(e.stages.back().graph, Op::linear), 14U);
  EXPECT_EQ(&stage_by_name(e, "final"), &e.stages.back());
  EXPECT_EQ(stage_by_name(e, "canonicalise.2").report.name, "canonicalise");
  EXPECT_THAT(test::message_of<ValueError>([&] { stage_by_name(e, "chain"); }), HasSubstr("chains"));
  for (const Stage& stage : e.stages) stage.graph.verify();
}

TEST_F(Explain, KernelsAddUpToTheSteps) {
  const Explanation e = decode();
  int64_t steps = 0;
  for (const KernelUse& k : kernel_uses(e.plan)) steps += k.count;
  EXPECT_EQ(steps, static_cast<int64_t>(e.plan.steps.size()));
}

TEST_F(Explain, RefusalsHaveReasons) {
  const Explanation e = explain(model_, nullptr, {.kind = WorkloadKind::train, .tokens = 16, .batch = 2}, {});
  size_t refusals = 0;
  for (const RefusalCount& r : refusal_counts(e)) {
    EXPECT_FALSE(r.reason.empty());
    refusals += static_cast<size_t>(r.count);
  }
  EXPECT_GT(refusals, 0U);
}

TEST_F(Explain, TrainingIsPlannedAsTheTrainerRunsIt) {
  LoRAConfig config;
  const Adapter adapter = Adapter::create(model_->linears(), config, 1);
  const Explanation e = explain(model_, &adapter, {.kind = WorkloadKind::train, .tokens = 16, .batch = 2}, {});
  Trainer trainer(model_, adapter, {});
  trainer.step(Tensor::zeros(DType::i32, {2, 17}));
  EXPECT_EQ(e.plan.workspace_bytes, trainer.workspace_bytes());
  const uint64_t tables = 2 * 128 * 16 * 4;  // cosines and sines of the rotary positions
  EXPECT_EQ(e.memory.weights, static_cast<uint64_t>(model_->info().parameters) * 4 + tables);
}

TEST_F(Explain, MoreContextTakesMoreMemory) {
  const MemoryEstimate small = estimate_memory(model_, {.context = 16}, {}), large = estimate_memory(model_, {}, {});
  EXPECT_EQ(large.context, 128);
  EXPECT_EQ(large.tokens, 128);
  EXPECT_GT(large.generate.total(), small.generate.total());
  EXPECT_GT(large.finetune.total(), large.generate.total());
  EXPECT_THROW(estimate_memory(model_, {.context = 129}, {}), ValueError);
}

TEST_F(Explain, JsonIsOneObjectWithTheGraphs) {
  const Explanation e = decode();
  const std::string text = explanation_json(e, true);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const JsonDocument document = JsonDocument::parse(text, "explanation");
  const JsonValue root = document.root();
  EXPECT_EQ(root.get("steps").as_array().size(), e.plan.steps.size());
  EXPECT_EQ(root.get("passes").as_array().size(), e.stages.size() - 1);
  EXPECT_GE(root.get("graphs").as_array().size(), 2U);
  EXPECT_FALSE(JsonDocument::parse(explanation_json(e, false), "explanation").root().find("graphs"));
}

TEST_F(Explain, PageStandsAlone) {
  const std::string page = explanation_html(decode());
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  for (const char* outside : {"http:", "https:", "src=", "<link", "@import"}) EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  const std::string mark = "type=\"application/json\">";
  const size_t begin = page.find(mark) + mark.size(), end = page.find("</script>", begin);
  const JsonDocument data = JsonDocument::parse(page.substr(begin, end - begin), "page");
  EXPECT_EQ(data.root().get("mode").as_string(), "decode");
}

TEST_F(Explain, SizesBeyondTheContextAreRefused) {
  EXPECT_THAT(test::message_of<ValueError>([&] { explain(model_, nullptr, {.kind = WorkloadKind::prefill, .tokens = 129}, {}); }),
              HasSubstr("1 to 128 tokens"));
}

}  // namespace
}  // namespace lazuli
