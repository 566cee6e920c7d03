#include "peft/adapter_config.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"

#include <algorithm>
#include <array>

namespace errata::peft {
namespace {

// Keys that say where an adapter comes from or how it was trained, not what it computes.
constexpr std::array kInformative = {
    "auto_mapping",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "peft_version",
    "megatron_core",
    "qalora_group_size",
    "eva_config",
    "runtime_config"};

constexpr std::array kRead = {
    "peft_type",
    "task_type",
    "r",
    "lora_alpha",
    "lora_dropout",
    "bias",
    "use_rslora",
    "init_lora_weights",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "fan_in_fan_out"};

template <typename Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_empty(const Json& value) {
  return value.is_null() || value == false || value == "" ||
         (value.is_structured() && value.empty());
}

std::string key_list(const Json& object) {
  std::string list;
  for (const auto& [key, value] : object.items()) {
    list += (list.empty() ? "" : ", ") + key;
  }
  return list.empty() ? "none" : list;
}

// A string, or a list of strings into `list`.
void read_names(
    const JsonFields& fields,
    const char* name,
    std::vector<std::string>& list,
    std::optional<std::string>& text) {
  if (fields.is_null(name)) {
    return;
  }
  const Json& value = *fields.find(name);
  if (value.is_string()) {
    text = value.get<std::string>();
    return;
  }
  const auto is_string = [](const Json& entry) { return entry.is_string(); };
  ERRATA_CHECK(
      value.is_array() && std::all_of(value.begin(), value.end(), is_string),
      ErrorCode::kCorrupt,
      fields.where(),
      ": field '",
      name,
      "' is not a string or a list of strings");
  list = value.get<std::vector<std::string>>();
}

void read_layers(const JsonFields& fields, AdapterConfig& config) {
  const char* name = "layers_to_transform";
  if (!fields.is_null(name)) {
    const Json& value = *fields.find(name);
    const Json list = value.is_array() ? value : Json::array({value});
    for (const Json& layer : list) {
      ERRATA_CHECK(
          layer.is_number_integer(),
          ErrorCode::kCorrupt,
          fields.where(),
          ": field 'layers_to_transform' is not an integer or a list of integers");
      config.layers_to_transform.push_back(layer.get<std::int64_t>());
    }
  }
  std::optional<std::string> single;
  read_names(fields, "layers_pattern", config.layers_pattern, single);
  if (single && !single->empty()) {
    config.layers_pattern = {*single};
  }
}

// The order of the file decides which of two matching keys counts.
template <typename Value>
void read_pattern(
    const OrderedJson& ordered,
    const char* name,
    const std::string& where,
    std::vector<std::pair<std::string, Value>>& pattern) {
  const auto found = ordered.find(name);
  if (found == ordered.end() || found->is_null()) {
    return;
  }
  ERRATA_CHECK(
      found->is_object(),
      ErrorCode::kCorrupt,
      where,
      ": field '",
      name,
      "' is not an object of module names and numbers");
  for (const auto& [key, value] : found->items()) {
    ERRATA_CHECK(
        std::is_integral_v<Value> ? value.is_number_integer() : value.is_number(),
        ErrorCode::kCorrupt,
        where,
        ": field '",
        name,
        "', entry '",
        key,
        "' is not a number");
    pattern.emplace_back(key, value.template get<Value>());
  }
}

// Initialisations that change the base weights, which PEFT repeats when it loads the adapter.
void check_initialisation(const JsonFields& fields) {
  if (fields.is_null("init_lora_weights")) {
    return;
  }
  const Json& value = *fields.find("init_lora_weights");
  const bool plain =
      value.is_boolean() || value == "gaussian" || value == "eva" || value == "orthogonal";
  ERRATA_CHECK(
      plain,
      ErrorCode::kUnsupported,
      fields.where(),
      ": init_lora_weights ",
      value.dump(),
      " changes the base weights; convert the adapter to plain LoRA with PEFT "
      "(save_pretrained with path_initial_model_for_weight_conversion)");
}

void check_meaning(const JsonFields& fields) {
  for (const auto& [key, value] : fields.value().items()) {
    const bool passes = contains(kRead, key) || contains(kInformative, key) || is_empty(value);
    ERRATA_CHECK(
        passes,
        ErrorCode::kUnsupported,
        fields.where(),
        ": key '",
        key,
        "' (",
        value.dump().substr(0, 60),
        ") changes what the adapter computes and is not supported; merge the adapter into its "
        "base with PEFT instead");
  }
  const auto task = fields.optional<std::string>("task_type", "CAUSAL_LM");
  ERRATA_CHECK(
      task == "CAUSAL_LM" || task == "FEATURE_EXTRACTION",
      ErrorCode::kUnsupported,
      fields.where(),
      ": task_type '",
      task,
      "' is not a language model's; expected CAUSAL_LM");
  const auto bias = fields.optional<std::string>("bias", "none");
  ERRATA_CHECK(
      bias == "none",
      ErrorCode::kUnsupported,
      fields.where(),
      ": bias '",
      bias,
      "' is not supported; expected none");
  check_initialisation(fields);
}

void check_range(const JsonFields& fields, const AdapterConfig& config) {
  bool ranks = config.r >= 1;
  for (const auto& [key, rank] : config.rank_pattern) {
    ranks = ranks && rank >= 1;
  }
  ERRATA_CHECK(
      ranks, ErrorCode::kCorrupt, fields.where(), ": a rank in 'r' or 'rank_pattern' is below 1");
  ERRATA_CHECK(
      config.lora_dropout >= 0 && config.lora_dropout < 1,
      ErrorCode::kCorrupt,
      fields.where(),
      ": field 'lora_dropout' is ",
      config.lora_dropout,
      "; expected 0 <= dropout < 1");
}

AdapterConfig read_lora(const JsonFields& fields, const OrderedJson& ordered) {
  check_meaning(fields);
  AdapterConfig config;
  config.r = fields.optional<std::int64_t>("r", 8);
  config.lora_alpha = fields.optional<double>("lora_alpha", 8.0);
  config.lora_dropout = fields.optional<double>("lora_dropout", 0.0);
  config.use_rslora = fields.optional<bool>("use_rslora", false);
  config.fan_in_fan_out = fields.optional<bool>("fan_in_fan_out", false);
  config.base_model_name_or_path =
      fields.optional<std::string>("base_model_name_or_path", std::string());
  read_names(fields, "target_modules", config.target_modules, config.target_regex);
  read_names(fields, "exclude_modules", config.exclude_modules, config.exclude_regex);
  read_layers(fields, config);
  read_pattern(ordered, "rank_pattern", fields.where(), config.rank_pattern);
  read_pattern(ordered, "alpha_pattern", fields.where(), config.alpha_pattern);
  check_range(fields, config);
  return config;
}

AdapterConfig read_delta(const JsonFields& fields) {
  const auto type = fields.required<std::string>("errata_type");
  ERRATA_CHECK(
      type == "DELTA",
      ErrorCode::kUnsupported,
      fields.where(),
      ": errata_type '",
      type,
      "' is not known; expected DELTA (a newer errata may read it)");
  const auto version = fields.required<std::int64_t>("format");
  ERRATA_CHECK(
      version == kDeltaFormat,
      ErrorCode::kUnsupported,
      fields.where(),
      ": format ",
      version,
      " of a DELTA adapter is not known; expected ",
      kDeltaFormat,
      " (a newer errata may read it)");
  for (const auto& [key, value] : fields.value().items()) {
    ERRATA_CHECK(
        key == "errata_type" || key == "format" || key == "target_modules" ||
            key == "base_model_name_or_path",
        ErrorCode::kUnsupported,
        fields.where(),
        ": unknown key '",
        key,
        "' in a DELTA adapter");
  }
  AdapterConfig config;
  config.peft_type = "DELTA";
  std::optional<std::string> text;
  read_names(fields, "target_modules", config.target_modules, text);
  ERRATA_CHECK(
      !config.target_modules.empty(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": field 'target_modules' is not a list of module paths");
  config.base_model_name_or_path =
      fields.optional<std::string>("base_model_name_or_path", std::string());
  return config;
}

// Which program's adapter this is, by the keys that only that program writes.
void reject_foreign(const JsonFields& fields) {
  ERRATA_CHECK(
      !fields.has("fine_tune_type"),
      ErrorCode::kUnsupported,
      fields.where(),
      ": an mlx-lm adapter (fine_tune_type); convert it to a PEFT directory first");
  ERRATA_CHECK(
      !fields.has("architecture") && !fields.has("mh_adapter") && !fields.has("config"),
      ErrorCode::kUnsupported,
      fields.where(),
      ": an adapter-hub bottleneck adapter; errata reads PEFT's LORA and its own DELTA");
  ERRATA_FAIL(
      ErrorCode::kCorrupt,
      fields.where(),
      ": not an adapter: neither 'peft_type' nor 'errata_type' is there; keys found: ",
      key_list(fields.value()));
}

} // namespace

AdapterConfig read_adapter_config(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  const Json json = parse_json(text, path.string());
  const JsonFields fields(json, path.string());
  if (fields.has("peft_type")) {
    const auto type = fields.required<std::string>("peft_type");
    ERRATA_CHECK(
        type == "LORA",
        ErrorCode::kUnsupported,
        fields.where(),
        ": peft_type '",
        type,
        "' is not supported; expected LORA");
    return read_lora(fields, OrderedJson::parse(text));
  }
  if (!fields.has("errata_type")) {
    reject_foreign(fields);
  }
  return read_delta(fields);
}

} // namespace errata::peft
