#include "core/base/json.h"
#include "peft/adapter_config.h"
#include "peft/config_file.h"

namespace errata::peft {
namespace {

OrderedJson list_or_null(const auto& list) {
  return list.empty() ? OrderedJson(nullptr) : OrderedJson(list);
}

OrderedJson peft_json(const AdapterConfig& config) {
  OrderedJson json;
  json["peft_type"] = config.peft_type;
  json["task_type"] = "CAUSAL_LM";
  json["base_model_name_or_path"] = config.base_model_name_or_path.empty()
                                        ? OrderedJson(nullptr)
                                        : OrderedJson(config.base_model_name_or_path);
  json["revision"] = nullptr;
  json["inference_mode"] = true;
  const AdapterType& type = adapter_type(config);
  if (type.selects_linears) {
    json["fan_in_fan_out"] = config.fan_in_fan_out;
    json["target_modules"] = names_json(config.target_modules, config.target_regex);
  }
  if (config.exclude_regex || !config.exclude_modules.empty()) {
    json["exclude_modules"] = names_json(config.exclude_modules, config.exclude_regex);
  }
  type.write(config, json);
  if (type.has_layers) {
    json["bias"] = trained_bias_name(type, config.trained_bias); // known to the same types
    json["layers_to_transform"] = list_or_null(config.layers_to_transform);
    json["layers_pattern"] = list_or_null(config.layers_pattern);
  }
  json["modules_to_save"] = list_or_null(config.modules_to_save);
  return json;
}

OrderedJson own_json(const AdapterConfig& config) {
  OrderedJson json;
  json["errata_type"] = config.peft_type;
  json["format"] = kOwnFormat;
  if (!config.base_model_name_or_path.empty()) {
    json["base_model_name_or_path"] = config.base_model_name_or_path;
  }
  if (config.peft_type == "DELTA") {
    json["target_modules"] = config.target_modules;
    return json;
  }
  if (!config.layers_to_transform.empty()) {
    json["layers_to_transform"] = config.layers_to_transform;
  }
  adapter_type(config).write(config, json);
  return json;
}

} // namespace

std::string format_adapter_config(const AdapterConfig& config) {
  const AdapterType* const type = find_adapter_type(config.peft_type);
  const bool peft = type != nullptr && !type->own;
  return (peft ? peft_json(config) : own_json(config)).dump(2) + "\n";
}

} // namespace errata::peft
