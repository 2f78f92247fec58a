// Defines FinetuneFlags, where the options of the command `finetune` go.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/command.h"

namespace lazuli::cli {

struct FinetuneFlags {
  bool deterministic = false;
  std::string model, data, adapter_path;
  std::string task = "text";
  int64_t iters = 1000;
  int64_t batch_size = 4;
  double learning_rate = 1e-5;
  int64_t lora_rank = 8;
  double lora_alpha = 16;
  double lora_dropout = 0;
  std::string target_modules = "all-linear";
  int64_t max_seq_length = 2048;
  int64_t steps_per_report = 10;
  int64_t steps_per_eval = 200;
  int64_t val_batches = 25;
  int64_t save_every = 100;
  double max_grad_norm = 1.0;
  double weight_decay = 0.01;
  int64_t warmup_steps = 0;
  std::string lr_schedule = "constant";
  std::string on_nonfinite = "stop";
  std::string quantize = "none";
  bool resume = false, overwrite = false;
};

std::vector<Option> finetune_options(FinetuneFlags& f);

}  // namespace lazuli::cli
