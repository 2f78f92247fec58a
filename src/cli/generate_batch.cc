// Implements `generate --batch`.
#include "cli/generate_batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <utility>

#include "base/interrupt.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "cli/generation_notices.h"
#include "cli/human.h"
#include "cli/input.h"
#include "cli/output.h"
#include "lazuli/error.h"

namespace lazuli::cli {

namespace {

struct BatchLine {
  std::string prompt;
  GenerateOptions options;
  std::string adapter_path;  ///< empty: the model alone
  std::string place;         ///< its file and line
};

double real(const JsonValue& value, double low, double high, const char* range) {
  const double v = value.as_double();
  if (!(v >= low && v <= high)) value.fail(fmt::format("a number {} expected, got {}", range, v));
  return v;
}

int64_t integer(const JsonValue& value, int64_t low) {
  const int64_t v = value.as_int();
  if (v < low) value.fail(fmt::format("an integer of at least {} expected, got {}", low, v));
  return v;
}

std::vector<std::string> stop_texts(const JsonValue& value) {
  std::vector<std::string> out;
  const auto add = [&out](const JsonValue& text) {
    out.emplace_back(text.as_string());
    if (out.back().empty()) text.fail("a text of at least one character expected");
  };
  if (value.is_array()) {
    for (const JsonValue& text : value.as_array()) add(text);
  } else {
    add(value);
  }
  return out;
}

void set(BatchLine& line, std::string_view key, const JsonValue& value) {
  constexpr double kMost = std::numeric_limits<double>::max();
  SamplerOptions& s = line.options.sampler;
  if (key == "prompt") {
    line.prompt = value.as_string();
  } else if (key == "max_tokens") {
    line.options.max_tokens = integer(value, 1);
  } else if (key == "temp") {
    s.temperature = real(value, 0, kMost, "of at least 0");
  } else if (key == "top_p") {
    s.top_p = real(value, 1e-9, 1, "above 0, and at most 1,");
  } else if (key == "min_p") {
    s.min_p = real(value, 0, 1, "from 0 to 1");
  } else if (key == "top_k") {
    s.top_k = integer(value, 0);
  } else if (key == "repetition_penalty") {
    s.repetition_penalty = real(value, 1e-9, kMost, "above 0");
  } else if (key == "seed") {
    s.seed = static_cast<uint64_t>(integer(value, 0));
  } else if (key == "stop") {
    line.options.stop = stop_texts(value);
  } else if (key == "ignore_eos") {
    line.options.stop_at_eos = !value.as_bool();
  } else if (key == "adapter_path") {
    line.adapter_path = value.is_null() ? std::string() : std::string(value.as_string());
    const bool is_path = !line.adapter_path.empty() && line.adapter_path.find('\0') == std::string::npos;
    if (!is_path && !value.is_null()) value.fail("a folder, or null for the model alone, expected");
  } else {
    value.fail(
        "prompt, max_tokens, temp, top_p, top_k, min_p, repetition_penalty, seed, stop, ignore_eos or adapter_path expected as the key");
  }
}

std::vector<BatchLine> read_lines(const BatchTask& task) {
  const std::string text = read_text_input(task.file), name = task.file == "-" ? "standard input" : task.file;
  std::vector<BatchLine> lines;
  size_t number = 0;
  for (size_t first = 0; first < text.size();) {
    const size_t end = std::min(text.find('\n', first), text.size());
    const std::string_view row = std::string_view(text).substr(first, end - first);
    first = end + 1;
    ++number;
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const JsonDocument document = JsonDocument::parse(row, fmt::format("{}, line {}", name, number));
    BatchLine& line = lines.emplace_back(BatchLine{{}, task.options, task.adapter_path, fmt::format("{}, line {}", name, number)});
    document.root().get("prompt");
    for (const JsonMember& member : document.root().as_object()) set(line, member.key, member.value);
  }
  if (lines.empty()) throw FormatError(fmt::format("{}: at least one line with a prompt is expected", name));
  return lines;
}

/// The adapters of all lines, each loaded once.
class BatchAdapters {
 public:
  explicit BatchAdapters(std::span<const LinearInfo> layers) : layers_(layers) {}
  int32_t index_of(const BatchLine& line) {
    if (line.adapter_path.empty()) return -1;
    const auto [found, added] = numbers_.try_emplace(line.adapter_path, static_cast<int32_t>(adapters_.size()));
    if (added) adapters_.push_back(load(line));
    return found->second;
  }
  std::vector<Adapter> take() { return std::move(adapters_); }

 private:
  Adapter load(const BatchLine& line) const {
    try {
      return Adapter::load(line.adapter_path, layers_);
    } catch (const FormatError& error) {
      throw FormatError(fmt::format("{}: {}", line.place, error.what()));
    } catch (const IoError& error) {
      throw IoError(fmt::format("{}: {}", line.place, error.what()));
    }
  }

  std::span<const LinearInfo> layers_;
  std::map<std::string, int32_t> numbers_;
  std::vector<Adapter> adapters_;
};

void write_result(JsonWriter& w, size_t index, const GenerateResult& result) {
  w.begin_object().field("index", index).field("text", result.text).field("finish_reason", name_of(result.finish));
  w.key("tokens").begin_array();
  for (const int32_t id : result.tokens) w.value(id);
  w.end_array();
  w.field("prompt_tokens", result.prompt_tokens).field("generation_tokens", result.generation_tokens).end_object();
}

/// Prints results in the order of the prompts, each as soon as those before it are there.
class OrderedResults {
 public:
  OrderedResults(size_t count, bool prints) : done_(count), prints_(prints) {}
  void add(size_t index, const GenerateResult& result) {
    if (!prints_) return;
    JsonWriter w;
    write_result(w, index, result);
    done_[index] = w.text();
    for (; next_ < done_.size() && !done_[next_].empty(); ++next_) print_json(std::exchange(done_[next_], {}));
  }
  /// Prints those that a stopped run left behind the first one that did not end.
  void rest(std::span<const GenerateResult> results) {
    for (size_t k = next_; k < results.size() && prints_; ++k) {
      JsonWriter w;
      write_result(w, k, results[k]);
      print_json(w.text());
    }
  }

 private:
  std::vector<std::string> done_;
  size_t next_ = 0;
  bool prints_;
};

/// What is wrong where texts ended because their logits had NaN; else empty.
std::string failure_of(std::span<const GenerateResult> results, std::span<const BatchLine> lines) {
  std::vector<std::string_view> places;
  for (size_t k = 0; k < results.size(); ++k) {
    if (results[k].finish == FinishReason::nan) places.push_back(lines[k].place);
  }
  if (places.empty()) return {};
  const std::string others = places.size() > 1 ? fmt::format(" and of {} more", places.size() - 1) : "";
  return fmt::format("[generate] {}: the logits of this text{} have NaN", places[0], others);
}

struct Totals {
  int64_t prompt = 0, generated = 0, cancelled = 0;
  double seconds = 0;
  double rate() const { return seconds > 0 ? static_cast<double>(generated) / seconds : 0; }
};

void print_all(std::span<const GenerateResult> results, const Totals& totals, const MemoryNeed& planned, const std::string& failure) {
  JsonWriter w;
  w.begin_object();
  if (!failure.empty()) w.field("error", failure);
  w.key("results").begin_array();
  for (size_t k = 0; k < results.size(); ++k) write_result(w, k, results[k]);
  w.end_array();
  w.field("prompt_tokens", totals.prompt).field("generation_tokens", totals.generated).field("seconds", totals.seconds);
  w.field("tokens_per_second", totals.rate()).field("planned_memory_bytes", planned.total());
  w.field("peak_memory_bytes", results.empty() ? size_t{0} : results.back().peak_memory_bytes);
  write_allocator(w);
  print_json(w.end_object().text());
}

}  // namespace

int run_batch(const BatchTask& task, const Common& common) {
  const std::vector<BatchLine> lines = read_lines(task);
  const TextModel model = TextModel::open(task.model, common.dtype, parse_quantization(task.quantize));
  if (!common.quiet) tell_of_settings(model.generation(), task.options);
  BatchAdapters adapters(model.model()->linears());
  std::vector<BatchPrompt> prompts;
  prompts.reserve(lines.size());
  for (const BatchLine& line : lines)
    prompts.push_back({model.tokenizer().encode(line.prompt), line.options, adapters.index_of(line), line.place});
  BatchGenerator generator(model, adapters.take(), task.slots);
  // Ctrl-C ends the texts and still prints what they are.
  const InterruptGuard guard;
  OrderedResults ordered(prompts.size(), !common.json);
  const auto start = std::chrono::steady_clock::now();
  const BatchCallback on_end = [&ordered](size_t index, const GenerateResult& result) {
    ordered.add(index, result);
    return !interrupted();
  };
  const std::vector<GenerateResult> results = generator.run(prompts, on_end, [](size_t, std::string_view) { return !interrupted(); });
  Totals totals;
  totals.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (const GenerateResult& result : results) {
    totals.prompt += result.prompt_tokens;
    totals.generated += result.generation_tokens;
    totals.cancelled += result.finish == FinishReason::cancelled ? 1 : 0;
  }
  ordered.rest(results);
  const std::string failure = failure_of(results, lines);
  if (common.json) print_all(results, totals, generator.planned_memory(), failure);
  if (!common.json && !common.quiet) {
    const std::string stopped = totals.cancelled > 0 ? fmt::format(" ({} not to their ends)", totals.cancelled) : "";
    std::cerr << fmt::format("{} texts{}: {} prompt tokens, {} tokens made, {:.1f} tokens/s\nPlanned memory: {}\n", results.size(), stopped,
                             totals.prompt, totals.generated, totals.rate(), human_bytes(generator.planned_memory().total()));
  }
  if (!failure.empty()) {
    tell_error(failure);
    return kFailed;
  }
  return interrupted() ? interrupt_exit_code() : kOk;
}

}  // namespace lazuli::cli
