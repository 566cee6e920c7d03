#include "peft/adapter_config.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "peft/config_file.h"

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

// Keys of every type: which modules, and what the adapter was made for.
constexpr std::array kCommon = {
    "peft_type",
    "task_type",
    "bias",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
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

void check_meaning(const JsonFields& fields, const AdapterType& type) {
  for (const auto& [key, value] : fields.value().items()) {
    const bool passes = contains(kCommon, key) || contains(type.keys, key) ||
                        contains(kInformative, key) || is_empty(value);
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
}

AdapterConfig read_common(const ConfigFile& file, const AdapterType& type) {
  const JsonFields& fields = file.fields;
  AdapterConfig config;
  config.peft_type = type.peft_type;
  config.fan_in_fan_out = fields.optional<bool>("fan_in_fan_out", false);
  config.base_model_name_or_path =
      fields.optional<std::string>("base_model_name_or_path", std::string());
  read_names(fields, "target_modules", config.target_modules, config.target_regex);
  read_names(fields, "exclude_modules", config.exclude_modules, config.exclude_regex);
  read_layers(fields, config);
  type.read(file, config);
  try {
    type.check(config);
  } catch (const Error& error) {
    // What would be a wrong argument is damage when it comes from a file.
    const bool damage = error.code() == ErrorCode::kInvalidArgument;
    ERRATA_FAIL(damage ? ErrorCode::kCorrupt : error.code(), fields.where(), ": ", error.what());
  }
  return config;
}

std::string known_types(bool own) {
  std::string known = own ? "DELTA" : "";
  for (const AdapterType* type : adapter_types()) {
    if (type->own == own) {
      known += concat(known.empty() ? "" : ", ", type->peft_type);
    }
  }
  return known;
}

// errata's own kinds state the version of their format.
void check_format(const JsonFields& fields, const std::string& type) {
  const auto version = fields.required<std::int64_t>("format");
  ERRATA_CHECK(
      version == kOwnFormat,
      ErrorCode::kUnsupported,
      fields.where(),
      ": format ",
      version,
      " of a ",
      type,
      " adapter is not known; expected ",
      kOwnFormat,
      " (a newer errata may read it)");
}

template <typename Keys>
void reject_unknown_keys(const JsonFields& fields, const std::string& type, const Keys& known) {
  for (const auto& [key, value] : fields.value().items()) {
    ERRATA_CHECK(
        key == "errata_type" || key == "format" || key == "base_model_name_or_path" ||
            contains(known, key),
        ErrorCode::kUnsupported,
        fields.where(),
        ": unknown key '",
        key,
        "' in a ",
        type,
        " adapter");
  }
}

AdapterConfig read_delta(const JsonFields& fields) {
  reject_unknown_keys(fields, "DELTA", std::array{"target_modules"});
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

AdapterConfig read_own(const ConfigFile& file) {
  const auto name = file.fields.required<std::string>("errata_type");
  const AdapterType* const type = find_adapter_type(name);
  ERRATA_CHECK(
      name == "DELTA" || (type != nullptr && type->own),
      ErrorCode::kUnsupported,
      file.fields.where(),
      ": errata_type '",
      name,
      "' is not known; expected ",
      known_types(/*own=*/true),
      " (a newer errata may read it)");
  check_format(file.fields, name);
  if (name == "DELTA") {
    return read_delta(file.fields);
  }
  std::vector<std::string_view> known = type->keys;
  known.emplace_back("layers_to_transform");
  reject_unknown_keys(file.fields, name, known);
  return read_common(file, *type);
}

// Which program's adapter this is, by the keys that only that program writes.
void reject_foreign(const JsonFields& fields) {
  ERRATA_CHECK(
      !fields.has("fine_tune_type"),
      ErrorCode::kUnsupported,
      fields.where(),
      ": an mlx-lm adapter (fine_tune_type); convert it to a PEFT directory first");
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
  const OrderedJson ordered = OrderedJson::parse(text);
  if (fields.has("peft_type")) {
    const auto name = fields.required<std::string>("peft_type");
    const AdapterType* const type = find_adapter_type(name);
    ERRATA_CHECK(
        type != nullptr && !type->own,
        ErrorCode::kUnsupported,
        fields.where(),
        ": peft_type '",
        name,
        "' is not supported; expected ",
        known_types(/*own=*/false));
    check_meaning(fields, *type);
    return read_common({fields, ordered}, *type);
  }
  if (!fields.has("errata_type")) {
    reject_foreign(fields);
  }
  return read_own({fields, ordered});
}

} // namespace errata::peft
