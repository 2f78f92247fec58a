// Checks the evaluation of models: windows, loss from logits, and dumped logits.
#include "lazuli/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lazuli/error.h"
#include "lazuli/train.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"
#include "support/tiny_llama.h"

namespace lazuli {
namespace {

class Evaluate : public testing::Test {
 protected:
  void SetUp() override {
    folder_.write("config.json", test::kTinyLlamaConfig);
    save_safetensors(folder_.path("model.safetensors"), test::tiny_llama_weights());
    model_ = load_model(folder_.path());
    for (int32_t k = 0; k < 300; ++k) tokens_.push_back((k * k + 7 * k + 3) % 64);
  }
  /// Sum over the targets of one window.
  double window_loss(std::span<const int32_t> window) const {
    ForwardContext context;
    context.ids = LazyTensor::from_tensor(Tensor::from_slice(window, {1, static_cast<int64_t>(window.size())}));
    const auto logits = model_->forward(context).eval().to_vector<float>();
    double sum = 0;
    for (size_t t = 0; t + 1 < window.size(); ++t) {
      double total = 0;
      for (size_t k = 0; k < 64; ++k) total += std::exp(static_cast<double>(logits[t * 64 + k]));
      sum += std::log(total) - static_cast<double>(logits[t * 64 + static_cast<size_t>(window[t + 1])]);
    }
    return sum;
  }

  test::TempFolder folder_;
  std::shared_ptr<const LanguageModel> model_;
  std::vector<int32_t> tokens_;
};

TEST_F(Evaluate, IsTheMeanOverTheTargetsInsideOfWindows) {
  EvaluateOptions options;
  options.max_seq_length = 32;
  const EvaluateResult result = evaluate(*model_, nullptr, tokens_, options);
  double sum = 0;
  int64_t targets = 0;
  for (size_t at = 0; at < tokens_.size(); at += 32) {
    const auto window = std::span<const int32_t>(tokens_).subspan(at, std::min<size_t>(32, tokens_.size() - at));
    sum += window_loss(window);
    targets += static_cast<int64_t>(window.size()) - 1;
  }
  EXPECT_EQ(result.tokens, targets);
  EXPECT_NEAR(result.loss, sum / static_cast<double>(targets), 1e-5);
  EXPECT_NEAR(result.perplexity, std::exp(result.loss), 1e-9);
}

TEST_F(Evaluate, WindowsAreAtMostTheContext) {
  // 300 tokens in windows of 128, 128 and 44.
  EXPECT_EQ(evaluate(*model_, nullptr, tokens_).tokens, 297);
}

TEST_F(Evaluate, AnAdapterThatChangesNothingGivesTheSameLoss) {
  const Adapter adapter = Adapter::create(model_->linears(), {}, 1);
  EXPECT_NEAR(evaluate(*model_, &adapter, tokens_).loss, evaluate(*model_, nullptr, tokens_).loss, 1e-6);
}

TEST_F(Evaluate, DumpedLogitsAreThoseOfTheWindows) {
  EvaluateOptions options;
  options.max_seq_length = 100;
  options.dump_logits = folder_.path("logits.safetensors");
  const EvaluateResult result = evaluate(*model_, nullptr, std::span<const int32_t>(tokens_).first(150), options);
  EXPECT_EQ(result.tokens, 99 + 49);
  const auto file = SafetensorsFile::open(options.dump_logits);
  EXPECT_EQ(file.names().size(), 4U);
  EXPECT_EQ(file.info("logits.0").shape, (Shape{100, 64}));
  EXPECT_EQ(file.info("logits.1").shape, (Shape{50, 64}));
  EXPECT_EQ(file.tensor("ids.1").to_vector<int32_t>(), std::vector<int32_t>(tokens_.begin() + 100, tokens_.begin() + 150));
}

TEST_F(Evaluate, ProgressReachesTheEnd) {
  EvaluateOptions options;
  int64_t last = 0;
  options.on_progress = [&](int64_t done, int64_t total) {
    EXPECT_GT(done, last);
    EXPECT_EQ(total, 300);
    last = done;
  };
  evaluate(*model_, nullptr, tokens_, options);
  EXPECT_EQ(last, 300);
}

TEST_F(Evaluate, TooFewOrUnknownTokensAreRefused) {
  EvaluateOptions options;
  const auto error = [&](const std::vector<int32_t>& tokens) {
    return test::message_of<ValueError>([&] { evaluate(*model_, nullptr, tokens, options); });
  };
  EXPECT_EQ(error({}), "[evaluate] at least 2 tokens are expected, got 0");
  EXPECT_EQ(error({1}), "[evaluate] at least 2 tokens are expected, got 1");
  EXPECT_EQ(error({1, 64}), "[evaluate] token 64 is not below the vocabulary size 64");
  EXPECT_EQ(error({-1, 1}), "[evaluate] token -1 is not below the vocabulary size 64");
  options.max_seq_length = 1;
  EXPECT_EQ(error({1, 2}), "[evaluate] max_seq_length of at least 2 is expected, got 1");
}

TEST_F(Evaluate, TheSmallestTextsAndWindowsAreMeasured) {
  EvaluateOptions options;
  const std::vector<int32_t> two = {0, 63};
  EXPECT_EQ(evaluate(*model_, nullptr, two).tokens, 1);
  options.max_seq_length = 2;
  const std::vector<int32_t> five = {0, 63, 5, 6, 7};
  const EvaluateResult pairs = evaluate(*model_, nullptr, five, options);
  EXPECT_EQ(pairs.tokens, 2);
  const auto window = [&](size_t at, size_t size) { return window_loss(std::span<const int32_t>(five).subspan(at, size)); };
  EXPECT_NEAR(pairs.loss, (window(0, 2) + window(2, 2)) / 2, 1e-5);
  // A last window of one token has nothing to predict.
  EXPECT_EQ(evaluate(*model_, nullptr, std::span<const int32_t>(tokens_).first(129)).tokens, 127);
  EXPECT_EQ(evaluate(*model_, nullptr, std::span<const int32_t>(tokens_).first(130)).tokens, 128);
  EXPECT_EQ(evaluate(*model_, nullptr, std::span<const int32_t>(tokens_).first(128)).tokens, 127);
}

TEST_F(Evaluate, WindowsToTrainOnHavePaddingAtTheirEndsOnly) {
  const auto objective = next_token_objective(model_);
  const auto check = [&](const std::vector<int32_t>& ids, const Shape& shape) {
    objective->check(std::vector<Tensor>{Tensor::from_vector(ids, shape)});
  };
  EXPECT_NO_THROW(check({0, 63}, {1, 2}));
  EXPECT_NO_THROW(check({0, -100, 63, 5}, {2, 2}));
  EXPECT_NO_THROW(check({0, -100, -100, 63, 5, -100}, {2, 3}));
  for (const std::vector<int32_t>& ids :
       {std::vector<int32_t>{-100, 1, 2}, {-100, -100, -100}, {1, -100, 2}, {1, 2, 64}, {-1, 1, 2}, {1, 2, -99}}) {
    EXPECT_THAT(test::message_of<ValueError>([&] {
                  check(ids, {1, 3});
                }),
                testing::HasSubstr("[train] ids: 0 to 63, or -100 at the end of a row, is expected, got "));
  }
  for (const Shape& shape : {Shape{3}, Shape{3, 1}, Shape{1, 3, 1}}) {
    EXPECT_THAT(test::message_of<ShapeError>([&] { check({1, 2, 3}, shape); }), testing::HasSubstr("(batch, tokens + 1) is expected"));
  }
  EXPECT_THAT(test::message_of<DTypeError>([&] {
                objective->check(std::vector<Tensor>{Tensor::zeros(DType::f32, {1, 2})});
              }),
              testing::HasSubstr("[train] ids: i32 is expected, got f32"));
}

TEST_F(Evaluate, EveryDocumentEndsWithTheEndOfText) {
  folder_.write("data/a.txt", "x = 1\n");
  folder_.write("data/b.txt", "y = 2\n");
  const Tokenizer tokenizer = Tokenizer::load(source_folder() + "/models/pycoder-16m");
  std::vector<int32_t> expected;
  for (const char* text : {"x = 1\n", "y = 2\n"}) {
    for (int32_t id : tokenizer.encode(text)) expected.push_back(id);
    expected.push_back(0);
  }
  EXPECT_EQ(read_tokens(folder_.path("data"), tokenizer, 0), expected);
}

/// A model that says another context than the one it passes calls to.
class OfContext : public LanguageModel {
 public:
  OfContext(std::shared_ptr<const LanguageModel> model, int64_t context) : model_(std::move(model)) {
    info_ = model_->info();
    info_.context = context;
  }
  LazyTensor hidden(ForwardContext& context) const override { return model_->hidden(context); }
  std::vector<LayerState> states() const override { return model_->states(); }
  LazyTensor logits(const LazyTensor& hidden) const override { return model_->logits(hidden); }

 private:
  std::shared_ptr<const LanguageModel> model_;
};

TEST_F(Evaluate, AContextThatIsNotKnownBoundsNothing) {
  EvaluateOptions options;
  options.max_seq_length = 32;
  EXPECT_EQ(evaluate(OfContext(model_, 0), nullptr, tokens_, options).loss, evaluate(*model_, nullptr, tokens_, options).loss);
  options.max_seq_length = 2;
  const double pairs = evaluate(*model_, nullptr, tokens_, options).loss;
  options.max_seq_length = 32;
  EXPECT_EQ(evaluate(OfContext(model_, 2), nullptr, tokens_, options).loss, pairs);
  EXPECT_THROW(evaluate(OfContext(model_, 1), nullptr, tokens_, options), ValueError);
}

}  // namespace
}  // namespace lazuli
