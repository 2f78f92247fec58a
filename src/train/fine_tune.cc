#include "train/fine_tune.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <memory>
#include <vector>

#include "base/interrupt.h"
#include "base/memory_usage.h"
#include "base/progress.h"
#include "base/trace.h"
#include "lazuli/error.h"
#include "train/metrics.h"

namespace lazuli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Losses and time since the last report.
struct Tally {
  double loss = 0;    ///< times weight
  double weight = 0;  ///< of the batches, so that one with padding counts for as much as it has
  double seconds = 0;
  int64_t steps = 0;
  int64_t tokens = 0;
  double mean_loss() const { return loss / weight; }
  double rate() const { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }
};

class Loop {
 public:
  Loop(Trainer& trainer, const Examples& train, const Examples* validation, OutputFolder& folder, const FineTuneOptions& options)
      : trainer_(trainer),
        train_(train),
        validation_(validation),
        folder_(folder),
        options_(options),
        order_(train.order(options.batch_size, options.train.seed)),
        metrics_(folder.file(kMetricsFile), options.resume ? std::optional(trainer.steps_done()) : std::nullopt),
        progress_(trainer.steps_done(), options.train.iterations, options.quiet) {
    if (options.resume) saved_at_ = trainer.steps_done();
  }

  FineTuneReport run() {
    const InterruptGuard guard;
    if (const int64_t layers = trainer_.recomputed_layers(); layers > 0) {
      progress_.line(fmt::format("to stay within the memory limit {} layers are computed again in the backward pass", layers));
    }
    if (!options_.resume && !options_.overwrite) save();
    report_.val_loss_before = validate(trainer_.steps_done());
    while (trainer_.steps_done() < options_.train.iterations && !interrupted()) step();
    finish();
    return report_;
  }

 private:
  bool last() const { return trainer_.steps_done() == options_.train.iterations; }
  bool every(int64_t period) const { return period > 0 && trainer_.steps_done() % period == 0; }

  void step() {
    const int64_t number = trainer_.steps_done() + 1;
    const auto start = Clock::now();
    const std::vector<Tensor> batch = train_.batch(order_->batch(number));
    const StepResult result = trainer_.step(batch);
    const double took = seconds_since(start);
    const bool finite = std::isfinite(result.loss) && std::isfinite(result.grad_norm);
    skipped_in_row_ = finite ? 0 : skipped_in_row_ + 1;
    if (!finite) {
      not_finite(number, result);
      progress_.update(number, "skipped");
      if (last() || interrupted()) after_step(result);
      return;
    }
    if (!report_.train_loss_before) report_.train_loss_before = result.loss;
    const int64_t tokens = train_.tokens(batch);
    const double weight = train_.weight(batch);
    for (Tally* tally : {&recent_, &all_}) {
      tally->loss += result.loss * weight;
      tally->weight += weight;
      tally->seconds += took;
      tally->tokens += tokens;
      ++tally->steps;
    }
    progress_.update(number, fmt::format("loss {:.3f}  {:.0f} tokens/s", recent_.mean_loss(), recent_.rate()));
    after_step(result);
  }

  void not_finite(int64_t number, const StepResult& result) {
    const std::string what = fmt::format("iteration {}: the loss is {} and the gradient norm {}", number, result.loss, result.grad_norm);
    if (options_.train.skip_nonfinite && skipped_in_row_ < kMostSkipped) {
      ++report_.skipped;
      progress_.line(what + "; skipped");
      return;
    }
    const std::string kept = saved_at_ < 0 ? "what it held before" : fmt::format("the adapter of iteration {}", saved_at_);
    // Before the first step nothing of the training has changed a number.
    const bool begun = number > skipped_in_row_;
    throw ValueError(fmt::format(
        "{}{}; {} ({} holds {})", what, skipped_in_row_ > 1 ? fmt::format(", as in {} iterations before", skipped_in_row_ - 1) : "",
        begun ? "a lower --learning-rate may help" : "the model gives such numbers before any step of the training", folder_.path(), kept));
  }

  void after_step(const StepResult& result) {
    const bool stopping = interrupted();
    if (every(options_.steps_per_report) || last() || stopping) report(result);
    if (every(options_.save_every) || last() || stopping) save();
    if (!stopping && (every(options_.steps_per_eval) || last())) {
      if (const auto loss = validate(trainer_.steps_done())) report_.val_loss_after = loss;
    }
  }

  void report(const StepResult& result) {
    if (recent_.steps == 0) return;  // all were skipped
    const double loss = recent_.mean_loss();
    report_.train_loss_after = loss;
    report_.train_loss_after_steps = recent_.steps;
    const int64_t at = trainer_.steps_done();
    metrics_.write({at, loss, result.learning_rate, recent_.rate(), result.grad_norm, std::nullopt, peak_memory_bytes(), elapsed()});
    progress_.line(fmt::format("iteration {}: train loss {:.4f}, learning rate {:.3e}, gradient norm {:.3f}, {:.0f} tokens/s, {} left", at,
                               loss, result.learning_rate, result.grad_norm, recent_.rate(), progress_.time_left(at)));
    recent_ = {};
  }

  /// The mean over the same batches at every call.
  std::optional<double> validate(int64_t at) {
    if (validation_ == nullptr || options_.val_batches == 0) return std::nullopt;
    const trace::Scope scope("train", "validate");
    if (validation_batches_.empty()) {
      validation_batches_ = validation_->fixed_batches(options_.batch_size, options_.val_batches, options_.train.seed);
    }
    double sum = 0, weight = 0;
    for (const WeighedBatch& batch : validation_batches_) {
      if (interrupted()) return std::nullopt;
      sum += trainer_.evaluate(validation_->batch(batch.indices)) * batch.weight;
      weight += batch.weight;
    }
    if (weight == 0) return std::nullopt;
    const double loss = sum / weight;
    metrics_.write({.iteration = at, .val_loss = loss, .peak_memory_bytes = peak_memory_bytes(), .time = elapsed()});
    progress_.line(fmt::format("iteration {}: validation loss {:.4f}{}", at, loss, perplexity(loss)));
    return loss;
  }

  void save() {
    const trace::Scope scope("train", "save");
    trainer_.adapter().save(folder_.folder());
    trainer_.save_state(folder_.file(kStateFile), options_.notes);
    metrics_.sync();
    if (folder_.staged()) folder_.publish();
    saved_at_ = trainer_.steps_done();
  }

  void finish() {
    // An adapter that learned nothing takes no other's place, unless that was asked for.
    const bool begun = trainer_.steps_done() > 0 || last();
    if (saved_at_ != trainer_.steps_done() && begun) save();
    report_.saved = saved_at_ >= 0;
    progress_.clear();
    report_.iterations = trainer_.steps_done();
    report_.interrupted = !last() && trainer_.steps_done() < options_.train.iterations;
    report_.tokens_per_second = all_.rate();
    report_.trained_tokens = all_.tokens;
    report_.seconds = elapsed();
    report_.peak_memory_bytes = peak_memory_bytes();
    report_.recomputed_layers = trainer_.recomputed_layers();
  }

  std::string perplexity(double loss) const { return options_.perplexity ? fmt::format(" (perplexity {:.2f})", std::exp(loss)) : ""; }
  double elapsed() const { return seconds_since(start_); }

  Trainer& trainer_;
  const Examples& train_;
  const Examples* validation_;
  OutputFolder& folder_;
  const FineTuneOptions& options_;
  std::unique_ptr<BatchOrder> order_;
  MetricsFile metrics_;
  Progress progress_;
  std::vector<WeighedBatch> validation_batches_;
  Clock::time_point start_ = Clock::now();
  Tally recent_, all_;
  FineTuneReport report_;
  int64_t saved_at_ = -1;
  int64_t skipped_in_row_ = 0;
};

}  // namespace

std::vector<std::string> training_files() { return {kStateFile, kMetricsFile, kCurvesFile, kFactorsFile, kAdapterFile}; }

FineTuneReport fine_tune(Trainer& trainer, const Examples& train, const Examples* validation, OutputFolder& folder,
                         const FineTuneOptions& options) {
  if (trainer.steps_done() < options.train.iterations) {
    trainer.require_memory(train.batch(train.largest_batch(options.batch_size)), validation != nullptr);
  }
  if (!options.resume) folder.stage();
  return Loop(trainer, train, validation, folder, options).run();
}

}  // namespace lazuli
