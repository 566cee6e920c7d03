#include "core/model_config.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/gemma3_config.h"
#include "core/gpt_config.h"
#include "core/griffin_config.h"
#include "core/llama_config.h"

#include <array>
#include <string_view>

namespace errata {
namespace {

struct Family {
  std::string_view model_type;
  DecoderConfig (*parse)(const JsonFields& config);
};

// Every architecture that errata reads, by config.json's model_type.
constexpr std::array<Family, 11> kFamilies = {{
    {"gemma", parse_gemma},
    {"gemma2", parse_gemma2},
    {"gemma3", parse_gemma3},
    {"gemma3_text", parse_gemma3_text},
    {"gpt2", parse_gpt2},
    {"gptj", parse_gptj},
    {"llama", parse_llama},
    {"mistral", parse_mistral},
    {"qwen2", parse_qwen2},
    {"qwen3", parse_qwen3},
    {"recurrent_gemma", parse_recurrent_gemma},
}};

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

// An id or a list of them.
std::vector<std::int64_t> ids_of(const JsonFields& fields, std::string_view name) {
  std::vector<std::int64_t> ids;
  const Json* value = fields.find(name);
  if (value == nullptr || value->is_null()) {
    return ids;
  }
  const Json list = value->is_array() ? *value : Json::array({*value});
  for (const Json& id : list) {
    ERRATA_CHECK(
        id.is_number_integer() && id.get<std::int64_t>() >= 0,
        ErrorCode::kCorrupt,
        fields.where(),
        ": field '",
        name,
        "' must be a token id or a list of them");
    ids.push_back(id.get<std::int64_t>());
  }
  return ids;
}

// Fills what `ids` lacks.
void add_ids(const JsonFields& fields, SpecialIds& ids) {
  if (ids.eos.empty()) {
    ids.eos = ids_of(fields, "eos_token_id");
  }
  for (const auto& [name, id] :
       {std::pair{"bos_token_id", &ids.bos}, std::pair{"pad_token_id", &ids.pad}}) {
    if (!*id) {
      *id = fields.maybe<std::int64_t>(name);
    }
  }
}

OrderedJson eos_json(const std::vector<std::int64_t>& eos) {
  return eos.size() == 1 ? OrderedJson(eos.front()) : OrderedJson(eos);
}

} // namespace

std::vector<std::string> supported_model_types() {
  std::vector<std::string> names;
  for (const Family& family : kFamilies) {
    names.emplace_back(family.model_type);
  }
  return names;
}

DecoderConfig parse_decoder_config(const Json& config, const std::string& where) {
  const JsonFields fields(config, where);
  const auto model_type = fields.required<std::string>("model_type");
  for (const Family& family : kFamilies) {
    if (family.model_type == model_type) {
      return family.parse(fields);
    }
  }
  ERRATA_FAIL(
      ErrorCode::kUnsupported,
      where,
      ": model_type '",
      model_type,
      "' is not supported; supported: ",
      list_of(supported_model_types()));
}

SpecialIds read_special_ids(const std::filesystem::path& directory) {
  SpecialIds ids;
  for (const char* name : {"generation_config.json", "config.json"}) {
    const std::filesystem::path path = directory / name;
    if (!std::filesystem::exists(path)) {
      continue;
    }
    const Json document = read_json(path);
    const JsonFields fields(document, path.string());
    add_ids(fields, ids);
    if (const Json* text = fields.find("text_config"); text != nullptr && text->is_object()) {
      add_ids(JsonFields(*text, path.string() + ": text_config"), ids);
    }
  }
  return ids;
}

OrderedJson hf_config(
    const DecoderConfig& config, const std::string& dtype, const SpecialIds& ids) {
  ERRATA_CHECK(
      config.model_type == "gemma3_text",
      ErrorCode::kUnsupported,
      "writing models of type '",
      config.model_type,
      "' is not supported; supported: gemma3_text");
  OrderedJson json = gemma3_text_json(config);
  json["dtype"] = dtype;
  json["eos_token_id"] = eos_json(ids.eos);
  json["bos_token_id"] = ids.bos ? OrderedJson(*ids.bos) : OrderedJson();
  json["pad_token_id"] = ids.pad ? OrderedJson(*ids.pad) : OrderedJson();
  return json;
}

} // namespace errata
