#include "core/config_fields.h"

#include "core/base/error.h"

#include <cmath>

namespace errata {
namespace {

std::int64_t bounded(
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

double positive(const JsonFields& config, const char* name, double value) {
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

// The field's value, `derived` where it is null, `fallback` (or `derived`, when 0) where missing.
std::int64_t size_or(
    const JsonFields& config, const char* name, std::int64_t fallback, std::int64_t derived) {
  if (config.has(name) ? config.is_null(name) : fallback == 0) {
    return bounded(config, name, derived, kLargestOfHeads);
  }
  return optional_size(config, name, fallback, kLargestOfHeads);
}

double rope_factor(const JsonFields& fields, const std::string& type) {
  ERRATA_CHECK(
      !fields.is_null("factor"),
      ErrorCode::kCorrupt,
      fields.where(),
      ": ",
      type,
      " RoPE without 'factor'");
  return positive_number(fields, "factor", 1);
}

Llama3Rope parse_llama3(const JsonFields& fields, std::int64_t original) {
  Llama3Rope rope;
  rope.low_freq_factor = required_positive(fields, "low_freq_factor");
  rope.high_freq_factor = required_positive(fields, "high_freq_factor");
  rope.original_positions = original;
  ERRATA_CHECK(
      rope.high_freq_factor > rope.low_freq_factor,
      ErrorCode::kCorrupt,
      fields.where(),
      ": 'high_freq_factor' ",
      rope.high_freq_factor,
      " is not above 'low_freq_factor' ",
      rope.low_freq_factor);
  return rope;
}

// 2309.00071, section 3.4: what attention gains in temperature.
double yarn_scale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

YarnRope parse_yarn(const JsonFields& fields, double factor, std::int64_t original) {
  YarnRope rope;
  rope.beta_fast = positive_number(fields, "beta_fast", rope.beta_fast);
  rope.beta_slow = positive_number(fields, "beta_slow", rope.beta_slow);
  rope.truncate = fields.optional<bool>("truncate", true);
  rope.original_positions = original;
  const auto mscale = fields.optional<double>("mscale", 0);
  const auto mscale_all = fields.optional<double>("mscale_all_dim", 0);
  const double usual = mscale != 0 && mscale_all != 0
                           ? yarn_scale(factor, mscale) / yarn_scale(factor, mscale_all)
                           : yarn_scale(factor, 1);
  rope.attention_factor = positive_number(fields, "attention_factor", usual);
  return rope;
}

} // namespace

std::int64_t required_size(const JsonFields& config, const char* name, std::int64_t largest) {
  return bounded(config, name, config.required<std::int64_t>(name), largest);
}

std::int64_t optional_size(
    const JsonFields& config, const char* name, std::int64_t fallback, std::int64_t largest) {
  return bounded(config, name, config.optional<std::int64_t>(name, fallback), largest);
}

double positive_number(const JsonFields& config, const char* name, double fallback) {
  return positive(config, name, config.optional<double>(name, fallback));
}

double required_positive(const JsonFields& config, const char* name) {
  return positive(config, name, config.required<double>(name));
}

void parse_heads(const JsonFields& config, const HeadDefaults& defaults, DecoderConfig& result) {
  result.num_heads =
      defaults.heads == 0
          ? required_size(config, "num_attention_heads", kLargestOfHeads)
          : optional_size(config, "num_attention_heads", defaults.heads, kLargestOfHeads);
  result.num_kv_heads = size_or(config, "num_key_value_heads", defaults.kv_heads, result.num_heads);
  ERRATA_CHECK(
      result.num_heads % result.num_kv_heads == 0,
      ErrorCode::kCorrupt,
      config.where(),
      ": 'num_attention_heads' ",
      result.num_heads,
      " is not a multiple of 'num_key_value_heads' ",
      result.num_kv_heads);
  result.head_dim =
      size_or(config, "head_dim", defaults.head_dim, result.hidden_size / result.num_heads);
  ERRATA_CHECK(
      result.head_dim % 2 == 0,
      ErrorCode::kCorrupt,
      config.where(),
      ": 'head_dim' is ",
      result.head_dim,
      "; expected an even number (RoPE turns pairs)");
}

Activation parse_activation(const JsonFields& config, const char* fallback, bool gelu_is_tanh) {
  const char* field = config.is_null("hidden_activation") ? "hidden_act" : "hidden_activation";
  const auto name = config.optional<std::string>(field, fallback);
  if (name == "gelu_pytorch_tanh" || name == "gelu_new" || (name == "gelu" && gelu_is_tanh)) {
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
      "' is not supported; supported: gelu_pytorch_tanh, ",
      gelu_is_tanh ? "gelu, " : "gelu_new, ",
      "silu");
}

void apply_rope_scaling(const JsonFields& fields, std::int64_t max_positions, RopeConfig& rope) {
  const auto type =
      fields.optional<std::string>("rope_type", fields.optional<std::string>("type", "default"));
  rope.factor = 1;
  rope.llama3.reset();
  rope.yarn.reset();
  rope.dynamic.reset();
  if (type == "default") {
    return;
  }
  ERRATA_CHECK(
      type == "linear" || type == "llama3" || type == "yarn" || type == "dynamic",
      ErrorCode::kUnsupported,
      fields.where(),
      ": rope_type '",
      type,
      "' is not supported; supported: default, linear, llama3, yarn, dynamic");
  rope.factor = rope_factor(fields, type);
  const std::int64_t original =
      optional_size(fields, "original_max_position_embeddings", max_positions);
  if (type == "llama3") {
    rope.llama3 = parse_llama3(fields, original);
  } else if (type == "yarn") {
    rope.yarn = parse_yarn(fields, rope.factor, original);
  } else if (type == "dynamic") {
    rope.dynamic = DynamicRope{max_positions};
  }
}

std::vector<bool> parse_layer_types(const JsonFields& config, std::int64_t count) {
  std::vector<bool> global;
  const Json* types = config.find("layer_types");
  if (types == nullptr || types->is_null()) {
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
    ERRATA_CHECK(
        type == kSlidingLayer || type == kFullLayer,
        ErrorCode::kUnsupported,
        config.where(),
        ": layer type ",
        type.dump(-1, ' ', false, Json::error_handler_t::replace),
        " is not supported; supported: ",
        kSlidingLayer,
        ", ",
        kFullLayer);
    global.push_back(type == kFullLayer);
  }
  return global;
}

void refuse_set(const JsonFields& config, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const Json* value = config.find(name);
    const bool unset = value == nullptr || value->is_null() || *value == false;
    ERRATA_CHECK(
        unset,
        ErrorCode::kUnsupported,
        config.where(),
        ": '",
        name,
        "' is set; it is not supported, expected null or false");
  }
}

} // namespace errata
