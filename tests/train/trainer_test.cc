// Checks training against a run of PyTorch and PEFT, and that a run can be stopped and gone on with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "lazuli/adapter.h"
#include "lazuli/error.h"
#include "lazuli/memory.h"
#include "lazuli/model.h"
#include "lazuli/safetensors.h"
#include "lazuli/train.h"
#include "support/cuda_device.h"
#include "support/memory_limit.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"
#include "tensor/buffer_pool.h"

namespace lazuli {
namespace {

const std::string kData = source_folder() + "/tests/data/pycoder-16m/";
const std::string kModel = source_folder() + "/models/pycoder-16m";

#if defined(LAZULI_INSTRUMENTED) || !defined(NDEBUG)
constexpr int64_t kMaxSteps = 2;
#else
constexpr int64_t kMaxSteps = 40;
#endif

struct Reference {
  TrainConfig config;
  int64_t steps;
  std::vector<double> losses, norms;
};

std::vector<double> numbers(const JsonValue& array) {
  std::vector<double> out;
  for (const JsonValue v : array.as_array()) out.push_back(v.as_double());
  return out;
}

Reference read_reference() {
  const JsonDocument document = JsonDocument::read(kData + "lora_trajectory.json");
  const JsonValue root = document.root();
  Reference r;
  r.steps = root.get("steps").as_int();
  r.config.iterations = r.steps;
  r.config.learning_rate = root.get("lr").as_double();
  r.config.weight_decay = root.get("weight_decay").as_double();
  r.config.max_grad_norm = root.get("max_grad_norm").as_double();
  r.config.eps = root.get("eps").as_double();
  r.losses = numbers(root.get("losses"));
  r.norms = numbers(root.get("grad_norms_before_clip"));
  return r;
}

// The batch of one step, (4, 256).
Tensor batch_of(const Tensor& batches, int64_t step) {
  const Shape shape{batches.dim(1), batches.dim(2)};
  const auto all = batches.data<int32_t>();
  return Tensor::from_slice(all.subspan(static_cast<size_t>(step * shape.numel()), static_cast<size_t>(shape.numel())), shape);
}

Tensor read_batches() { return SafetensorsFile::open(kData + "lora_batches.safetensors").tensor("input_ids").contiguous(); }

double rms_difference(const Adapter& a, const Adapter& b) {
  const auto left = a.parameters(), right = b.parameters();
  double sum = 0;
  int64_t count = 0;
  for (size_t k = 0; k < left.size(); ++k) {
    const auto x = left[k].data<float>(), y = right[k].data<float>();
    for (size_t j = 0; j < x.size(); ++j) sum += (double{x[j]} - y[j]) * (double{x[j]} - y[j]);
    count += left[k].numel();
  }
  return std::sqrt(sum / static_cast<double>(count));
}

/// The adapter from which PEFT started. Its second factors are zeros, which are not stored.
Adapter read_initial(std::span<const LinearInfo> layers) {
  const test::TempFolder folder;
  std::filesystem::copy_file(kData + "lora_after_40_steps/adapter_config.json", folder.path("adapter_config.json"));
  const SafetensorsFile trained = SafetensorsFile::open(kData + "lora_after_40_steps/adapter_model.safetensors");
  const SafetensorsFile first = SafetensorsFile::open(kData + "lora_initial.safetensors");
  std::map<std::string, Tensor> factors;
  for (const std::string& name : trained.names()) {
    const bool second = name.find(".lora_B.") != std::string::npos;
    factors[name] = second ? Tensor::zeros(DType::f32, trained.info(name).shape) : first.tensor(name);
  }
  save_safetensors(folder.path("adapter_model.safetensors"), factors, trained.metadata());
  return Adapter::load(folder.path(), layers);
}

/// `slack`: how many times the bounds of the CPU a device may be off.
void expect_trajectory(Device device, double slack) {
  const Reference reference = read_reference();
  const auto model = load_model(kModel);
  const Tensor batches = read_batches();
  Trainer trainer(model, read_initial(model->linears()), reference.config, device);
  const int64_t steps = std::min(reference.steps, kMaxSteps);
  for (int64_t step = 0; step < steps; ++step) {
    const StepResult result = trainer.step(batch_of(batches, step));
    const auto k = static_cast<size_t>(step);
    EXPECT_NEAR(result.loss, reference.losses[k], slack * 2e-5) << "step " << step;
    EXPECT_NEAR(result.grad_norm / reference.norms[k], 1, slack * 5e-5) << "step " << step;
  }
  if (steps == reference.steps) {
    EXPECT_LE(rms_difference(trainer.adapter(), Adapter::load(kData + "lora_after_40_steps", model->linears())), slack * 3e-6);
  }
}

TEST(Trainer, FollowsPyTorchAndPeftForFortySteps) { expect_trajectory({}, 1); }

TEST(Trainer, FollowsPyTorchAndPeftForFortyStepsOnCuda) {
  LAZULI_NEEDS_CUDA();
  const test::OnCuda scope;
  expect_trajectory({DeviceKind::cuda, 0}, 10);
}

class SmallTraining : public testing::Test {
 protected:
  std::shared_ptr<const LanguageModel> model_ = load_model(kModel);
  Tensor batches_ = read_batches();

  Tensor ids(int64_t step) const {
    const auto row = batches_.data<int32_t>().subspan(static_cast<size_t>(step) * 1024, 2 * 33);
    return Tensor::from_slice(row, {2, 33});
  }
  Adapter fresh(double dropout = 0) const {
    LoRAConfig config;
    config.rank = 4;
    config.target_modules = {"q_proj", "v_proj"};
    config.dropout = dropout;
    return Adapter::create(model_->linears(), config, 1);
  }
  Trainer trainer(double dropout = 0) const {
    TrainConfig config;
    config.learning_rate = 1e-3;
    config.seed = 5;
    return Trainer(model_, fresh(dropout), config);
  }
};

TEST_F(SmallTraining, GoesOnExactlyFromSavedState) {
  const test::TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  Trainer whole = trainer(), first = trainer(), second = trainer();
  for (int64_t k = 0; k < 4; ++k) whole.step(ids(k));
  for (int64_t k = 0; k < 2; ++k) first.step(ids(k));
  first.save_state(path);
  second.load_state(path);
  EXPECT_EQ(second.steps_done(), 2);
  for (int64_t k = 2; k < 4; ++k) second.step(ids(k));
  EXPECT_EQ(rms_difference(whole.adapter(), second.adapter()), 0);
}

TEST_F(SmallTraining, StateOfAnotherAdapterIsRefused) {
  const test::TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  trainer().save_state(path);
  LoRAConfig config;
  config.rank = 2;
  config.target_modules = {"q_proj", "v_proj"};
  Trainer other(model_, Adapter::create(model_->linears(), config, 1), TrainConfig{});
  EXPECT_THROW(other.load_state(path), FormatError);
  EXPECT_THROW(other.load_state(kData + "logits.safetensors"), FormatError);
  EXPECT_THROW(other.load_state(path + ".missing"), IoError);
}

TEST_F(SmallTraining, AStateSaysHowManyStepsWereDone) {
  const test::TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  Trainer counted = trainer();
  counted.save_state(path);
  std::map<std::string, Tensor> tensors;
  {
    const SafetensorsFile file = SafetensorsFile::open(path);
    for (const std::string& name : file.names()) tensors[name] = file.tensor(name).to(DType::f32);
  }
  for (const char* step : {"0", "7", "999999999"}) {
    save_safetensors(path, tensors, {{"lazuli_step", step}});
    counted.load_state(path);
    EXPECT_EQ(counted.steps_done(), std::stoll(step));
  }
  for (const char* step : {"", "-1", "7x", " 7", "1000000000"}) {
    save_safetensors(path, tensors, {{"lazuli_step", step}});
    EXPECT_THAT(test::message_of<FormatError>([&] { counted.load_state(path); }), testing::HasSubstr("its metadata has no lazuli_step"))
        << step;
  }
  save_safetensors(path, tensors);
  EXPECT_THAT(test::message_of<FormatError>([&] { counted.load_state(path); }), testing::HasSubstr("its metadata has no lazuli_step"));
  EXPECT_EQ(counted.steps_done(), 999999999);
}

TEST_F(SmallTraining, StateWithSpareOrMissingTensorsIsRefusedAndChangesNothing) {
  const test::TempFolder folder;
  const std::string path = folder.path("state.safetensors");
  Trainer first = trainer(), second = trainer();
  first.step(ids(0));
  first.save_state(path);
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
  {
    const SafetensorsFile file = SafetensorsFile::open(path);
    for (const std::string& name : file.names()) tensors[name] = file.tensor(name).contiguous();
    metadata = {file.metadata().begin(), file.metadata().end()};
  }
  const Adapter before = second.adapter();
  const auto expect_refused = [&](const std::map<std::string, Tensor>& stored, const std::map<std::string, std::string>& with) {
    save_safetensors(path, stored, with);
    EXPECT_THROW(second.load_state(path), FormatError);
    EXPECT_EQ(second.steps_done(), 0);
    EXPECT_EQ(rms_difference(before, second.adapter()), 0);
  };
  auto changed = tensors;
  changed["m.another.layer.lora_A"] = Tensor::zeros(DType::f32, {2});
  expect_refused(changed, metadata);
  changed = tensors;
  changed.erase(changed.begin());
  expect_refused(changed, metadata);
  for (const char* step : {"", "x", "-1", "1.5", "1234567890"}) {
    auto other = metadata;
    other["lazuli_step"] = step;
    expect_refused(tensors, other);
  }
  expect_refused(tensors, {});
  save_safetensors(path, tensors, metadata);
  second.load_state(path);
  EXPECT_EQ(second.steps_done(), 1);
  EXPECT_EQ(rms_difference(first.adapter(), second.adapter()), 0);
}

TEST_F(SmallTraining, AdapterIsACopyThatLaterStepsLeaveAlone) {
  Trainer t = trainer();
  t.step(ids(0));
  const Adapter before = t.adapter();
  const Adapter same = t.adapter();
  t.step(ids(1));
  EXPECT_EQ(rms_difference(before, same), 0);
  EXPECT_GT(rms_difference(before, t.adapter()), 0);
}

TEST_F(SmallTraining, EvaluationChangesNothingAndMatchesTheStepsLoss) {
  Trainer t = trainer();
  const double loss = t.evaluate(ids(0));
  EXPECT_EQ(t.steps_done(), 0);
  EXPECT_NEAR(loss, t.step(ids(0)).loss, 1e-5);
  EXPECT_LT(t.evaluate(ids(0)), loss);
}

TEST_F(SmallTraining, PaddingIsNotPredictedAndDoesNotCountInTheMean) {
  Trainer t = trainer();
  const auto row = [&](int64_t number, int64_t tokens) {
    return batches_.data<int32_t>().subspan(static_cast<size_t>(number) * 33, static_cast<size_t>(tokens));
  };
  std::vector<int32_t> both(row(0, 33).begin(), row(0, 33).end());
  both.insert(both.end(), row(1, 20).begin(), row(1, 20).end());
  both.resize(66, -100);
  const double whole = t.evaluate(Tensor::from_slice(row(0, 33), {1, 33})), part = t.evaluate(Tensor::from_slice(row(1, 20), {1, 20}));
  EXPECT_NEAR(t.evaluate(Tensor::from_vector(both, {2, 33})), (32 * whole + 19 * part) / 51, 1e-5);
  both[10] = -100;
  EXPECT_THROW(t.evaluate(Tensor::from_vector(both, {2, 33})), ValueError);
}

TEST_F(SmallTraining, AStepWithoutAFiniteLossChangesNothingWhereItIsSkipped) {
  TrainConfig config;
  config.skip_nonfinite = true;
  Trainer t(model_, fresh(), config);
  t.step(ids(0));
  const Adapter before = t.adapter();
  Adapter broken = t.adapter();
  std::vector<Tensor> spoilt = broken.parameters();
  spoilt[1] = Tensor::from_vector(std::vector<float>(static_cast<size_t>(spoilt[1].numel()), std::numeric_limits<float>::infinity()),
                                  spoilt[1].shape());
  broken.set_parameters(spoilt);
  Trainer bad(model_, broken, config);
  EXPECT_FALSE(std::isfinite(bad.step(ids(1)).loss));
  const std::vector<Tensor> after = bad.adapter().parameters();
  for (size_t k = 0; k < after.size(); ++k) EXPECT_EQ(after[k].to_vector<float>(), spoilt[k].to_vector<float>()) << k;
  EXPECT_TRUE(std::isfinite(t.step(ids(1)).loss));
  EXPECT_GT(rms_difference(before, t.adapter()), 0);
}

TEST_F(SmallTraining, ComputesLayersAgainWhereMemoryIsShort) {
  const Tensor batch = batch_of(batches_, 0);
  TrainConfig config, least;
  config.learning_rate = least.learning_rate = 1e-3;
  least.recomputed_layers = model_->info().layers;
  Trainer all_kept(model_, fresh(0.1), config), none_kept(model_, fresh(0.1), least), fitted(model_, fresh(0.1), config);
  const double loss = all_kept.step(batch).loss;
  EXPECT_NEAR(none_kept.step(batch).loss, loss, 1e-6 * loss);
  ASSERT_LT(none_kept.workspace_bytes(), all_kept.workspace_bytes() * 3 / 4);
  const size_t room = (none_kept.workspace_bytes() + all_kept.workspace_bytes()) / 2 + (size_t{1} << 20);
  const test::MemoryFor scope(room);
  fitted.require_memory(std::span(&batch, 1), false);
  EXPECT_GT(fitted.recomputed_layers(), 0);
  EXPECT_LT(fitted.recomputed_layers(), model_->info().layers);
  EXPECT_NEAR(fitted.step(batch).loss, loss, 1e-6 * loss);
  EXPECT_LT(fitted.workspace_bytes(), room);
  for (Trainer* t : {&all_kept, &none_kept}) EXPECT_LT(rms_difference(t->adapter(), fitted.adapter()), 1e-6);
}

TEST_F(SmallTraining, SaysWhatItNeedsWhereAllLayersComputedAgainDoNotHelp) {
  const Tensor batch = batch_of(batches_, 0);
  Trainer t = trainer();
  const test::MemoryFor scope(size_t{4} << 20);
  try {
    t.require_memory(std::span(&batch, 1), true);
    FAIL();
  } catch (const OutOfMemory& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("all 8 layers computed again in the backward pass needs"), std::string::npos) << text;
    EXPECT_NE(text.find("limit"), std::string::npos) << text;
  }
}

TEST_F(SmallTraining, DropoutIsRepeatableAndChangesFromStepToStep) {
  Trainer a = trainer(0.5), b = trainer(0.5), without = trainer();
  for (int64_t k = 0; k < 2; ++k) {
    a.step(ids(k));
    b.step(ids(k));
    without.step(ids(k));
  }
  EXPECT_EQ(rms_difference(a.adapter(), b.adapter()), 0);
  EXPECT_GT(rms_difference(a.adapter(), without.adapter()), 0);
  EXPECT_EQ(a.evaluate(ids(3)), b.evaluate(ids(3)));
}

TEST_F(SmallTraining, WrongIdsAreRefused) {
  Trainer t = trainer();
  EXPECT_THROW(t.step(Tensor::zeros(DType::i64, {1, 3})), DTypeError);
  EXPECT_THROW(t.step(Tensor::zeros(DType::i32, {3})), ShapeError);
  EXPECT_THROW(t.step(Tensor::zeros(DType::i32, {1, 1})), ShapeError);
  EXPECT_THROW(t.step(Tensor::from_vector<int32_t>({0, 8192}, {1, 2})), ValueError);
  EXPECT_THROW(t.step(Tensor::from_vector<int32_t>({0, -1}, {1, 2})), ValueError);
}

}  // namespace
}  // namespace lazuli
