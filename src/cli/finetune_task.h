// Defines FinetuneTask, what a model is fine-tuned for: its loss, its data, and the layers that an adapter can change.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "io/data_report.h"
#include "lazuli/adapter.h"
#include "lazuli/model.h"
#include "lazuli/train.h"
#include "train/batches.h"
#include "train/labelled.h"

namespace lazuli::cli {

struct FinetuneTask {
  std::shared_ptr<const void> model;  ///< keeps alive what the others refer to
  const ModelInfo* info = nullptr;
  std::span<const LinearInfo> linears;
  std::shared_ptr<const Objective> objective;
  std::unique_ptr<const Examples> train, validation;  ///< no validation without data for it
  DataReport data;                                    ///< what was read
  std::string examples;                               ///< what is trained on, in words
  std::string task_type;                              ///< PEFT's word for it
  bool perplexity = false;                            ///< whether exp(loss) means something
  std::span<const WholeTensor> whole;                 ///< trained whole and saved with the adapter, as parts of `modules`
  std::vector<std::string> modules;
  std::function<double(const Adapter&)> accuracy;  ///< on the rows for validation; empty: not measured
};

struct TaskSources {
  std::string model, data;
  int64_t max_seq_length = 0;
  uint64_t seed = 0;
  DType dtype = DType::f32;
  Quantization quantization = Quantization::none;  ///< of the model's own weights
  int64_t batch_size = 4;
  std::string adapter_path;  ///< a folder that is no data, wherever it lies
};

/// A language model that continues texts.
FinetuneTask text_task(const TaskSources& sources);
/// An encoder that tells which texts are similar, from pairs.
FinetuneTask similarity_task(const TaskSources& sources);
/// An encoder with a classification head that is trained with it, on classes or on how well texts fit queries.
FinetuneTask label_task(const TaskSources& sources, LabelKind kind);

}  // namespace lazuli::cli
