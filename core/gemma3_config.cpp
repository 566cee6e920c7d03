#include "core/gemma3_config.h"

#include "core/base/error.h"

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
constexpr const char* kSliding = "sliding_attention";
constexpr const char* kFull = "full_attention";

// Larger than any model, and small enough that no product of a tensor's sizes leaves 63 bits.
constexpr std::int64_t kLargestCount = std::int64_t{1} << 30; // vocabulary, positions
constexpr std::int64_t kLargestSize = std::int64_t{1} << 24;
constexpr std::int64_t kLargestOfHeads = std::int64_t{1} << 16; // their number, their size
constexpr std::int64_t kMostLayers = 10'000;

std::int64_t size_field(
    const JsonFields& config, const char* name, std::int64_t value, std::int64_t largest) {
  ERRATA_CHECK(
      value >= 1 && value <= largest,
      ErrorCode::kCorrupt,
      config.where(),
      ": field '",
      name,
      "' is ",
      value,
      "; expected 1 to ",
      largest);
  return value;
}

std::int64_t required_size(const JsonFields& config, const char* name) {
  return size_field(config, name, config.required<std::int64_t>(name), kLargestSize);
}

std::int64_t optional_size(
    const JsonFields& config,
    const char* name,
    std::int64_t fallback,
    std::int64_t largest = kLargestCount) {
  return size_field(config, name, config.optional<std::int64_t>(name, fallback), largest);
}

double positive(const JsonFields& config, const char* name, double fallback) {
  const double value = config.optional<double>(name, fallback);
  ERRATA_CHECK(
      value > 0 && std::isfinite(value),
      ErrorCode::kCorrupt,
      config.where(),
      ": field '",
      name,
      "' is ",
      value,
      "; expected a positive number");
  return value;
}

Activation parse_activation(const JsonFields& config) {
  const char* field = config.is_null("hidden_activation") ? "hidden_act" : "hidden_activation";
  const auto name = config.optional<std::string>(field, "gelu_pytorch_tanh");
  // Old files say "gelu" and mean its tanh form.
  if (name == "gelu_pytorch_tanh" || name == "gelu" || name == "gelu_new") {
    return Activation::kGeluTanh;
  }
  if (name == "silu" || name == "swish") {
    return Activation::kSilu;
  }
  ERRATA_FAIL(
      ErrorCode::kUnsupported,
      config.where(),
      ": ",
      field,
      " '",
      name,
      "' is not supported; supported: gelu_pytorch_tanh, gelu, silu");
}

// Type and factor of one set of RoPE fields, on top of `rope`.
void apply_rope_scaling(const JsonFields& fields, RopeConfig& rope) {
  const auto type =
      fields.optional<std::string>("rope_type", fields.optional<std::string>("type", "default"));
  if (type == "linear") {
    ERRATA_CHECK(
        !fields.is_null("factor"),
        ErrorCode::kCorrupt,
        fields.where(),
        ": linear RoPE without 'factor'");
    rope.factor = positive(fields, "factor", 1);
    return;
  }
  ERRATA_CHECK(
      type == "default",
      ErrorCode::kUnsupported,
      fields.where(),
      ": rope_type '",
      type,
      "' is not supported; supported: default, linear");
  rope.factor = 1;
}

RopeConfig parse_rope(
    const JsonFields& config, const char* kind, const char* base_field, double default_base) {
  RopeConfig rope;
  rope.base = positive(config, base_field, default_base);
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
      rope.base = positive(fields, "rope_theta", rope.base);
      apply_rope_scaling(fields, rope);
    }
  }
  // transformers 4: one scaling, for the global layers only.
  if (kind == kFull && !config.is_null("rope_scaling")) {
    apply_rope_scaling(
        JsonFields(*config.find("rope_scaling"), config.where() + ": rope_scaling"), rope);
  }
  return rope;
}

std::vector<bool> parse_global_layers(const JsonFields& config, std::int64_t count) {
  std::vector<bool> global;
  const Json* types = config.find("layer_types");
  if (types == nullptr || types->is_null()) {
    const std::int64_t pattern = optional_size(config, "sliding_window_pattern", kDefaultPattern);
    for (std::int64_t i = 0; i < count; ++i) {
      global.push_back((i + 1) % pattern == 0);
    }
    return global;
  }
  ERRATA_CHECK(
      types->is_array() && types->size() == static_cast<std::size_t>(count),
      ErrorCode::kCorrupt,
      config.where(),
      ": 'layer_types' must list a type for each of the ",
      count,
      " layers");
  for (const Json& type : *types) {
    const bool known = type == kSliding || type == kFull;
    ERRATA_CHECK(
        known,
        ErrorCode::kUnsupported,
        config.where(),
        ": layer type ",
        type.dump(-1, ' ', false, Json::error_handler_t::replace),
        " is not supported; supported: ",
        kSliding,
        ", ",
        kFull);
    global.push_back(type == kFull);
  }
  return global;
}

std::vector<LayerConfig> parse_layers(const JsonFields& config) {
  const std::int64_t count = size_field(
      config, "num_hidden_layers", config.required<std::int64_t>("num_hidden_layers"), kMostLayers);
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

void refuse_features(const JsonFields& config) {
  for (const char* name : {"attn_logit_softcapping", "quantization_config"}) {
    ERRATA_CHECK(
        config.is_null(name),
        ErrorCode::kUnsupported,
        config.where(),
        ": '",
        name,
        "' is set; it is not supported for Gemma 3, expected null");
  }
  ERRATA_CHECK(
      !config.optional<bool>("use_bidirectional_attention", false),
      ErrorCode::kUnsupported,
      config.where(),
      ": 'use_bidirectional_attention' is not supported; expected a causal model");
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
  refuse_features(config);
  DecoderConfig result;
  result.model_type = "gemma3_text";
  result.vocab_size = optional_size(config, "vocab_size", kDefaultVocabulary);
  result.hidden_size = required_size(config, "hidden_size");
  result.intermediate_size = required_size(config, "intermediate_size");
  result.num_heads = optional_size(config, "num_attention_heads", kDefaultHeads, kLargestOfHeads);
  result.num_kv_heads =
      config.has("num_key_value_heads") && config.is_null("num_key_value_heads")
          ? result.num_heads
          : optional_size(config, "num_key_value_heads", kDefaultKvHeads, kLargestOfHeads);
  ERRATA_CHECK(
      result.num_heads % result.num_kv_heads == 0,
      ErrorCode::kCorrupt,
      config.where(),
      ": 'num_attention_heads' ",
      result.num_heads,
      " is not a multiple of 'num_key_value_heads' ",
      result.num_kv_heads);
  result.head_dim = optional_size(config, "head_dim", kDefaultHeadDim, kLargestOfHeads);
  ERRATA_CHECK(
      result.head_dim % 2 == 0,
      ErrorCode::kCorrupt,
      config.where(),
      ": 'head_dim' is ",
      result.head_dim,
      "; expected an even number (RoPE turns pairs)");
  result.max_positions = optional_size(config, "max_position_embeddings", kDefaultPositions);
  result.rms_norm_eps = positive(config, "rms_norm_eps", 1e-6);
  result.query_scale =
      1.0 / std::sqrt(positive(config, "query_pre_attn_scalar", kDefaultQueryScalar));
  result.embedding_scale = std::sqrt(static_cast<double>(result.hidden_size));
  result.norm_adds_one = true;
  result.sandwich_norms = true;
  result.qk_norm = true;
  result.attention_bias = config.optional<bool>("attention_bias", false);
  result.tie_word_embeddings = config.optional<bool>("tie_word_embeddings", true);
  result.activation = parse_activation(config);
  if (!config.is_null("final_logit_softcapping")) {
    result.final_logit_softcap = positive(config, "final_logit_softcapping", 1);
  }
  result.layers = parse_layers(config);
  return result;
}

DecoderConfig parse_gemma3(const JsonFields& config) {
  refuse_features(config);
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
      config.norm_adds_one && config.sandwich_norms && config.qk_norm,
      ErrorCode::kUnsupported,
      "a Gemma 3 config.json cannot describe a decoder without (1 + w), sandwich and QK norms");
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
  json["rms_norm_eps"] = config.rms_norm_eps;
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
