// Defines the command `doctor`, which shows what the program runs on and what is missing.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>

#include "backend/backend.h"
#include "backend/machine.h"
#include "base/json_writer.h"
#include "base/system_info.h"
#include "cli/build_info.h"
#include "cli/command.h"
#include "cli/doctor_model.h"
#include "cli/human.h"
#include "exec/team.h"
#include "lazuli/encoder.h"
#include "lazuli/error.h"
#include "lazuli/model.h"

namespace lazuli::cli {

namespace {

struct DeviceState {
  std::string name;
  bool available = false;
  std::string note;
};

/// Something that is missing or in the way, and what to do about it.
struct Advice {
  std::string what, how;
};

struct Diagnosis {
  BuildInfo build;
  SystemInfo system;
  CpuKernels kernels;
  std::vector<DeviceState> devices;
  std::string profile;  ///< where scripts/tune_kernels.sh left one; empty: none
  std::vector<Advice> advice;
};

DeviceState state_of(const std::string& name, const char* note) {
  try {
    backend_for(parse_device(name));
    return {name, true, note};
  } catch (const Error& error) {
    return {name, false, error.what()};
  }
}

bool on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  std::error_code ignored;
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (std::filesystem::exists(std::filesystem::path(folder) / program, ignored)) return true;
  }
  return false;
}

std::vector<Advice> advice_for(const Diagnosis& d) {
  std::vector<Advice> advice;
  for (const DeviceState& device : d.devices) {
    if (device.available) continue;
    advice.push_back(
        {fmt::format("{}: {}", device.name, device.note),
         "everything runs with --device cpu; for GPUs: an NVIDIA card, its driver, and the CUDA toolkit 13 (nvrtc, cublasLt)"});
  }
  const std::string& target = d.kernels.target;
  if (target == "EMU128" || target == "SCALAR" || target.starts_with("SSE")) {
    advice.push_back({fmt::format("kernels run on {}, several times slower than on AVX2", target),
                      "use a processor with AVX2, or let the virtual machine pass the host's processor through"});
  }
  if (d.build.build_type != "Release" && d.build.build_type != "RelWithDebInfo") {
    advice.push_back({fmt::format("a {} build is slow", d.build.build_type), "build with scripts/build.sh release"});
  }
  if (d.system.memory_available < (uint64_t{1} << 30)) {
    advice.push_back({fmt::format("{} of memory are available", human_bytes(static_cast<double>(d.system.memory_available))),
                      "see what a model needs with lazuli inspect; smaller --batch-size, --max-seq-length or --dtype bf16 need less"});
  }
  if (thread_count() > d.system.logical_processors && d.system.logical_processors > 0) {
    advice.push_back({fmt::format("{} threads for {} processors", thread_count(), d.system.logical_processors), "leave --threads out"});
  }
  if (!on_path("dot")) advice.push_back({"no program `dot` to draw what explain --format dot writes", "apt install graphviz"});
  return advice;
}

/// Each card that the driver sees, or one entry with the reason why there is none.
std::vector<DeviceState> cuda_states() {
  std::string problem;
  const int count = cuda_device_count(&problem);
  if (count == 0) return {{"cuda", false, problem}};
  std::vector<DeviceState> states;
  for (int k = 0; k < count; ++k) {
    DeviceState s = state_of(fmt::format("cuda:{}", k), "");
    if (const std::optional<CudaCard> card = s.available ? cuda_card(k) : std::nullopt) {
      s.note = fmt::format("{}, compute capability {}.{}, {} of {} free, driver for CUDA {}.{}", card->name, card->major, card->minor,
                           human_bytes(static_cast<double>(card->free_bytes)), human_bytes(static_cast<double>(card->memory_bytes)),
                           card->driver_version / 1000, card->driver_version % 1000 / 10);
    }
    states.push_back(s);
  }
  return states;
}

Diagnosis diagnose() {
  Diagnosis d;
  d.build = build_info();
  d.system = system_info();
  d.kernels = cpu_kernels();
  d.devices = {state_of("cpu", "oneDNN and vector kernels"), state_of("reference", "slow and simple, to compare with")};
  for (DeviceState& s : cuda_states()) d.devices.push_back(std::move(s));
  std::error_code ignored;
  if (const std::string& path = d.kernels.profile; !path.empty() && std::filesystem::exists(path, ignored)) d.profile = path;
  d.advice = advice_for(d);
  return d;
}

void write_list(JsonWriter& w, std::string_view name, const std::vector<std::string>& list) {
  w.key(name).begin_array();
  for (const std::string& item : list) w.value(item);
  w.end_array();
}

std::string as_json(const Diagnosis& d) {
  JsonWriter w;
  w.begin_object().field("version", d.build.version).field("build_type", d.build.build_type).field("compiler", d.build.compiler);
  w.key("libraries").begin_object();
  for (const auto& [name, version] : d.build.libraries) w.field(name, version);
  w.end_object().field("system", d.system.kernel).field("processor", d.system.processor);
  write_list(w, "features", d.system.features);
  w.field("target", d.kernels.target);
  write_list(w, "targets", d.kernels.targets);
  w.field("matrix_unit", d.kernels.matrix_unit)
      .field("onednn_isa", d.kernels.onednn_isa)
      .field("profile", d.profile)
      .field("processors", d.system.logical_processors)
      .field("threads", thread_count());
  w.key("memory").begin_object().field("total", d.system.memory_total).field("available", d.system.memory_available);
  w.field("limit", d.system.memory_limit).end_object().key("devices").begin_array();
  for (const DeviceState& s : d.devices) {
    w.begin_object().field("name", s.name).field("available", s.available).field("note", s.note).end_object();
  }
  w.end_array();
  write_list(w, "architectures", architectures());
  write_list(w, "encoder_architectures", encoder_architectures());
  w.key("advice").begin_array();
  for (const Advice& a : d.advice) w.begin_object().field("what", a.what).field("how", a.how).end_object();
  w.end_array().end_object();
  return w.text();
}

std::string as_text(const Diagnosis& d) {
  const auto size = [](uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); };
  fmt::memory_buffer out;
  auto to = std::back_inserter(out);
  fmt::format_to(to, "{}\n\n", version_text());
  fmt::format_to(to, "system        {}\nprocessor     {}\nfeatures      {}\n", d.system.kernel, d.system.processor,
                 fmt::join(d.system.features, " "));
  fmt::format_to(to, "kernels       {} (of {}), {} matrix unit; oneDNN: {}\n", d.kernels.target, fmt::join(d.kernels.targets, ", "),
                 d.kernels.matrix_unit ? "with the" : "no", d.kernels.onednn_isa);
  fmt::format_to(to, "profile       {}\n", d.profile.empty() ? "none; scripts/tune_kernels.sh makes one for this machine" : d.profile);
  fmt::format_to(to, "threads       {} on {} processors\n", thread_count(), d.system.logical_processors);
  fmt::format_to(to, "memory        {} available of {}{}\n", size(d.system.memory_available), size(d.system.memory_total),
                 d.system.memory_limit > 0 ? fmt::format(", limited to {}", size(d.system.memory_limit)) : "");
  for (const DeviceState& s : d.devices) {
    fmt::format_to(to, "{:<14}{}{}\n", "device", s.name, s.available ? fmt::format(": ready, {}", s.note) : ": not there");
  }
  fmt::format_to(to, "models        {}; encoders: {}\n", fmt::join(architectures(), ", "), fmt::join(encoder_architectures(), ", "));
  if (!d.advice.empty()) fmt::format_to(to, "\nwhat is missing, and what to do\n");
  for (const Advice& a : d.advice) fmt::format_to(to, "- {}\n  {}\n", a.what, a.how);
  return fmt::to_string(out);
}

}  // namespace

Command doctor_command() {
  Command c;
  c.name = "doctor";
  c.summary = "Show what the program runs on, and what is missing";
  c.details =
      "Versions, the processor's features and which of them the kernels use, threads, memory, devices, and advice. With --model: whether "
      "the\n"
      "model can be run and trained, and what stands in the way; the exit code is 1 where it cannot be run.";
  c.examples =
      "lazuli doctor\n"
      "lazuli doctor --json\n"
      "lazuli doctor --model models/pycoder-16m";
  const auto model = std::make_shared<std::string>();
  c.options = {{.name = "--model",
                .target = model.get(),
                .help = "Look at this model instead: a folder, or a name in the hub's cache",
                .value = "DIR"}};
  c.run = [model](const Common& common) {
    if (!model->empty()) {
      const ModelDiagnosis found = diagnose_model(*model, common);
      common.json ? print_json(as_json(found)) : print_text(as_text(found));
      return found.use.empty() ? kFailed : kOk;
    }
    const Diagnosis d = diagnose();
    if (common.json) {
      print_json(as_json(d));
    } else {
      print_text(as_text(d));
    }
    return kOk;
  };
  return c;
}

}  // namespace lazuli::cli
