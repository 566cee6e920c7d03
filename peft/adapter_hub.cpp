#include "peft/adapter_hub.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/safetensors.h"
#include "peft/adapter_config.h"

#include <array>
#include <charconv>
#include <optional>
#include <string_view>

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kHubPlaces = {{
    {".attention_adapters.adapters.", ".attn."},
    {".output_adapters.adapters.", ".mlp."},
}};
// Names below an adapter's module, there and here.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kHubParts = {{
    {"adapter_down.0.weight", "adapter_down.weight"},
    {"adapter_down.0.bias", "adapter_down.bias"},
    {"adapter_up.weight", "adapter_up.weight"},
    {"adapter_up.bias", "adapter_up.bias"},
    {"scaling", "scaling"},
}};

// "model.layers.3.mlp.adapter_up.weight" of
// "model.layers.3.output_adapters.adapters.<adapter>.adapter_up.weight"; a base without a head
// saves it without the root.
std::optional<std::string> own_tensor_name(
    const std::string& name, const std::string& adapter, const ModuleNames& names) {
  std::string_view rest = name;
  const std::string root = names.root + ".";
  if (rest.starts_with(root)) {
    rest.remove_prefix(root.size());
  }
  const std::string layers = names.layers + ".";
  if (!rest.starts_with(layers)) {
    return std::nullopt;
  }
  rest.remove_prefix(layers.size());
  std::int64_t layer = -1;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), layer);
  if (error != std::errc() || layer < 0) {
    return std::nullopt;
  }
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  for (const auto& [there, here] : kHubPlaces) {
    const std::string module = concat(there, adapter, ".");
    if (rest.starts_with(module)) {
      for (const auto& [part, own] : kHubParts) {
        if (rest.substr(module.size()) == part) {
          return concat(names.layer(layer), here, own);
        }
      }
    }
  }
  return std::nullopt;
}

// A trained scale of a bottleneck's result, [1] or [hidden], becomes part of `up`.
void fold_scaling(std::map<std::string, torch::Tensor>& tensors, const fs::path& path) {
  constexpr std::string_view kScaling = "scaling";
  for (auto entry = tensors.begin(); entry != tensors.end();) {
    if (!entry->first.ends_with(concat(".", kScaling))) {
      ++entry;
      continue;
    }
    const std::string module = entry->first.substr(0, entry->first.size() - kScaling.size());
    const auto weight = tensors.find(module + "adapter_up.weight");
    const auto bias = tensors.find(module + "adapter_up.bias");
    const torch::Tensor scaling = entry->second;
    const bool fits = weight != tensors.end() && bias != tensors.end() && scaling.dim() == 1 &&
                      weight->second.dim() == 2 && bias->second.dim() == 1 &&
                      bias->second.size(0) == weight->second.size(0) &&
                      (scaling.size(0) == 1 || scaling.size(0) == bias->second.size(0));
    ERRATA_CHECK(
        fits,
        ErrorCode::kCorrupt,
        path.string(),
        ": tensor ",
        entry->first,
        " has shape ",
        scaling.sizes(),
        ", which does not fit the adapter_up beside it");
    weight->second = weight->second * scaling.unsqueeze(1);
    bias->second = bias->second * scaling;
    entry = tensors.erase(entry);
  }
}

// A config with a trained scale must have one in every module, any other none.
void check_scalings(
    const std::map<std::string, torch::Tensor>& tensors, const Json& config, const fs::path& path) {
  const bool trained = config.contains("scaling") && config["scaling"].is_string();
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with("adapter_up.bias")) {
      const std::string scaling =
          name.substr(0, name.size() - std::string_view("adapter_up.bias").size()) + "scaling";
      ERRATA_CHECK(
          tensors.contains(scaling) == trained,
          ErrorCode::kCorrupt,
          path.string(),
          ": tensor ",
          scaling,
          trained ? " is missing; the config says it is trained"
                  : " is unexpected; the config has a number instead");
    }
  }
}

torch::Tensor base_tensor(Decoder& model, const std::string& name) {
  const auto parameters = model->named_parameters();
  if (const torch::Tensor* found = parameters.find(name)) {
    return *found;
  }
  const ModuleNames& names = model->config().names;
  return name == "lm_head.weight" && model->config().tie_word_embeddings
             ? parameters[concat(names.root, ".", names.embedding, ".weight")]
             : torch::Tensor();
}

// The library saves the model's prediction head beside the adapter, trained or not.
void check_head(Decoder& model, const fs::path& directory) {
  const fs::path pickle = directory / "pytorch_model_head.bin";
  const fs::path path = directory / "model_head.safetensors";
  if (!fs::exists(path)) {
    ERRATA_CHECK(
        !fs::exists(pickle),
        ErrorCode::kUnsupported,
        pickle.string(),
        " is a pickle file, so that the head cannot be compared with the model's; save the adapter "
        "with use_safetensors=True, or remove it if the head was not trained");
    return;
  }
  const SafetensorsFile file(path);
  for (const std::string& name : file.names()) {
    const torch::Tensor base = base_tensor(model, name);
    const torch::Tensor head = file.tensor(name);
    ERRATA_CHECK(
        base.defined() && head.sizes() == base.sizes() &&
            torch::equal(head.to(base.device(), base.scalar_type()), base.detach()),
        ErrorCode::kUnsupported,
        path.string(),
        ": tensor ",
        name,
        " is not what this model's head has; a trained prediction head is not supported");
  }
}

// Hook points of one's own change what an adapter sees.
void check_interface(const ModuleNames& names, const fs::path& path) {
  if (!fs::exists(path)) {
    return;
  }
  const Json json = read_json(path);
  const JsonFields fields(json, path.string());
  const Json* const hooks = fields.find("interface");
  ERRATA_CHECK(
      hooks != nullptr && hooks->is_object(),
      ErrorCode::kCorrupt,
      path.string(),
      ": field 'interface' is not an object");
  const JsonFields interface(*hooks, path.string() + ": field 'interface'");
  const std::array<std::pair<const char*, std::string>, 6> expected = {{
      {"attn_o_proj", names.out},
      {"layer_output_proj", concat(names.mlp, ".", names.down)},
      {"layer_pre_self_attn", names.first_norm},
      {"layer_pre_ffn", names.second_norm},
      {"layer_ln_1", ""},
      {"layer_ln_2", ""},
  }};
  for (const auto& [key, value] : expected) {
    const auto found = interface.optional<std::string>(key, "");
    ERRATA_CHECK(
        found == value,
        ErrorCode::kUnsupported,
        interface.where(),
        ": '",
        key,
        "' is '",
        found,
        "'; errata adapts at '",
        value,
        "' only");
  }
}

} // namespace

HubAdapter read_adapter_hub(Decoder& model, const fs::path& directory) {
  const ModuleNames& names = model->config().names;
  HubAdapter adapter;
  adapter.config = read_adapter_hub_config(model->config(), directory / kConfigFile);
  const fs::path path = directory / kHubTensorFile;
  const fs::path pickle = directory / "pytorch_adapter.bin";
  ERRATA_CHECK(
      fs::exists(path) || !fs::exists(pickle),
      ErrorCode::kUnsupported,
      pickle.string(),
      " is a pickle file; save the adapter with use_safetensors=True to get ",
      kHubTensorFile);
  require_file(path, "adapter weights");
  check_interface(names, directory / "adapter_interface.json");
  const Json config = read_json(directory / kConfigFile);
  const auto name =
      JsonFields(config, (directory / kConfigFile).string()).required<std::string>("name");
  const SafetensorsFile file(path);
  for (const std::string& tensor : file.names()) {
    const std::string where = concat(path.string(), ": tensor ", tensor);
    const auto own = own_tensor_name(tensor, name, names);
    ERRATA_CHECK(
        own.has_value(),
        ErrorCode::kCorrupt,
        where,
        " is unexpected; errata knows the bottlenecks of adapter '",
        name,
        "'");
    ERRATA_CHECK(
        adapter.tensors.tensors.emplace(*own, adapter_float32(file.tensor(tensor), where)).second,
        ErrorCode::kCorrupt,
        where,
        " is there with and without '",
        names.root,
        ".' in front");
  }
  check_scalings(adapter.tensors.tensors, config["config"], path);
  fold_scaling(adapter.tensors.tensors, path);
  adapter.tensors.model_prefix = names.root + ".";
  check_head(model, directory);
  return adapter;
}

} // namespace errata::peft
