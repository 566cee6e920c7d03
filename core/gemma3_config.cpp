#include "core/gemma3_config.h"

#include "core/base/error.h"
#include "core/config_fields.h"

#include <cmath>
#include <limits>
#include <optional>
#include <vector>

namespace errata {
namespace {

// Published files leave out what equals the default of the class, so the defaults are needed.
constexpr std::int64_t kDefaultVocabulary = 262'208;
constexpr std::int64_t kDefaultHeads = 8;
constexpr std::int64_t kDefaultKvHeads = 4;
constexpr std::int64_t kDefaultHeadDim = 256;
constexpr std::int64_t kDefaultPositions = 131'072;
constexpr std::int64_t kDefaultWindow = 4096;
constexpr std::int64_t kDefaultPattern = 6;
constexpr double kDefaultQueryScalar = 256;
constexpr double kGlobalBase = 1'000'000;
constexpr double kLocalBase = 10'000;
constexpr const char* kSliding = kSlidingLayer;
constexpr const char* kFull = kFullLayer;

RopeConfig parse_rope(
    const JsonFields& config, const char* kind, const char* base_field, double default_base) {
  const std::int64_t positions =
      optional_size(config, "max_position_embeddings", kDefaultPositions);
  RopeConfig rope;
  rope.base = positive_number(config, base_field, default_base);
  const Json* sections = config.find("rope_parameters");
  if (sections != nullptr && !sections->is_null()) {
    const JsonFields both(*sections, config.where() + ": rope_parameters");
    ERRATA_CHECK(
        both.has(kSliding) || both.has(kFull) || sections->empty(),
        ErrorCode::kUnsupported,
        both.where(),
        ": one set of fields for all layers; expected '",
        kSliding,
        "' and '",
        kFull,
        "'");
    if (!both.is_null(kind)) {
      const JsonFields fields(*both.find(kind), concat(both.where(), ": ", kind));
      rope.base = positive_number(fields, "rope_theta", rope.base);
      apply_rope_scaling(fields, positions, rope);
    }
  }
  // transformers 4: one scaling, for the global layers only.
  if (kind == kFull && !config.is_null("rope_scaling")) {
    apply_rope_scaling(
        JsonFields(*config.find("rope_scaling"), config.where() + ": rope_scaling"),
        positions,
        rope);
  }
  return rope;
}

std::vector<bool> parse_global_layers(const JsonFields& config, std::int64_t count) {
  std::vector<bool> global = parse_layer_types(config, count);
  if (global.empty()) {
    const std::int64_t pattern = optional_size(config, "sliding_window_pattern", kDefaultPattern);
    for (std::int64_t i = 0; i < count; ++i) {
      global.push_back((i + 1) % pattern == 0);
    }
  }
  return global;
}

std::vector<LayerConfig> parse_layers(const JsonFields& config) {
  const std::int64_t count = required_size(config, "num_hidden_layers", kMostLayers);
  const std::int64_t window = config.has("sliding_window") && config.is_null("sliding_window")
                                  ? 0
                                  : optional_size(config, "sliding_window", kDefaultWindow);
  const LayerConfig local{window, parse_rope(config, kSliding, "rope_local_base_freq", kLocalBase)};
  const LayerConfig global{0, parse_rope(config, kFull, "rope_theta", kGlobalBase)};
  std::vector<LayerConfig> layers;
  for (const bool is_global : parse_global_layers(config, count)) {
    layers.push_back(is_global ? global : local);
  }
  return layers;
}

// The layer that stands for all of its kind; all of them must be equal to be written.
std::optional<LayerConfig> layer_of_kind(const DecoderConfig& config, bool global) {
  std::optional<LayerConfig> found;
  for (const LayerConfig& layer : config.layers) {
    if ((layer.window == 0) != global) {
      continue;
    }
    ERRATA_CHECK(
        !found || (found->window == layer.window && found->rope == layer.rope),
        ErrorCode::kUnsupported,
        "a Gemma 3 config.json cannot describe layers of one kind that differ in window or RoPE");
    found = layer;
  }
  return found;
}

OrderedJson rope_json(const RopeConfig& rope) {
  ERRATA_CHECK(
      !rope.llama3 && !rope.yarn && !rope.dynamic,
      ErrorCode::kUnsupported,
      "writing a Gemma 3 config.json with llama3, yarn or dynamic RoPE is not supported");
  OrderedJson json{{"rope_theta", rope.base}, {"rope_type", "default"}};
  if (rope.factor != 1) {
    json["rope_type"] = "linear";
    json["factor"] = rope.factor;
  }
  return json;
}

// transformers 5 insists on an integer here.
OrderedJson query_scalar_json(double query_scale) {
  const double scalar = 1.0 / (query_scale * query_scale);
  const double whole = std::round(scalar);
  return std::abs(scalar - whole) < 1e-6 * whole ? OrderedJson(static_cast<std::int64_t>(whole))
                                                 : OrderedJson(scalar);
}

} // namespace

DecoderConfig parse_gemma3_text(const JsonFields& config) {
  refuse_set(
      config, {"attn_logit_softcapping", "quantization_config", "use_bidirectional_attention"});
  DecoderConfig result;
  result.model_type = "gemma3_text";
  result.vocab_size = optional_size(config, "vocab_size", kDefaultVocabulary);
  result.hidden_size = required_size(config, "hidden_size");
  result.intermediate_size = required_size(config, "intermediate_size");
  parse_heads(config, {kDefaultHeads, kDefaultKvHeads, kDefaultHeadDim}, result);
  result.max_positions = optional_size(config, "max_position_embeddings", kDefaultPositions);
  result.norm_eps = positive_number(config, "rms_norm_eps", 1e-6);
  result.query_scale =
      1.0 / std::sqrt(positive_number(config, "query_pre_attn_scalar", kDefaultQueryScalar));
  result.embedding_scale = std::sqrt(static_cast<double>(result.hidden_size));
  result.norm_adds_one = true;
  result.sandwich_norms = true;
  result.qk_norm = true;
  result.attention_bias = config.optional<bool>("attention_bias", false);
  result.output_bias = result.attention_bias;
  result.tie_word_embeddings = config.optional<bool>("tie_word_embeddings", true);
  result.activation = parse_activation(config, "gelu_pytorch_tanh", true);
  if (!config.is_null("final_logit_softcapping")) {
    result.final_logit_softcap = positive_number(config, "final_logit_softcapping", 1);
  }
  result.layers = parse_layers(config);
  return result;
}

DecoderConfig parse_gemma3(const JsonFields& config) {
  refuse_set(
      config, {"attn_logit_softcapping", "quantization_config", "use_bidirectional_attention"});
  const Json* text = config.find("text_config");
  ERRATA_CHECK(
      text != nullptr, ErrorCode::kCorrupt, config.where(), ": field 'text_config' is missing");
  const JsonFields fields(*text, config.where() + ": text_config");
  DecoderConfig result = parse_gemma3_text(fields);
  // The outer model owns the head, so its field decides where both are given.
  result.tie_word_embeddings =
      config.optional<bool>("tie_word_embeddings", result.tie_word_embeddings);
  return result;
}

OrderedJson gemma3_text_json(const DecoderConfig& config) {
  ERRATA_CHECK(
      config.norm_adds_one && config.sandwich_norms && config.qk_norm &&
          config.output_bias == config.attention_bias && !config.mlp_bias,
      ErrorCode::kUnsupported,
      "a Gemma 3 config.json cannot describe a decoder without (1 + w), sandwich and QK norms, or "
      "with biases that are not on all of q, k, v and o");
  const auto local = layer_of_kind(config, false);
  const auto global = layer_of_kind(config, true);
  const RopeConfig local_rope = local ? local->rope : RopeConfig{kLocalBase, 1};
  const RopeConfig global_rope = global ? global->rope : RopeConfig{kGlobalBase, 1};
  OrderedJson types = OrderedJson::array();
  for (const LayerConfig& layer : config.layers) {
    types.push_back(layer.window == 0 ? kFull : kSliding);
  }
  OrderedJson json;
  json["architectures"] = {"Gemma3ForCausalLM"};
  json["model_type"] = "gemma3_text";
  json["attention_bias"] = config.attention_bias;
  json["attention_dropout"] = 0.0;
  json["final_logit_softcapping"] =
      config.final_logit_softcap ? OrderedJson(*config.final_logit_softcap) : OrderedJson();
  json["head_dim"] = config.head_dim;
  json["hidden_activation"] = config.activation == Activation::kSilu ? "silu" : "gelu_pytorch_tanh";
  json["hidden_size"] = config.hidden_size;
  json["initializer_range"] = 0.02;
  json["intermediate_size"] = config.intermediate_size;
  json["layer_types"] = types;
  json["max_position_embeddings"] = config.max_positions;
  json["num_attention_heads"] = config.num_heads;
  json["num_hidden_layers"] = config.num_layers();
  json["num_key_value_heads"] = config.num_kv_heads;
  json["query_pre_attn_scalar"] = query_scalar_json(config.query_scale);
  json["rms_norm_eps"] = config.norm_eps;
  json["rope_parameters"] = {{kSliding, rope_json(local_rope)}, {kFull, rope_json(global_rope)}};
  // The same for readers that know transformers 4's names only.
  json["rope_theta"] = global_rope.base;
  json["rope_local_base_freq"] = local_rope.base;
  if (global_rope.factor != 1) {
    json["rope_scaling"] = {{"rope_type", "linear"}, {"factor", global_rope.factor}};
  }
  json["sliding_window"] = local ? local->window : config.max_positions;
  json["tie_word_embeddings"] = config.tie_word_embeddings;
  json["use_cache"] = true;
  json["vocab_size"] = config.vocab_size;
  return json;
}

} // namespace errata
