// Checks the training of adapters with a classification head against PEFT, and the reading of rows with labels.
#include "train/labelled.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "lazuli/error.h"
#include "lazuli/safetensors.h"
#include "support/temp_folder.h"
#include "support/tiny_reranker.h"

namespace lazuli {
namespace {

using test::message_of;
using test::TinyReranker;
using testing::AllOf;
using testing::DoubleNear;
using testing::HasSubstr;
using testing::Pointwise;

struct LabelCase {
  const char* name;
  LabelKind kind;
};

class LabelTraining : public testing::TestWithParam<LabelCase> {
 protected:
  std::vector<LabelledText> rows() const {
    std::vector<LabelledText> out;
    const std::vector<double> wanted = folder_.numbers("wanted");
    for (size_t k = 0; k < wanted.size(); ++k) out.push_back({folder_.query(), folder_.texts()[k], static_cast<float>(wanted[k])});
    return out;
  }
  Adapter first_adapter(const RerankModel& model) const {
    Adapter adapter = folder_.adapter(model.linears());
    adapter.train_whole(model.head(), {"classifier", "score"});
    return adapter;
  }
  std::vector<double> logits(std::shared_ptr<const RerankModel> model, const Adapter& adapter) const {
    const Labelled examples(*model, rows(), true, GetParam().kind, 0);
    const std::vector<int64_t> all = {0, 1, 2, 3, 4};
    const std::vector<Tensor> b = examples.batch(all);
    const AdapterContext context(adapter);
    const auto in = [&b](size_t k) { return LazyTensor::from_tensor(b[k]); };
    return model->logits({in(0), in(1), in(2), in(3), &context}).eval().to_vector<double>();
  }
  TinyReranker folder_{GetParam().name};
};

TEST_P(LabelTraining, FollowsPeftStepByStep) {
  const auto model = RerankModel::load(folder_.folder());
  TrainConfig config;
  config.learning_rate = folder_.expected().get("learning_rate").as_double();
  config.weight_decay = folder_.expected().get("weight_decay").as_double();
  config.max_grad_norm = folder_.expected().get("max_grad_norm").as_double();
  Trainer trainer(label_objective(model, GetParam().kind), first_adapter(*model), config);
  const Labelled examples(*model, rows(), true, GetParam().kind, 0);
  const int64_t size = folder_.expected().get("rows").as_int();
  const std::vector<double> losses = folder_.numbers("losses"), norms = folder_.numbers("grad_norms");
  for (size_t step = 0; step < losses.size(); ++step) {
    std::vector<int64_t> indices;
    for (int64_t k = 0; k < size; ++k) indices.push_back((static_cast<int64_t>(step) * size + k) % examples.count());
    const StepResult done = trainer.step(examples.batch(indices));
    EXPECT_NEAR(done.loss, losses[step], 1e-4) << step;
    EXPECT_NEAR(done.grad_norm, norms[step], 1e-3 * norms[step]) << step;
  }
  EXPECT_THAT(logits(model, trainer.adapter()), Pointwise(DoubleNear(1e-3), folder_.numbers("logits_after")));
}

TEST_P(LabelTraining, PeftsAdapterIsRead) {
  const auto model = RerankModel::load(folder_.folder());
  const Adapter adapter = Adapter::load(test::data_folder(std::string("rerankers/") + GetParam().name), model->linears(), model->head());
  EXPECT_EQ(adapter.whole().size(), 2U);
  EXPECT_THAT(logits(model, adapter), Pointwise(DoubleNear(1e-5), folder_.numbers("logits_after")));
}

TEST_P(LabelTraining, AnAdapterIsTheSameAfterItsFile) {
  const auto model = RerankModel::load(folder_.folder());
  Adapter adapter = first_adapter(*model);
  adapter.save(folder_.folder() + "/saved");
  const Adapter loaded = Adapter::load(folder_.folder() + "/saved", model->linears(), model->head());
  EXPECT_EQ(loaded.config().modules_to_save, (std::vector<std::string>{"classifier", "score"}));
  EXPECT_EQ(logits(model, loaded), logits(model, adapter));
  EXPECT_THAT(message_of<FormatError>([&] { Adapter::load(folder_.folder() + "/saved", model->linears()); }), HasSubstr("modules_to_save"));
}

INSTANTIATE_TEST_SUITE_P(All, LabelTraining,
                         testing::Values(LabelCase{"train-classes", LabelKind::classes},
                                         LabelCase{"train-relevance", LabelKind::relevance}),
                         [](const auto& c) { return c.param.kind == LabelKind::classes ? "classes" : "relevance"; });

TEST(NewHeads, AreMadeWhereTheFolderHasNoneAndDependOnTheSeed) {
  const TinyReranker folder("bert");
  std::map<std::string, Tensor> weights;
  {
    const Checkpoint stored = Checkpoint::open(folder.folder());
    for (const std::string& name : stored.names()) {
      if (!name.starts_with("classifier")) weights.emplace(name, stored.tensor(name).to(DType::f32));
    }
  }
  save_safetensors(folder.folder() + "/model.safetensors", weights);
  const auto numbers = [&](uint64_t seed) {
    const auto model = RerankModel::load(folder.folder(), DType::f32, Quantization::none, {4, seed});
    EXPECT_TRUE(model->has_new_head());
    EXPECT_EQ(model->labels(), 4);
    return model->head()[0].value.to_vector<float>();
  };
  EXPECT_EQ(numbers(1), numbers(1));
  EXPECT_NE(numbers(1), numbers(2));
  double squares = 0;
  for (const float v : numbers(1)) squares += static_cast<double>(v) * static_cast<double>(v);
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(numbers(1).size())), 0.02, 0.006);
}

class LabelledRows : public testing::Test {
 protected:
  LabelledSplit read(const std::string& rows, LabelKind kind = LabelKind::classes) {
    folder_.write("rows.jsonl", rows);
    return read_labelled(folder_.path("rows.jsonl"), kind, 3, 0, report_);
  }
  std::string error(const std::string& rows, LabelKind kind = LabelKind::classes) {
    return message_of<FormatError>([&] { read(rows, kind); });
  }
  test::TempFolder folder_;
  DataReport report_;
};

TEST_F(LabelledRows, OfTextsAndOfPairsAreReadAndATenthIsHeldOut) {
  std::string rows;
  for (int k = 0; k < 20; ++k) rows += R"({"text": "t)" + std::to_string(k) + R"(", "label": )" + std::to_string(k % 3) + "}\n";
  const LabelledSplit split = read(rows);
  EXPECT_FALSE(split.pairs);
  EXPECT_EQ(split.train.size(), 18U);
  EXPECT_EQ(split.validation.size(), 2U);
  const LabelledSplit pairs = read(R"({"query": "q", "passage": "p", "label": 0.5, "id": 1})", LabelKind::relevance);
  EXPECT_TRUE(pairs.pairs);
  EXPECT_EQ(pairs.train[0].label, 0.5F);
  EXPECT_THAT(report_.left_out_text(), HasSubstr("id"));
  EXPECT_EQ(read("{\"query\": \"q\", \"text\": \"p\", \"label\": 1}\n{\"query\": \"q\", \"text\": \"p\", \"label\": null}").train.size(),
            1U);
  EXPECT_EQ(most_label(folder_.path("rows.jsonl")), 1);
}

TEST_F(LabelledRows, ThatMeanNothingAreRefusedByRowAndColumn) {
  EXPECT_THAT(error(R"({"text": "a", "label": 3})"), AllOf(HasSubstr("rows.jsonl:1"), HasSubstr("from 0 to 2"), HasSubstr("got 3")));
  EXPECT_THAT(error(R"({"text": "a", "label": 0.5})"), HasSubstr("a whole number"));
  EXPECT_THAT(error(R"({"query": "q", "text": "a", "label": 2})", LabelKind::relevance), HasSubstr("from 0 to 1"));
  EXPECT_THAT(error(R"({"text": "a", "label": 1})", LabelKind::relevance), HasSubstr("query"));
  EXPECT_THAT(error("{\"text\": \"a\", \"label\": 1}\n{\"query\": \"q\", \"text\": \"a\", \"label\": 1}"), HasSubstr("same kind"));
  EXPECT_THAT(error(R"({"query": "q", "text": "a", "passage": "b", "label": 1})"), HasSubstr("got both"));
  EXPECT_THAT(error(R"({"label": 1})"), HasSubstr("\"text\""));
}

}  // namespace
}  // namespace lazuli
