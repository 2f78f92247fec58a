// Checks that an explanation says what a run does: its graphs, fusions, kernels and memory.
#include "explain/explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/json.h"
#include "explain/memory_estimate.h"
#include "lazuli/error.h"
#include "lazuli/graph.h"
#include "lazuli/op.h"
#include "lazuli/train.h"
#include "support/temp_folder.h"
#include "support/tiny_llama.h"
#include "support/tiny_sentences.h"

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

TEST_F(Explain, TrainingListsTheLossThatTakesTheProductOver) {
  const Explanation e = explain(model_, nullptr, {.kind = WorkloadKind::train, .tokens = 16, .batch = 2}, {});
  EXPECT_THAT(fused_counts(e.stages.back().graph), testing::Contains(std::pair<std::string, int64_t>("linear_cross_entropy", 1)));
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
  EXPECT_FALSE(large.embed);
  EXPECT_EQ(large.generate->tokens, 128);
  EXPECT_EQ(large.finetune.tokens, 128);
  EXPECT_GT(large.generate->use.total(), small.generate->use.total());
  EXPECT_GT(large.finetune.use.total(), large.generate->use.total());
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

class ExplainEncoder : public testing::Test {
 protected:
  ExplainEncoder() {
    test::make_tiny_sentences(folder_.path("model"), "dense");
    model_ = EmbeddingModel::load(folder_.path("model"));
  }
  test::TempFolder folder_;
  std::shared_ptr<const EmbeddingModel> model_;
};

TEST_F(ExplainEncoder, AnEmbeddedBatchIsPlanned) {
  const Explanation e = explain(model_, nullptr, {.kind = WorkloadKind::embed, .tokens = 16, .batch = 3}, {});
  EXPECT_THAT(explanation_text(e), HasSubstr("embed of 3 x 16 tokens"));
  EXPECT_GT(e.memory.weights, static_cast<uint64_t>(model_->encoder().info().parameters) * 4);  // the dense layer's are not the encoder's
  EXPECT_EQ(e.memory.arguments, 3U * 16 * (4 + 4 + 3) + 4 * 4);  // ids, positions, what each text takes; starts
  EXPECT_EQ(e.memory.results, static_cast<uint64_t>(3 * model_->dimensions() * 4));
  EXPECT_EQ(JsonDocument::parse(explanation_json(e, true), "explanation").root().get("batch").as_int(), 3);
}

TEST_F(ExplainEncoder, TrainingIsPlannedAsTheTrainerRunsIt) {
  const Adapter adapter = Adapter::create(model_->encoder().linears(), {}, 1);
  const Explanation e = explain(model_, &adapter, {.kind = WorkloadKind::train, .tokens = 16, .batch = 2}, {});
  Trainer trainer(pair_objective(model_, PairLoss::contrastive), adapter, {});
  const Tensor ids = Tensor::zeros(DType::i32, {4, 16});
  Tensor mask = Tensor::zeros(DType::boolean, {4, 16});
  for (bool& there : mask.mutable_data<bool>()) there = true;
  trainer.step(std::vector<Tensor>{ids, mask, mask});
  EXPECT_EQ(e.plan.workspace_bytes, trainer.workspace_bytes());
}

TEST_F(ExplainEncoder, MemoryIsEstimatedForEmbeddingAndFineTuning) {
  const MemoryEstimate e = estimate_memory(model_, {}, {}), longer = estimate_memory(model_, {.batch = 8}, {});
  EXPECT_FALSE(e.generate);
  EXPECT_EQ(e.embed->tokens, 20);
  EXPECT_EQ(e.embed->batch, 32);
  EXPECT_EQ(e.finetune.tokens, 20);
  EXPECT_GT(longer.finetune.use.total(), e.finetune.use.total());
}

TEST_F(ExplainEncoder, WhatAModelDoesNotDoIsRefused) {
  const auto error = [](const AnyModel& model, WorkloadKind kind) {
    return test::message_of<ValueError>([&] { explain(model, nullptr, {.kind = kind, .tokens = 8}, {}); });
  };
  EXPECT_THAT(error(model_, WorkloadKind::decode), HasSubstr("embed or train is expected"));
  EXPECT_THAT(error(model_, WorkloadKind::prefill), HasSubstr("got prefill"));
}

TEST(OpChanges, AreListedFromTheLargestOn) {
  const auto graph = [](int64_t sums, int64_t negations, int64_t tangents) {
    GraphBuilder b;
    const Value x = b.input(DType::f32, {4});
    for (int64_t k = 0; k < sums; ++k) b.output(b.node(Op::add, {x, x}));
    for (int64_t k = 0; k < negations; ++k) b.output(b.node(Op::neg, {x}));
    for (int64_t k = 0; k < tangents; ++k) b.output(b.node(Op::tanh, {x}));
    return b.build();
  };
  const auto changes = op_changes(graph(1, 4, 0), graph(2, 1, 4));
  EXPECT_THAT(changes, testing::ElementsAre(std::pair<std::string, int64_t>("tanh", 4), std::pair<std::string, int64_t>("neg", -3),
                                            std::pair<std::string, int64_t>("add", 1)));
}

}  // namespace
}  // namespace lazuli
