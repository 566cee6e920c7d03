#include "core/base/error.h"
#include "core/base/json.h"
#include "peft/adapter_hub.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace errata::peft {
namespace {

// The families whose blocks the library adapts where errata does. It adapts Gemma's before the norm
// that follows.
constexpr std::array kHubFamilies = {"llama", "mistral", "qwen2", "qwen3", "gpt2", "gptj"};

// What is read here.
constexpr std::array kHubRead = {
    "mh_adapter",
    "output_adapter",
    "reduction_factor",
    "non_linearity",
    "original_ln_before",
    "original_ln_after",
    "is_parallel",
    "scaling",
    "residual_before_ln",
    "leave_out"};

// Keys of training, or of parts that must be absent.
constexpr std::array kHubInformative = {
    "adapter_residual_before_ln",
    "inv_adapter_reduction_factor",
    "init_weights",
    "init_weights_seed",
    "dropout",
    "stochastic_depth",
    "phm_dim",
    "phm_c_init",
    "phm_init_range",
    "phm_rank",
    "phm_bias",
    "factorized_phm_W",
    "factorized_phm_rule",
    "shared_W_phm",
    "shared_phm_rule",
    "learn_phm",
    "hypercomplex_nonlinearity"};

template <typename Names>
bool hub_lists(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

[[noreturn]] void refuse(const JsonFields& config, std::string_view key, const std::string& why) {
  ERRATA_FAIL(
      ErrorCode::kUnsupported,
      config.where(),
      ": key '",
      key,
      "' (",
      config.find(key) == nullptr ? "not given" : config.find(key)->dump().substr(0, 60),
      ") ",
      why);
}

void check_family(const JsonFields& fields, const DecoderConfig& model) {
  ERRATA_CHECK(
      hub_lists(kHubFamilies, model.model_type),
      ErrorCode::kUnsupported,
      fields.where(),
      ": an adapter-hub adapter of a ",
      model.model_type,
      " model, whose blocks the adapters library adapts elsewhere or not at all; expected llama, "
      "mistral, qwen2, qwen3, gpt2 or gptj");
  const auto type = fields.optional<std::string>("model_type", model.model_type);
  ERRATA_CHECK(
      type == model.model_type,
      ErrorCode::kCorrupt,
      fields.where(),
      ": field 'model_type' is '",
      type,
      "'; this model is a ",
      model.model_type);
}

void check_keys(const JsonFields& config) {
  for (const auto& [key, value] : config.value().items()) {
    const bool nothing = value.is_null() || value == false || value == 0 || value == "" ||
                         (value.is_structured() && value.empty());
    if (!nothing && !hub_lists(kHubRead, key) && !hub_lists(kHubInformative, key)) {
      refuse(config, key, "changes what the adapter computes and is not supported");
    }
  }
}

// True when the bottleneck sees stream and result together. The stream must be added once: by the
// base after the adapter, or by the adapter's own residual connection.
bool sees_sum(const JsonFields& config) {
  const bool before = config.optional<bool>("original_ln_before", false);
  const bool after = config.optional<bool>("original_ln_after", true);
  const Json* const residual = config.find("residual_before_ln");
  const bool own = residual == nullptr || residual->is_null() || *residual == true;
  if (residual != nullptr && residual->is_string()) {
    refuse(config, "residual_before_ln", "is for blocks with norms after them; expected a boolean");
  }
  const int times = (before && !own ? 1 : 0) + (after ? 1 : 0);
  if (times != 1) {
    refuse(
        config,
        "original_ln_after",
        concat(
            "with original_ln_before and residual_before_ln as they are adds the residual stream ",
            times,
            " times; expected once"));
  }
  return before;
}

std::string activation_of(const JsonFields& fields, const JsonFields& config) {
  auto name = config.required<std::string>("non_linearity");
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  if (!fields.has("version")) { // before version 3 the two had other names
    name = name == "gelu" ? "gelu_new" : name == "gelu_orig" ? "gelu" : name;
  }
  name = name == "silu" ? "swish" : name;
  if (name != "relu" && name != "swish" && name != "gelu" && name != "gelu_new") {
    refuse(config, "non_linearity", "is not supported; expected relu, swish, gelu or gelu_new");
  }
  return name;
}

double scaling_of(const JsonFields& config) {
  const Json* const scaling = config.find("scaling");
  if (scaling != nullptr && scaling->is_string()) {
    if (*scaling != "learned" && *scaling != "channel") {
      refuse(config, "scaling", "is not supported; expected a number, learned or channel");
    }
    return 1; // the trained one becomes part of the weights
  }
  return config.optional<double>("scaling", 1.0);
}

std::vector<std::int64_t> adapted_layers(const JsonFields& config, std::int64_t num_layers) {
  std::vector<std::int64_t> out;
  if (!config.is_null("leave_out")) {
    const Json& list = *config.find("leave_out");
    ERRATA_CHECK(
        list.is_array() && std::all_of(
                               list.begin(),
                               list.end(),
                               [](const Json& layer) { return layer.is_number_integer(); }),
        ErrorCode::kCorrupt,
        config.where(),
        ": field 'leave_out' is not a list of layers");
    out = list.get<std::vector<std::int64_t>>();
  }
  std::vector<std::int64_t> layers;
  for (std::int64_t i = 0; i < num_layers; ++i) {
    if (std::find(out.begin(), out.end(), i) == out.end()) {
      layers.push_back(i);
    }
  }
  ERRATA_CHECK(
      !layers.empty(),
      ErrorCode::kCorrupt,
      config.where(),
      ": field 'leave_out' names every layer of this model");
  return layers;
}

// Units of the bottleneck, as the library computes `int(hidden // factor)`: Python's floor of a
// quotient of floating-point numbers, at least 1.
std::int64_t units(const JsonFields& config, const Json& factor, std::int64_t hidden) {
  const double divisor = factor.is_number() ? factor.get<double>() : 0.0;
  ERRATA_CHECK(
      std::isfinite(divisor) && divisor >= 1e-3,
      ErrorCode::kCorrupt,
      config.where(),
      ": field 'reduction_factor' holds ",
      factor.dump().substr(0, 60),
      "; expected a positive number");
  const auto size = static_cast<double>(hidden);
  const double whole = std::nearbyint((size - std::fmod(size, divisor)) / divisor);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(whole));
}

std::int64_t units_of_layers(
    const JsonFields& config, const std::vector<std::int64_t>& layers, std::int64_t hidden) {
  ERRATA_CHECK(
      !config.is_null("reduction_factor"),
      ErrorCode::kCorrupt,
      config.where(),
      ": field 'reduction_factor' is missing; expected a number, or numbers by layer");
  const Json& factor = *config.find("reduction_factor");
  if (!factor.is_object()) {
    return units(config, factor, hidden);
  }
  std::int64_t common = 0;
  for (const std::int64_t layer : layers) {
    const auto own = factor.find(std::to_string(layer));
    const auto found = own != factor.end() ? own : factor.find("default");
    ERRATA_CHECK(
        found != factor.end(),
        ErrorCode::kCorrupt,
        config.where(),
        ": field 'reduction_factor' says nothing of layer ",
        layer,
        " and has no 'default'");
    const std::int64_t here = units(config, *found, hidden);
    if (common != 0 && here != common) {
      refuse(config, "reduction_factor", "differs from layer to layer, which is not supported");
    }
    common = here;
  }
  return common;
}

} // namespace

AdapterConfig read_adapter_hub_config(
    const DecoderConfig& model, const std::filesystem::path& path) {
  const Json json = read_json(path);
  const JsonFields fields(json, path.string());
  check_family(fields, model);
  ERRATA_CHECK(
      fields.find("config") != nullptr && fields.find("config")->is_object(),
      ErrorCode::kCorrupt,
      path.string(),
      ": field 'config' is not an object; save the adapter anew with the adapters library");
  const JsonFields config(*fields.find("config"), path.string() + ": field 'config'");
  check_keys(config);
  AdapterConfig read;
  read.peft_type = "BOTTLENECK";
  BottleneckConfig& bottleneck = read.bottleneck;
  bottleneck.after_attention = config.optional<bool>("mh_adapter", false);
  bottleneck.after_mlp = config.optional<bool>("output_adapter", false);
  bottleneck.parallel = config.optional<bool>("is_parallel", false);
  bottleneck.non_linearity = activation_of(fields, config);
  bottleneck.scaling = scaling_of(config);
  if (!bottleneck.parallel) {
    bottleneck.sees_sum = sees_sum(config);
  } else {
    bottleneck.sees_sum = false;
    if (!config.optional<bool>("original_ln_after", true)) {
      refuse(config, "original_ln_after", "leaves the residual stream out; expected true");
    }
  }
  const auto layers = adapted_layers(config, model.num_layers());
  if (static_cast<std::int64_t>(layers.size()) < model.num_layers()) {
    read.layers_to_transform = layers;
  }
  bottleneck.reduction_factor =
      static_cast<double>(model.hidden_size) /
      static_cast<double>(units_of_layers(config, layers, model.hidden_size));
  ERRATA_CHECK(
      bottleneck.after_attention || bottleneck.after_mlp,
      ErrorCode::kCorrupt,
      config.where(),
      ": neither 'mh_adapter' nor 'output_adapter' is true");
  ERRATA_CHECK(
      std::abs(bottleneck.scaling) <= 1e6,
      ErrorCode::kCorrupt,
      config.where(),
      ": field 'scaling' is ",
      bottleneck.scaling,
      "; expected at most a million");
  return read;
}

} // namespace errata::peft
