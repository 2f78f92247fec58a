// Implements the reading of the files of the modules that modules.json lists.
#include "embed/modules.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "embed/transformer_settings.h"
#include "lazuli/error.h"
#include "models/module_list.h"
#include "models/registry.h"
#include "models/weights.h"
#include "nn/unit_rows.h"

namespace lazuli {

namespace {

constexpr int64_t kMaxSize = int64_t{1} << 24;

void need_sentence_embedding(const JsonValue& root) {
  for (const char* key : {"module_input_name", "module_output_name"}) {
    if (root.string_or(key, "sentence_embedding") != "sentence_embedding") root.get(key).fail("sentence_embedding expected");
  }
}

class Normalize : public VectorModule {
 public:
  LazyTensor forward(const LazyTensor& x) const override { return unit_rows(x); }
};

LazyTensor identity(const LazyTensor& x, Where) { return x; }

class Dense : public VectorModule {
 public:
  Dense(ModelFolder& folder, int64_t in) {
    const auto document = folder.require("config.json");
    const JsonValue root = document->root();
    if (const int64_t size = root.get("in_features").as_int(); size != in) {
      root.get("in_features").fail(fmt::format("{}, the size of the vectors before it, expected, got {}", in, size));
    }
    const int64_t out = root.get("out_features").as_int();
    if (out < 1 || out > kMaxSize) root.get("out_features").fail(fmt::format("a number from 1 to {} expected, got {}", kMaxSize, out));
    need_sentence_embedding(root);
    activation_ = activation_of(root);
    WeightReader weights(folder.weights(), DType::f32);
    Tensor weight = weights.take("linear.weight", {out, in}, "out_features, in_features");
    linear_ = Linear(std::move(weight), root.bool_or("bias", true) ? weights.take("linear.bias", {out}, "out_features") : Tensor());
    residual_ = root.bool_or("use_residual", false);
    if (residual_ && in != out) shortcut_ = Linear(weights.take("residual.weight", {out, in}, "out_features, in_features"), Tensor());
    weights.finish({});
  }
  int64_t out_size() const { return linear_.out_size(); }
  LazyTensor forward(const LazyTensor& x) const override {
    const LazyTensor y = activation_(linear_.forward(x), {});
    if (!residual_) return y;
    return add(y, linear_.in_size() == linear_.out_size() ? x : shortcut_.forward(x));
  }

 private:
  using Activation = LazyTensor (*)(const LazyTensor&, Where);
  static Activation activation_of(const JsonValue& root) {
    static constexpr std::pair<std::string_view, Activation> table[] = {{"Tanh", tanh}, {"Identity", identity}, {"ReLU", relu},
                                                                        {"GELU", gelu}, {"SiLU", silu},         {"Sigmoid", sigmoid}};
    const std::string name = root.string_or("activation_function", "torch.nn.modules.activation.Tanh");
    for (const auto& [end, function] : table) {
      if (name.starts_with("torch.nn.") && std::string_view(name).substr(name.rfind('.') + 1) == end) return function;
    }
    root.get("activation_function").fail(fmt::format("torch.nn's Tanh, Identity, ReLU, GELU, SiLU or Sigmoid expected, got '{}'", name));
  }

  Linear linear_;
  bool residual_ = false;
  Linear shortcut_;  // where the sizes differ
  Activation activation_ = nullptr;
};

void read_encoder(ModelFolder& folder, DType dtype, Quantization quantization, Modules& m) {
  m.encoder = load_encoder(folder, dtype, quantization);
  m.dimensions = m.encoder->info().hidden_size;
  const TransformerSettings settings = TransformerSettings::read(folder, m.encoder->info().context);
  m.max_seq_length = settings.max_seq_length;
  m.lower_case = settings.lower_case;
}

/// The first numbers of a vector.
class Truncate : public VectorModule {
 public:
  explicit Truncate(int64_t size) : size_(size) {}
  LazyTensor forward(const LazyTensor& x) const override { return slice(x, 1, 0, size_); }

 private:
  int64_t size_;
};

void read_prompts(ModelFolder& folder, Modules& m) {
  m.prompts = {{"query", ""}, {"document", ""}};  // which every model of sentence-transformers has
  const auto document = folder.find("config_sentence_transformers.json");
  if (!document) return;
  const JsonValue root = document->root();
  if (const std::string type = root.string_or("model_type", "SentenceTransformer"); type != "SentenceTransformer") {
    root.get("model_type").fail(fmt::format("SentenceTransformer expected, got '{}'", type));
  }
  if (const auto prompts = root.find("prompts"); prompts && !prompts->is_null()) {
    for (const JsonMember& member : prompts->as_object()) {
      m.prompts[std::string(member.key)] = member.value.is_null() ? "" : std::string(member.value.as_string());
    }
  }
  m.default_prompt = root.string_or("default_prompt_name", "");
  if (!m.default_prompt.empty() && !m.prompts.contains(m.default_prompt)) {
    root.get("default_prompt_name").fail(fmt::format("the name of one of the prompts expected, got '{}'", m.default_prompt));
  }
  // Names that sentence-transformers does not know mean the cosine, too.
  static constexpr std::pair<std::string_view, Similarity> kinds[] = {
      {"dot", Similarity::dot}, {"euclidean", Similarity::euclidean}, {"manhattan", Similarity::manhattan}};
  const std::string similarity = root.string_or("similarity_fn_name", "cosine");
  for (const auto& [name, kind] : kinds) {
    if (name == similarity) m.similarity = kind;
  }
  const auto size = root.find_set("truncate_dim");
  if (!size) return;
  if (size->as_int() < 1) size->fail(fmt::format("a number from 1 on expected, got {}", size->as_int()));
  m.dimensions = std::min(m.dimensions, size->as_int());
  m.after.push_back(std::make_unique<Truncate>(m.dimensions));
}

/// Normalize has a file since sentence-transformers 5.
void check_names(ModelFolder& folder) {
  const auto document = folder.find("config.json");
  if (document) need_sentence_embedding(document->root());
}

void read_module(const ModuleEntry& entry, ModelFolder& folder, DType dtype, Quantization quantization, Modules& m) {
  if (entry.kind == "Transformer") {
    read_encoder(folder, dtype, quantization, m);
  } else if (entry.kind == "Pooling") {
    m.pooling = Pooling::read(folder, m.dimensions);
    m.dimensions *= static_cast<int64_t>(m.pooling.modes.size());
  } else if (entry.kind == "Dense") {
    auto dense = std::make_unique<Dense>(folder, m.dimensions);
    m.dimensions = dense->out_size();
    m.after.push_back(std::move(dense));
  } else {
    check_names(folder);
    m.after.push_back(std::make_unique<Normalize>());
  }
}

/// Without modules, sentence-transformers takes the last token's state of what was made to continue texts.
bool made_for_text(const JsonDocument& config) {
  const auto classes = config.root().find_set("architectures");
  if (!classes || classes->as_array().size() == 0) return false;
  const auto first = *classes->as_array().begin();
  const auto causal = config.root().find_set("is_causal");
  return first.as_string().ends_with("ForCausalLM") && !(causal && causal->is_bool() && !causal->as_bool());
}

}  // namespace

Modules Modules::read(ModelFolder& folder, DType dtype, Quantization quantization) {
  Modules m;
  const std::vector<ModuleEntry> entries = read_module_list(folder);
  for (const ModuleEntry& entry : entries) read_module(entry, folder.below(entry.path), dtype, quantization, m);
  if (entries.empty()) {
    read_encoder(folder, dtype, quantization, m);
    if (made_for_text(*folder.require("config.json"))) m.pooling.modes = {PoolingMode::lasttoken};
  }
  read_prompts(folder, m);
  return m;
}

}  // namespace lazuli
