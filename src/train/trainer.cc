// Implements Trainer.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "lazuli/error.h"
#include "lazuli/memory.h"
#include "lazuli/safetensors.h"
#include "lazuli/train.h"
#include "train/train_step.h"

namespace lazuli {
namespace {

// Steps take the memory of their parameters over, so these must not share theirs with anyone.
Tensor own_copy(const Tensor& t, Device device = {}) {
  const Tensor row_major = t.to(Device{}).contiguous();
  return Tensor::from_slice(row_major.data<float>(), row_major.shape(), device);
}

template <class T>
Tensor scalar_tensor(T value) {
  return Tensor::from_slice(std::span<const T>(&value, 1), Shape{});
}

void check_batch(const Objective& objective, std::span<const Tensor> batch) {
  if (batch.size() != objective.inputs()) {
    throw ValueError(fmt::format("[train] a batch of {} tensors is expected, got {}", objective.inputs(), batch.size()));
  }
  objective.check(batch);
}

// Different dropout at every step, and the same when a run is repeated.
int64_t dropout_seed(uint64_t seed, int64_t step) {
  uint64_t x = seed * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(step);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return static_cast<int64_t>(x ^ (x >> 31));
}

constexpr const char* kStepKey = "lazuli_step";
constexpr const char* kGroupNames[] = {"factor", "m", "v"};

}  // namespace

struct Trainer::Impl {
  std::shared_ptr<const Objective> objective;
  Adapter adapter;  // names and settings; its factors are those of the start
  TrainConfig config;
  Device device;
  StepArguments at;
  std::vector<Tensor> arguments;  // factors, moments, and the slots of the other arguments
  std::vector<Tensor> results;
  CompiledFunction step_function, loss_function;
  int64_t steps_done = 0;

  Impl(std::shared_ptr<const Objective> o, Adapter a, const TrainConfig& c, Device d)
      : objective(std::move(o)),
        adapter(std::move(a)),
        config(c),
        device(d),
        at{adapter.parameter_tensors(), objective->inputs()},
        arguments(at.count()) {}

  void compile_functions() {
    step_function =
        compile([this](std::span<const LazyTensor> args) { return record_train_step(*objective, adapter, config, args); }, device);
    std::vector<int> donated(3 * at.n);
    for (size_t k = 0; k < donated.size(); ++k) donated[k] = static_cast<int>(k);
    step_function.donate(donated);
    loss_function = compile(
        [this](std::span<const LazyTensor> args) {
          return std::vector<LazyTensor>{objective->loss(args.subspan(at.n), AdapterContext(adapter, args.first(at.n)))};
        },
        device);
  }

  MemoryNeed need(std::span<const Tensor> batch, bool evaluates);

  std::span<const Tensor> group(size_t g) const { return std::span(arguments).subspan(g * at.n, at.n); }

  std::string key(size_t g, size_t k) const { return fmt::format("{}.{}", kGroupNames[g], adapter.parameter_name(k)); }
};

Trainer::Trainer(std::shared_ptr<const LanguageModel> model, Adapter adapter, const TrainConfig& config, Device device)
    : Trainer(next_token_objective(std::move(model)), std::move(adapter), config, device) {}

Trainer::Trainer(std::shared_ptr<const Objective> objective, Adapter adapter, const TrainConfig& config, Device device) {
  config.check();
  impl_ = std::make_unique<Impl>(std::move(objective), std::move(adapter), config, device);
  const std::vector<Tensor> factors = impl_->adapter.parameters();
  if (factors.empty()) throw ValueError("[train] the adapter changes no layer of the model");
  const size_t n = impl_->at.n;
  for (size_t k = 0; k < n; ++k) {
    impl_->arguments[k] = own_copy(factors[k], device);
    impl_->arguments[n + k] = Tensor::zeros(DType::f32, factors[k].shape(), device);
    impl_->arguments[2 * n + k] = Tensor::zeros(DType::f32, factors[k].shape(), device);
  }
  impl_->compile_functions();
}

Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;
Trainer::~Trainer() = default;

StepResult Trainer::step(std::span<const Tensor> batch) {
  Impl& s = *impl_;
  check_batch(*s.objective, batch);
  const int64_t step = s.steps_done + 1;
  const double rate = learning_rate(s.config, step);
  std::copy(batch.begin(), batch.end(), s.arguments.begin() + static_cast<std::ptrdiff_t>(s.at.batch()));
  s.arguments[s.at.rate()] = scalar_tensor(static_cast<float>(rate));
  s.arguments[s.at.step()] = scalar_tensor(static_cast<int32_t>(step));
  s.arguments[s.at.seed()] = scalar_tensor(dropout_seed(s.config.seed, step));
  s.step_function.call(s.arguments, s.results);
  for (size_t k = 0; k < 3 * s.at.n; ++k) s.arguments[k] = std::move(s.results[kStepScalars + k]);
  s.steps_done = step;
  const StepResult done{s.results[0].item(), s.results[1].item(), rate};
  // Before the next step takes memory, and from the back: it then runs in the same memory as this one.
  for (size_t k = kStepScalars; k-- > 0;) s.results[k] = Tensor();
  return done;
}

double Trainer::evaluate(std::span<const Tensor> batch) {
  check_batch(*impl_->objective, batch);
  const auto factors = impl_->group(0);
  std::vector<Tensor> args(factors.begin(), factors.end());
  args.insert(args.end(), batch.begin(), batch.end());
  return impl_->loss_function(std::move(args))[0].item();
}

/// Of a step on such a batch, of saving, and of an evaluation.
MemoryNeed Trainer::Impl::need(std::span<const Tensor> batch, bool evaluates) {
  const auto spec_of = [](const Tensor& t) { return TensorSpec{t.dtype(), t.shape()}; };
  std::vector<TensorSpec> specs;
  for (size_t k = 0; k < 3 * at.n; ++k) specs.push_back(spec_of(arguments[k]));
  for (const Tensor& t : batch) specs.push_back(spec_of(t));
  specs.resize(at.count());
  specs[at.rate()] = {DType::f32, Shape{}};
  specs[at.step()] = {DType::i32, Shape{}};
  specs[at.seed()] = {DType::i64, Shape{}};
  MemoryNeed most = step_function.plan(specs);
  // Saving copies the factors.
  MemoryNeed saving;
  for (const Tensor& t : group(0)) saving.results += allocated_bytes(t.nbytes());
  most = larger(most, saving);
  if (evaluates) {
    specs.erase(specs.begin() + static_cast<std::ptrdiff_t>(at.n), specs.begin() + static_cast<std::ptrdiff_t>(at.batch()));
    specs.resize(at.n + at.inputs);
    most = larger(most, loss_function.plan(specs));
  }
  return most;
}

void Trainer::require_memory(std::span<const Tensor> batch, bool evaluates) {
  Impl& s = *impl_;
  check_batch(*s.objective, batch);
  const auto need_with = [&](int64_t layers) {
    if (layers != s.config.recomputed_layers) {
      s.config.recomputed_layers = layers;
      s.compile_functions();
    }
    return s.need(batch, evaluates);
  };
  int64_t too_few = s.config.recomputed_layers, enough = s.objective->layers();
  const MemoryNeed first = need_with(too_few);
  if (fits_memory(first, s.device)) return;
  const MemoryNeed least = enough > too_few ? need_with(enough) : first;
  if (least.total() >= first.total()) lazuli::require_memory("[train]", first, s.device);
  lazuli::require_memory(fmt::format("[train] with all {} layers computed again in the backward pass", enough), least, s.device);
  // Each layer more makes it less.
  while (enough - too_few > 1) {
    const int64_t middle = too_few + (enough - too_few) / 2;
    (fits_memory(need_with(middle), s.device) ? enough : too_few) = middle;
  }
  need_with(enough);
}

int64_t Trainer::steps_done() const { return impl_->steps_done; }
int64_t Trainer::recomputed_layers() const { return impl_->config.recomputed_layers; }
size_t Trainer::workspace_bytes() const { return impl_->step_function.workspace_bytes(); }

Adapter Trainer::adapter() const {
  std::vector<Tensor> copies;
  for (const Tensor& t : impl_->group(0)) copies.push_back(own_copy(t));
  Adapter out = impl_->adapter;
  out.set_parameters(copies);
  return out;
}

void Trainer::save_state(const std::string& path, const std::map<std::string, std::string>& notes) const {
  std::map<std::string, Tensor> tensors;
  for (size_t g = 0; g < std::size(kGroupNames); ++g) {
    for (size_t k = 0; k < impl_->at.n; ++k) tensors[impl_->key(g, k)] = impl_->group(g)[k];
  }
  std::map<std::string, std::string> metadata = notes;
  metadata[kStepKey] = std::to_string(impl_->steps_done);
  save_safetensors(path, tensors, metadata);
}

void Trainer::load_state(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  const auto step = file.metadata().find(kStepKey);
  if (step == file.metadata().end() || step->second.empty() || step->second.size() > 9 ||
      step->second.find_first_not_of("0123456789") != std::string::npos) {
    throw FormatError(fmt::format("{}: the state of a training is expected, but its metadata has no {}", path, kStepKey));
  }
  std::vector<Tensor> loaded;
  std::set<std::string> known;
  for (size_t g = 0; g < std::size(kGroupNames); ++g) {
    for (size_t k = 0; k < impl_->at.n; ++k) {
      const std::string key = impl_->key(g, k);
      const TensorInfo& info = file.info(key);
      const Shape& shape = impl_->arguments[k].shape();
      if (info.dtype != DType::f32 || info.shape != shape) {
        throw FormatError(fmt::format("{}: tensor '{}': f32 {} is expected, got {} {}", path, key, to_string(shape), info.dtype_name,
                                      to_string(info.shape)));
      }
      loaded.push_back(own_copy(file.tensor(key), impl_->device));
      known.insert(key);
    }
  }
  for (const std::string& name : file.names()) {
    if (!known.contains(name)) throw FormatError(fmt::format("{}: tensor '{}' is no part of this training's state", path, name));
  }
  std::move(loaded.begin(), loaded.end(), impl_->arguments.begin());
  impl_->steps_done = std::stoll(step->second);
}

}  // namespace lazuli
