#include "core/base/json.h"
#include "peft/adapter_config.h"

#include <cmath>

namespace errata::peft {
namespace {

template <typename Value>
OrderedJson pattern_json(const std::vector<std::pair<std::string, Value>>& pattern) {
  OrderedJson object = OrderedJson::object();
  for (const auto& [key, value] : pattern) {
    object[key] = value;
  }
  return object;
}

OrderedJson list_or_null(const auto& list) {
  return list.empty() ? OrderedJson(nullptr) : OrderedJson(list);
}

// 16 rather than 16.0: PEFT's own way, and some readers want an integer.
OrderedJson number(double value) {
  const bool whole = std::nearbyint(value) == value && std::abs(value) < 1e15;
  return whole ? OrderedJson(static_cast<std::int64_t>(value)) : OrderedJson(value);
}

OrderedJson lora_json(const AdapterConfig& config) {
  OrderedJson json;
  json["peft_type"] = "LORA";
  json["task_type"] = "CAUSAL_LM";
  json["base_model_name_or_path"] = config.base_model_name_or_path.empty()
                                        ? OrderedJson(nullptr)
                                        : OrderedJson(config.base_model_name_or_path);
  json["revision"] = nullptr;
  json["inference_mode"] = true;
  json["r"] = config.r;
  json["lora_alpha"] = number(config.lora_alpha);
  json["lora_dropout"] = config.lora_dropout;
  json["bias"] = "none";
  json["fan_in_fan_out"] = config.fan_in_fan_out;
  json["target_modules"] =
      config.target_regex ? OrderedJson(*config.target_regex) : OrderedJson(config.target_modules);
  if (config.exclude_regex) {
    json["exclude_modules"] = *config.exclude_regex;
  } else if (!config.exclude_modules.empty()) {
    json["exclude_modules"] = config.exclude_modules;
  }
  json["layers_to_transform"] = list_or_null(config.layers_to_transform);
  json["layers_pattern"] = list_or_null(config.layers_pattern);
  json["rank_pattern"] = pattern_json(config.rank_pattern);
  json["alpha_pattern"] = OrderedJson::object();
  for (const auto& [key, alpha] : config.alpha_pattern) {
    json["alpha_pattern"][key] = number(alpha);
  }
  if (config.use_rslora) {
    json["use_rslora"] = true;
  }
  json["init_lora_weights"] = true;
  json["modules_to_save"] = nullptr;
  return json;
}

OrderedJson delta_json(const AdapterConfig& config) {
  OrderedJson json;
  json["errata_type"] = "DELTA";
  json["format"] = kDeltaFormat;
  if (!config.base_model_name_or_path.empty()) {
    json["base_model_name_or_path"] = config.base_model_name_or_path;
  }
  json["target_modules"] = config.target_modules;
  return json;
}

} // namespace

std::string format_adapter_config(const AdapterConfig& config) {
  return (config.peft_type == "DELTA" ? delta_json(config) : lora_json(config)).dump(2) + "\n";
}

} // namespace errata::peft
