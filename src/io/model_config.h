// Defines ModelConfig, the hyper-parameters of a model as its `config.json` states them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "lazuli/dtype.h"

namespace lazuli {

/// How rotary frequencies are stretched for long contexts.
struct RopeScaling {
  enum class Kind : uint8_t { none, linear, llama3, yarn, longrope, proportional };
  Kind kind = Kind::none;
  double factor = 1.0;
  int64_t original_max_position_embeddings = 0;  ///< of llama3, yarn and longrope
  // Only for llama3.
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  // Only for yarn: waves that turn more often than beta_fast times in the original context stay, others than beta_slow are stretched.
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  bool truncate = true;  ///< the borders between these are whole pairs
  // Only for longrope: of each pair, in texts up to the original context and beyond.
  std::vector<double> short_factors = {};
  std::vector<double> long_factors = {};
  int64_t turned_pairs = 0;       ///< of proportional: the first pairs of a head, which turn as if all did
  double attention_factor = 1.0;  ///< of yarn and longrope: of cosines and sines
};

/// Rotary positions of the first `size` numbers of a head.
struct RopeSpec {
  double theta = 10000.0;
  RopeScaling scaling = {};
  int64_t size = 0;
  /// Queries are multiplied by 1 + query_growth * log(1 + floor(position / original_max_position_embeddings)), as Llama 4 scales them.
  double query_growth = 0;
};

struct ModelConfig;

/// Of each layer, how many positions up to its own a token attends to; 0 for all. Throws FormatError naming the key where an architecture
/// does not follow it.
using WindowRule = std::vector<int64_t>(const JsonValue& root, const ModelConfig& config);

/// What one architecture makes of config.json: the sizes that its class in transformers takes for missing keys (0: the key must be there),
/// and the keys that it heeds. Keys of windows mean something else in each architecture, so none is entered without a rule for them.
struct ConfigRules {
  WindowRule& windows;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;  ///< 0: as many as attention heads
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;
  int64_t head_dim = 0;  ///< 0: hidden_size / num_attention_heads
  const char* activation_key = "hidden_act";
  const char* hidden_act = "silu";
  bool tie_word_embeddings = false;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  double partial_rotary_factor = 1;              ///< the part of a head that turns where no key says
  int64_t original_max_position_embeddings = 0;  ///< 0: without the key what the rotary keys say
  bool ropes_by_layer = false;                   ///< it reads the rotary keys itself
  std::array<std::string_view, 12> reads = {};   ///< keys that only some decoders heed and it does
  /// Keys of sizes and, after each, the name that files of this architecture have for it.
  std::array<std::pair<std::string_view, std::string_view>, 6> aliases = {};
  bool mxfp4 = false;   ///< takes weights that are stored as MXFP4
  bool decoder = true;  ///< heeds rotary keys, head_dim, num_key_value_heads, tie_word_embeddings and rms_norm_eps

  bool heeds(std::string_view key) const { return std::find(reads.begin(), reads.end(), key) != reads.end(); }
};

/// The rule of architectures without keys of windows: only `layer_types`, which newer files of any architecture may have, must not ask for
/// anything but full attention.
WindowRule full_attention_only;
/// The rule of Qwen's architectures: `sliding_window` counts only with `use_sliding_window`, in the layers that `layer_types` names, or
/// without it from `max_window_layers` on.
WindowRule qwen_windows;
/// The same with another value of a missing `max_window_layers`.
std::vector<int64_t> qwen_windows_from(const JsonValue& root, const ModelConfig& config, int64_t missing);
/// The rule of architectures whose layers all slide where `sliding_window` is set, and none where it is null or missing.
WindowRule equal_windows;
/// Windows of `length` in all layers, 0: none. Throws FormatError where `layer_types` says otherwise.
std::vector<int64_t> windows_of_all_layers(const JsonValue& root, const ModelConfig& config, int64_t length);
/// Of each layer, whether `layer_types` names it `type` and not full_attention, or without that key what `missing` says.
std::vector<bool> layers_of_type(const JsonValue& root, const ModelConfig& config, std::string_view type,
                                 const std::function<bool(int64_t layer)>& missing);
/// Of each layer, whether it slides: as `layer_types` says, or without it `slides`.
std::vector<bool> sliding_layers(const JsonValue& root, const ModelConfig& config, const std::function<bool(int64_t layer)>& slides);
/// Windows of `length` in the layers that `layer_types` names, or without it where `slides` says so; 0: there is no window, and no layer
/// may have one. One as long as the context is none.
std::vector<int64_t> layer_windows(const JsonValue& root, const ModelConfig& config, int64_t length,
                                   const std::function<bool(int64_t layer)>& slides);

/// Hyper-parameters of a transformer in the words of Hugging Face's `config.json`. Every number is in a range where products
/// of two of them fit int64.
struct ModelConfig {
  std::string model_type;
  std::vector<std::string> architectures;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;  ///< divides num_attention_heads
  int64_t head_dim = 0;             ///< hidden_size / num_attention_heads when the file does not say
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  RopeSpec rope;
  bool tie_word_embeddings = false;
  std::string hidden_act;
  std::string_view activation_key;     ///< that says so
  std::vector<int64_t> windows;        ///< of each layer, as the rule of its architecture says
  std::vector<int64_t> eos_token_ids;  ///< ids of the vocabulary; others never come up
  std::vector<int64_t> media_tokens;   ///< ids of the vocabulary that stand for images, videos or sound
  std::optional<DType> dtype;          ///< of the stored weights
  bool states_only = false;            ///< no output layer is wanted, whatever the file says
  double initializer_range = 0.02;

  /// The whole file, for keys that only some architectures have.
  std::shared_ptr<const JsonDocument> json;

  /// Throws FormatError that names the file and the key.
  static ModelConfig from(std::shared_ptr<const JsonDocument> document, const ConfigRules& rules);
  static ModelConfig parse(std::string_view text, const std::string& name, const ConfigRules& rules);
};

/// The `model_type` of a config.json. Throws FormatError.
std::string model_type_of(const JsonDocument& document);

/// One token id, a list, or null for none. An id outside the vocabulary is what files say for "no token": it is told and left out. Throws
/// FormatError.
std::vector<int64_t> read_token_ids(const JsonDocument& document, const JsonValue& value, int64_t vocab_size);

// Values of keys as transformers takes them: a missing key has the fallback, while null is a value, and of the wrong kind.

/// In [low, high]. Throws FormatError.
int64_t int_key(const JsonValue& root, std::string_view key, int64_t low, int64_t high, int64_t fallback);
double real_key(const JsonValue& root, std::string_view key, double low, double high, double fallback);
bool bool_key(const JsonValue& root, std::string_view key, bool fallback);
/// The value of `key`; nothing when it is missing or null, for keys where these are the same.
std::optional<JsonValue> set_key(const JsonValue& root, std::string_view key);
/// Throws FormatError about `key` where it stands, or about the whole file where it is missing.
[[noreturn]] void fail_key(const JsonValue& root, std::string_view key, std::string_view message);
/// A number in [low, high]. Throws FormatError.
double real_in_range(const JsonValue& value, double low, double high);

/// `rope_scaling`, the older name, comes before `rope_parameters` unless it is empty, and the other object is not read at all then.
std::optional<JsonValue> rope_object(const JsonValue& root);
/// What the rotary keys say. Throws FormatError.
RopeSpec read_rope(const JsonValue& root, const ConfigRules& rules, const ModelConfig& config);
/// What they say of the layers of one type where `rope_parameters` has an object for each. Without one the base is that of `theta_key`, or
/// `theta`, and the stretching that of `rope_scaling` where `scaled`. Throws FormatError.
RopeSpec read_layer_rope(const JsonValue& root, const ConfigRules& rules, const ModelConfig& config, std::string_view layer_type,
                         std::string_view theta_key, double theta, bool scaled);

}  // namespace lazuli
