#include "cli/command.h"

namespace lazuli::cli {

std::vector<Command> all_commands() {
  return {finetune_command(), generate_command(), eval_command(),     embed_command(),      similar_command(),
          rerank_command(),   classify_command(), tokenize_command(), inspect_command(),    fuse_command(),
          bench_command(),    explain_command(),  doctor_command(),   completion_command(), man_command()};
}

Option model_option(std::string* target) {
  return {.name = "--model",
          .target = target,
          .help = "Folder of a model, or its name in the cache of the Hugging Face hub: owner/name, owner/name@revision",
          .value = "DIR",
          .required = true};
}

Option adapter_option(std::string* target) {
  return {.name = "--adapter-path", .target = target, .help = "Folder of a LoRA adapter in PEFT's layout", .value = "DIR"};
}

std::optional<Adapter> load_adapter(const std::string& path, std::span<const LinearInfo> layers) {
  if (path.empty()) return std::nullopt;
  return Adapter::load(path, layers);
}

Option quantize_option(std::string* target) {
  return {.name = "--quantize",
          .target = target,
          .help = "Quantise weights to 8 or 4 bits while loading; embeddings and the most sensitive layers keep 8 bits in both",
          .choices = {"none", "int8", "int4"}};
}

Option deterministic_option(bool* target) {
  return {.name = "--deterministic",
          .target = target,
          .help =
              "Compute the same bits in every run. On a GPU also for each row whatever its batch, which is slower. The CPU repeats "
              "runs of the same sizes and --threads always; there a row may depend on its batch"};
}

Option path_argument(std::string* target, std::string help) {
  return {.name = "path", .target = target, .help = std::move(help), .value = "PATH", .required = true};
}

}  // namespace lazuli::cli
