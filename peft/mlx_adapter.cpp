#include "peft/mlx_adapter.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/safetensors.h"
#include "peft/adapter_config.h"
#include "peft/attached_adapter.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMultimodalRoot = "language_model.";
constexpr std::string_view kMlxRoot = "model."; // of every family, GPT-2 too
constexpr std::string_view kMlxHalfA = ".lora_a";
constexpr std::string_view kMlxHalfB = ".lora_b";

// "model.h.3.attn.c_attn" of "transformer.h.3.attn.c_attn".
std::string mlx_path(const std::string& module, const ModuleNames& names, bool multimodal) {
  const std::string_view before = multimodal ? kMultimodalRoot : "";
  return module == kHeadName ? concat(before, module)
                             : concat(before, kMlxRoot, module.substr(names.root.size() + 1));
}

bool in_layers(const std::string& module, const ModuleNames& names) {
  return module.starts_with(concat(names.root, ".", names.layers, "."));
}

// "attn.c_attn": the path below the layer, which is what `keys` lists.
std::string key_of(const std::string& module) {
  const std::string number = concat(".", layer_of(module), ".");
  return module.substr(module.find(number) + number.size());
}

// How mlx-lm is told which modules have an adapter.
struct MlxSelection {
  std::int64_t num_layers = 0; ///< the last ones
  std::vector<std::string> keys;
};

// Keys below the layers when they name exactly the adapted modules of the last layers, else whole
// paths, which mlx-lm matches against the whole model.
MlxSelection select_for_mlx(
    const std::vector<LoraPair>& pairs, const Decoder& model, bool multimodal) {
  std::set<std::string> adapted;
  std::set<std::string> keys;
  std::int64_t first = model->config().num_layers();
  MlxSelection selection;
  bool exact = true;
  for (const LoraPair& pair : pairs) {
    adapted.insert(pair.module);
    if (!in_layers(pair.module, model->config().names)) {
      exact = false;
      continue;
    }
    first = std::min(first, layer_of(pair.module));
    if (keys.insert(key_of(pair.module)).second) {
      selection.keys.push_back(key_of(pair.module));
    }
  }
  selection.num_layers = model->config().num_layers() - first;
  const auto linears = model->linears();
  exact = exact && std::all_of(linears.begin(), linears.end(), [&](const auto& entry) {
            const std::string& module = entry.first;
            return layer_of(module) < first || !keys.contains(key_of(module)) ||
                   adapted.contains(module);
          });
  if (!exact) {
    selection.keys.clear();
    for (const LoraPair& pair : pairs) {
      selection.keys.push_back(mlx_path(pair.module, model->config().names, multimodal));
    }
  }
  return selection;
}

struct MlxConfig {
  std::int64_t rank = 0;
  double scale = 0;
  double dropout = 0;
  std::int64_t num_layers = 0;               ///< below 1: all
  std::optional<std::set<std::string>> keys; ///< nothing: every linear layer
};

std::optional<std::set<std::string>> read_keys(const JsonFields& parameters) {
  if (parameters.is_null("keys")) {
    return std::nullopt;
  }
  const Json& list = *parameters.find("keys");
  const auto is_string = [](const Json& entry) { return entry.is_string(); };
  ERRATA_CHECK(
      list.is_array() && std::all_of(list.begin(), list.end(), is_string),
      ErrorCode::kCorrupt,
      parameters.where(),
      ": field 'keys' is not a list of strings");
  return list.get<std::set<std::string>>();
}

MlxConfig read_mlx_config(const fs::path& path) {
  const Json json = read_json(path);
  const JsonFields fields(json, path.string());
  // Earlier versions of mlx-lm say use_dora and lora_layers.
  const bool dora = fields.optional<bool>("use_dora", false);
  const auto type = fields.optional<std::string>("fine_tune_type", dora ? "dora" : "lora");
  ERRATA_CHECK(
      type == "lora",
      ErrorCode::kUnsupported,
      path.string(),
      ": fine_tune_type '",
      type,
      "' is not supported; expected lora. Fuse it into its base with mlx_lm.fuse instead");
  ERRATA_CHECK(
      !fields.is_null("lora_parameters"),
      ErrorCode::kCorrupt,
      path.string(),
      ": field 'lora_parameters' is missing");
  const JsonFields parameters(
      *fields.find("lora_parameters"), path.string() + ": field 'lora_parameters'");
  MlxConfig config;
  config.rank = parameters.required<std::int64_t>("rank");
  config.scale = parameters.required<double>("scale");
  config.dropout = parameters.optional<double>("dropout", 0.0);
  config.keys = read_keys(parameters);
  config.num_layers =
      fields.optional<std::int64_t>("num_layers", fields.optional<std::int64_t>("lora_layers", 0));
  ERRATA_CHECK(
      std::isfinite(config.scale) && config.dropout >= 0 && config.dropout < 1,
      ErrorCode::kCorrupt,
      parameters.where(),
      ": 'scale' must be finite and 'dropout' in [0, 1)");
  return config;
}

// Both would be the one table of a tied model, whose head mlx-lm changes with it.
void check_tied(const std::string& module, const DecoderConfig& model, const std::string& where) {
  const bool one_of_two =
      module == kHeadName || module == concat(model.names.root, ".", model.names.embedding);
  ERRATA_CHECK(
      !model.tie_word_embeddings || !one_of_two,
      ErrorCode::kUnsupported,
      where,
      "mlx-lm has no LoRA of ",
      module,
      " alone where the output head is tied to the embedding; use --to merged");
}

// The decoder's name of a module that mlx-lm calls `path`; nothing for others.
std::optional<std::string> own_module(const std::string& path, const ModuleNames& names) {
  std::string_view rest = path;
  if (rest.starts_with(kMultimodalRoot)) {
    rest.remove_prefix(kMultimodalRoot.size());
  }
  if (rest == kHeadName) {
    return std::string(rest);
  }
  const bool known = rest.starts_with(concat(kMlxRoot, names.layers, ".")) ||
                     rest == concat(kMlxRoot, names.embedding) ||
                     (!names.positions.empty() && rest == concat(kMlxRoot, names.positions));
  return known ? std::optional(concat(names.root, ".", rest.substr(kMlxRoot.size())))
               : std::nullopt;
}

bool selected(
    const MlxConfig& config,
    const std::string& path,
    const std::string& module,
    const DecoderConfig& model) {
  if (config.keys && config.keys->contains(path)) {
    return true;
  }
  if (!in_layers(module, model.names)) {
    return false;
  }
  const bool late =
      config.num_layers < 1 || layer_of(module) >= model.num_layers() - config.num_layers;
  return late && (!config.keys || config.keys->contains(key_of(module)));
}

std::map<std::string, LoraHalves> read_mlx_halves(
    const fs::path& path, const MlxConfig& config, const DecoderConfig& model) {
  const SafetensorsFile file(path);
  std::map<std::string, LoraHalves> halves;
  for (const std::string& name : file.names()) {
    const std::string where = concat(path.string(), ": tensor ", name);
    const bool is_a = name.ends_with(kMlxHalfA);
    ERRATA_CHECK(
        is_a || name.ends_with(kMlxHalfB),
        ErrorCode::kCorrupt,
        where,
        " is unexpected; a LoRA's names end in .lora_a or .lora_b");
    const std::string at = name.substr(0, name.size() - kMlxHalfA.size());
    const auto module = own_module(at, model.names);
    if (module) {
      check_tied(*module, model, where + ": ");
    }
    ERRATA_CHECK(
        module && selected(config, at, *module, model),
        ErrorCode::kCorrupt,
        where,
        " belongs to no module that ",
        kConfigFile,
        " selects");
    const torch::Tensor stored = file.tensor(name);
    ERRATA_CHECK(
        stored.is_floating_point() && stored.dim() == 2 && stored.size(is_a ? 1 : 0) == config.rank,
        ErrorCode::kCorrupt,
        where,
        " has shape ",
        stored.sizes(),
        "; expected a matrix of rank ",
        config.rank);
    // mlx-lm multiplies from the right: x A B with A [in, r] and B [r, out].
    const torch::Tensor half = stored.t().to(torch::kFloat32).clone(at::MemoryFormat::Contiguous);
    (is_a ? halves[*module].a : halves[*module].b) = half;
  }
  return halves;
}

torch::Tensor zero_padded(const torch::Tensor& tensor, std::int64_t dim, std::int64_t size) {
  std::vector<std::int64_t> shape = tensor.sizes().vec();
  shape[static_cast<std::size_t>(dim)] = size - tensor.size(dim);
  return torch::cat({tensor, torch::zeros(shape)}, dim);
}

} // namespace

std::vector<LoraPair> fold_for_mlx(std::vector<LoraPair> pairs) {
  const double common = most_common(pairs, [](const LoraPair& pair) { return pair.scale; });
  std::int64_t rank = 0;
  for (const LoraPair& pair : pairs) {
    rank = std::max(rank, pair.rank());
  }
  for (LoraPair& pair : pairs) {
    fold_scale(pair, common == 0 ? 1.0 : common);
    if (pair.rank() < rank) {
      pair.a = zero_padded(pair.a, 0, rank);
      pair.b = zero_padded(pair.b, 1, rank);
    }
  }
  return pairs;
}

void write_mlx_adapter(
    const fs::path& directory,
    const std::vector<LoraPair>& pairs,
    const Decoder& model,
    const MlxDetails& details) {
  const DecoderConfig& config = model->config();
  ERRATA_CHECK(
      config.model_type != "gptj",
      ErrorCode::kUnsupported,
      "mlx-lm has no model type ",
      config.model_type,
      ", so there is no MLX adapter of it; use --to peft or --to merged");
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
  for (const LoraPair& pair : pairs) {
    check_tied(pair.module, config, "");
    const std::string path = mlx_path(pair.module, config.names, details.multimodal);
    tensors.emplace_back(concat(path, kMlxHalfA), pair.a.t());
    tensors.emplace_back(concat(path, kMlxHalfB), pair.b.t());
  }
  const MlxSelection selection = select_for_mlx(pairs, model, details.multimodal);
  OrderedJson json;
  json["fine_tune_type"] = "lora";
  json["num_layers"] = selection.num_layers;
  json["lora_parameters"] = {
      {"rank", pairs.front().rank()},
      {"scale", pairs.front().scale},
      {"dropout", details.dropout},
      {"keys", selection.keys}};
  std::map<std::string, std::string> metadata = details.metadata;
  metadata["format"] = "mlx";
  save_safetensors(directory / kMlxTensorFile, tensors, std::move(metadata), details.dtype);
  write_json(directory / kConfigFile, json);
}

std::unique_ptr<Adapter> load_mlx_adapter(Decoder& model, const fs::path& directory) {
  const MlxConfig config = read_mlx_config(directory / kConfigFile);
  const fs::path path = directory / kMlxTensorFile;
  require_file(path, "adapter weights");
  const auto halves = read_mlx_halves(path, config, model->config());
  const auto scale = [&](std::int64_t /*rank*/) { return config.scale; };
  return attach_lora_pairs(model, complete_pairs(model, halves, scale, path), config.dropout);
}

} // namespace errata::peft
