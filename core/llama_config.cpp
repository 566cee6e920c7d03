#include "core/llama_config.h"

#include "core/base/error.h"
#include "core/config_fields.h"

#include <cmath>
#include <optional>
#include <vector>

namespace errata {
namespace {

constexpr double kRopeBase = 10'000;

/// What a file of the family may leave out.
struct Defaults {
  std::int64_t vocab_size = 32'000;
  std::int64_t max_positions = 2048;
  HeadDefaults heads;
  const char* activation = "silu";
  bool gelu_is_tanh = false;
  bool tie_word_embeddings = false;
};

RopeConfig parse_rope(const JsonFields& config, std::int64_t max_positions) {
  RopeConfig rope;
  rope.base = positive_number(config, "rope_theta", kRopeBase);
  // transformers 5 writes the first; it holds the base too. transformers 4 the second.
  for (const char* name : {"rope_parameters", "rope_scaling"}) {
    if (config.is_null(name)) {
      continue;
    }
    const JsonFields fields(*config.find(name), concat(config.where(), ": ", name));
    for (const char* kind : {kSlidingLayer, kFullLayer}) {
      ERRATA_CHECK(
          !fields.has(kind),
          ErrorCode::kUnsupported,
          fields.where(),
          ": a set of fields for '",
          kind,
          "'; expected one set for all layers");
    }
    ERRATA_CHECK(
        fields.optional<double>("partial_rotary_factor", 1) == 1,
        ErrorCode::kUnsupported,
        fields.where(),
        ": 'partial_rotary_factor' other than 1 is not supported");
    rope.base = positive_number(fields, "rope_theta", rope.base);
    apply_rope_scaling(fields, max_positions, rope);
    break;
  }
  return rope;
}

DecoderConfig parse_common(
    const JsonFields& config, const char* model_type, const Defaults& defaults) {
  refuse_set(config, {"quantization_config", "use_bidirectional_attention"});
  DecoderConfig result;
  result.model_type = model_type;
  result.vocab_size = optional_size(config, "vocab_size", defaults.vocab_size);
  result.hidden_size = required_size(config, "hidden_size");
  result.intermediate_size = required_size(config, "intermediate_size");
  parse_heads(config, defaults.heads, result);
  result.max_positions = optional_size(config, "max_position_embeddings", defaults.max_positions);
  result.norm_eps = positive_number(config, "rms_norm_eps", 1e-6);
  result.query_scale = 1.0 / std::sqrt(static_cast<double>(result.head_dim));
  result.tie_word_embeddings =
      config.optional<bool>("tie_word_embeddings", defaults.tie_word_embeddings);
  result.activation = parse_activation(config, defaults.activation, defaults.gelu_is_tanh);
  const std::int64_t count = required_size(config, "num_hidden_layers", kMostLayers);
  result.layers.assign(
      static_cast<std::size_t>(count), LayerConfig{0, parse_rope(config, result.max_positions)});
  return result;
}

void set_attention_biases(const JsonFields& config, DecoderConfig& result) {
  result.attention_bias = config.optional<bool>("attention_bias", false);
  result.output_bias = result.attention_bias;
}

DecoderConfig parse_gemma_family(
    const JsonFields& config, const char* model_type, const HeadDefaults& heads) {
  Defaults defaults;
  defaults.vocab_size = 256'000;
  defaults.max_positions = 8192;
  defaults.heads = heads;
  defaults.activation = "gelu_pytorch_tanh";
  defaults.gelu_is_tanh = true;
  defaults.tie_word_embeddings = true;
  DecoderConfig result = parse_common(config, model_type, defaults);
  result.embedding_scale = std::sqrt(static_cast<double>(result.hidden_size));
  result.norm_adds_one = true;
  set_attention_biases(config, result);
  return result;
}

// `fallback` where the field is missing, no cap where it is null.
std::optional<double> soft_cap(const JsonFields& config, const char* name, double fallback) {
  if (config.has(name) && config.is_null(name)) {
    return std::nullopt;
  }
  return positive_number(config, name, fallback);
}

// `head_dim` 0: hidden_size / heads.
Defaults qwen_defaults(std::int64_t head_dim) {
  Defaults defaults;
  defaults.vocab_size = 151'936;
  defaults.max_positions = 32'768;
  defaults.heads.kv_heads = 32;
  defaults.heads.head_dim = head_dim;
  return defaults;
}

// Qwen: a window only when `use_sliding_window` says so, from layer `max_window_layers` on.
void set_qwen_windows(const JsonFields& config, DecoderConfig& result) {
  constexpr std::int64_t kWindow = 4096;
  constexpr std::int64_t kFirst = 28;
  const bool windows = config.optional<bool>("use_sliding_window", false) &&
                       !(config.has("sliding_window") && config.is_null("sliding_window"));
  std::vector<bool> global = parse_layer_types(config, result.num_layers());
  if (global.empty()) {
    const auto first = config.optional<std::int64_t>("max_window_layers", kFirst);
    for (std::int64_t i = 0; i < result.num_layers(); ++i) {
      global.push_back(!windows || i < first);
    }
  }
  for (std::size_t i = 0; i < global.size(); ++i) {
    ERRATA_CHECK(
        global[i] || windows,
        ErrorCode::kCorrupt,
        config.where(),
        ": 'layer_types' has '",
        kSlidingLayer,
        "', but 'use_sliding_window' is not set");
    if (!global[i]) {
      result.layers[i].window = optional_size(config, "sliding_window", kWindow);
    }
  }
}

} // namespace

DecoderConfig parse_llama(const JsonFields& config) {
  DecoderConfig result = parse_common(config, "llama", {});
  set_attention_biases(config, result);
  result.mlp_bias = config.optional<bool>("mlp_bias", false);
  return result;
}

DecoderConfig parse_mistral(const JsonFields& config) {
  Defaults defaults;
  defaults.max_positions = 131'072;
  defaults.heads.kv_heads = 8;
  DecoderConfig result = parse_common(config, "mistral", defaults);
  // Missing in files of transformers 4 means its default, null means none.
  constexpr std::int64_t kWindow = 4096;
  if (!config.has("sliding_window") || !config.is_null("sliding_window")) {
    const std::int64_t window = optional_size(config, "sliding_window", kWindow);
    for (LayerConfig& layer : result.layers) {
      layer.window = window;
    }
  }
  return result;
}

DecoderConfig parse_qwen2(const JsonFields& config) {
  DecoderConfig result = parse_common(config, "qwen2", qwen_defaults(0));
  result.attention_bias = true;
  set_qwen_windows(config, result);
  return result;
}

DecoderConfig parse_qwen3(const JsonFields& config) {
  DecoderConfig result = parse_common(config, "qwen3", qwen_defaults(128));
  result.qk_norm = true;
  set_attention_biases(config, result);
  set_qwen_windows(config, result);
  return result;
}

DecoderConfig parse_gemma(const JsonFields& config) {
  return parse_gemma_family(config, "gemma", {16, 16, 256});
}

DecoderConfig parse_gemma2(const JsonFields& config) {
  constexpr double kQueryScalar = 256;
  constexpr std::int64_t kWindow = 4096;
  DecoderConfig result = parse_gemma_family(config, "gemma2", {8, 4, 256});
  result.sandwich_norms = true;
  result.query_scale =
      1.0 / std::sqrt(positive_number(config, "query_pre_attn_scalar", kQueryScalar));
  result.attention_softcap = soft_cap(config, "attn_logit_softcapping", 50);
  result.final_logit_softcap = soft_cap(config, "final_logit_softcapping", 30);
  const std::vector<bool> global = parse_layer_types(config, result.num_layers());
  const bool windows = !config.has("sliding_window") || !config.is_null("sliding_window");
  for (std::size_t i = 0; i < result.layers.size(); ++i) {
    const bool local = global.empty() ? i % 2 == 0 : !global[i];
    if (local && windows) {
      result.layers[i].window = optional_size(config, "sliding_window", kWindow);
    }
  }
  return result;
}

} // namespace errata
