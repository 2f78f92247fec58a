#include "cli/finetune_flags.h"

namespace lazuli::cli {

std::vector<Option> finetune_options(FinetuneFlags& f) {
  return {
      model_option(&f.model),
      {.name = "--data", .target = &f.data, .help = "Texts to train on", .value = "PATH", .required = true},
      {.name = "--adapter-path", .target = &f.adapter_path, .help = "Folder for the adapter", .value = "DIR", .required = true},
      {.name = "--task",
       .target = &f.task,
       .help = "What the model learns: to continue texts, or to tell which are similar",
       .choices = {"text", "similarity"}},
      {.name = "--iters", .target = &f.iters, .help = "Training steps", .low = 0, .high = 1e9},
      {.name = "--batch-size", .target = &f.batch_size, .help = "Windows or pairs in each step", .low = 1, .high = 65536},
      {.name = "--learning-rate", .target = &f.learning_rate, .help = "Of AdamW", .low = 0},
      {.name = "--lora-rank", .target = &f.lora_rank, .help = "Rank of the adapter", .low = 1, .high = 65536},
      {.name = "--lora-alpha", .target = &f.lora_alpha, .help = "The adapter's part is scaled by alpha / rank", .low = 0},
      {.name = "--lora-dropout",
       .target = &f.lora_dropout,
       .help = "Probability of a zero in the adapter's input",
       .low = 0,
       .high = 0.999},
      {.name = "--target-modules", .target = &f.target_modules, .help = "all-linear, or names such as q_proj,v_proj", .value = "NAMES"},
      {.name = "--max-seq-length",
       .target = &f.max_seq_length,
       .help = "Tokens in a window or text, at most the context",
       .low = 1,
       .high = 1e9},
      {.name = "--steps-per-report", .target = &f.steps_per_report, .help = "Steps between reports of the loss", .low = 1},
      {.name = "--steps-per-eval", .target = &f.steps_per_eval, .help = "Steps between validations", .low = 1},
      {.name = "--val-batches", .target = &f.val_batches, .help = "Batches in a validation; -1: all", .low = -1},
      {.name = "--save-every", .target = &f.save_every, .help = "Steps between saves", .low = 1},
      {.name = "--max-grad-norm", .target = &f.max_grad_norm, .help = "Gradients are scaled down to this norm; 0: never", .low = 0},
      {.name = "--weight-decay", .target = &f.weight_decay, .help = "Of AdamW", .low = 0},
      {.name = "--warmup-steps", .target = &f.warmup_steps, .help = "Steps in which the learning rate rises", .low = 0, .high = 1e9},
      {.name = "--lr-schedule", .target = &f.lr_schedule, .help = "After the warm-up", .choices = {"constant", "cosine", "linear"}},
      {.name = "--on-nonfinite",
       .target = &f.on_nonfinite,
       .help = "What a loss or gradient that is not finite does: end the training, or leave that step out",
       .choices = {"stop", "skip"}},
      quantize_option(&f.quantize),
      {.name = "--resume", .target = &f.resume, .help = "Go on from what --adapter-path holds, with the options it was begun with"},
      {.name = "--overwrite",
       .target = &f.overwrite,
       .help = "Train a new adapter in the place of the one in --adapter-path, which stays until the new one is saved"},
      deterministic_option(&f.deterministic),
  };
}

}  // namespace lazuli::cli
