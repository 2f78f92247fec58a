// Defines the command `fuse`, which makes an adapter part of a model's weights.
#include <fmt/format.h>

#include <memory>

#include "base/human_size.h"
#include "base/interrupt.h"
#include "base/json_writer.h"
#include "cli/command.h"
#include "models/fuse.h"

namespace lazuli::cli {

namespace {

struct FuseFlags {
  std::string model, adapter_path, save_path;
};

int run_fuse(const FuseFlags& flags, const Common& common) {
  const InterruptGuard guard;
  const FuseReport report = fuse_adapter(flags.model, flags.adapter_path, flags.save_path, [](int64_t, int64_t) { return !interrupted(); });
  if (report.cancelled) throw Interrupted(fmt::format("stopped; {} was not written", flags.save_path));
  if (common.json) {
    JsonWriter w;
    w.begin_object().field("save_path", flags.save_path).field("layers", report.layers);
    w.field("tensors", report.tensors).field("bytes", report.bytes).end_object();
    print_json(w.text());
  } else {
    print_text(fmt::format("{}: {} layers fused, {} tensors, {}\n", flags.save_path, report.layers, report.tensors,
                           human_bytes(static_cast<double>(report.bytes))));
  }
  return kOk;
}

}  // namespace

Command fuse_command() {
  const auto flags = std::make_shared<FuseFlags>();
  Command c;
  c.name = "fuse";
  c.summary = "Merge a LoRA adapter into its model's weights";
  c.details =
      "Writes a folder that every program for such models can load: weights in the model's own dtype and files, and the configuration,\n"
      "tokenizer and an encoder's modules as they are. Weights stored in f16 or bf16 are rounded to that, so the merged model is a little "
      "off\n"
      "from model and adapter. The folder must be new or empty; it appears complete or not at all.";
  c.examples =
      "lazuli fuse --model models/pycoder-16m --adapter-path adapters --save-path fused\n"
      "lazuli fuse --model all-MiniLM-L6-v2 --adapter-path pair-adapter --save-path fused-encoder";
  c.options = {
      model_option(&flags->model),
      adapter_option(&flags->adapter_path),
      {.name = "--save-path", .target = &flags->save_path, .help = "Folder to save the merged model in", .value = "DIR", .required = true},
  };
  c.options[1].required = true;
  c.run = [flags](const Common& common) { return run_fuse(*flags, common); };
  return c;
}

}  // namespace lazuli::cli
