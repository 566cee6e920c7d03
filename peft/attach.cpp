#include "core/base/error.h"
#include "peft/adapter.h"
#include "peft/adapter_types.h"
#include "peft/attached_adapter.h"
#include "peft/lora.h"
#include "peft/lora_pairs.h"
#include "peft/targets.h"
#include "peft/trained_parameters.h"

#include <algorithm>

namespace errata::peft {
namespace {

// PEFT would read over what its config of this type does not know: the modules are named instead.
AdapterConfig in_terms_of(
    const AdapterType& type, AdapterConfig config, const std::vector<std::string>& modules) {
  const bool layers = !config.layers_to_transform.empty();
  const bool excludes = config.exclude_regex || !config.exclude_modules.empty();
  if ((layers && !type.has_layers) || (excludes && !type.has_excludes)) {
    config.target_modules = modules;
    config.target_regex.reset();
    config.exclude_modules.clear();
    config.exclude_regex.reset();
    config.layers_to_transform.clear();
    config.layers_pattern.clear();
  }
  return config;
}

void check_trained_whole(const AdapterType& type, const AdapterConfig& config) {
  ERRATA_CHECK(
      config.trained_bias == TrainedBias::kNone || !type.bias_of_targets.empty(),
      ErrorCode::kInvalidArgument,
      type.name,
      " trains no biases beside it; expected bias none");
  const auto& names = config.modules_to_save;
  ERRATA_CHECK(
      names.empty() || type.selects_linears,
      ErrorCode::kInvalidArgument,
      type.name,
      " trains no modules beside it; leave modules_to_save out");
  ERRATA_CHECK(
      std::find(names.begin(), names.end(), "") == names.end(),
      ErrorCode::kInvalidArgument,
      "modules_to_save has an empty entry, which would take every module");
}

struct ModuleDelta {
  std::string module;
  Adaptable target;
  torch::Tensor delta; ///< float32, on the model's device
};

// The deltas in model order, each with its module; shapes checked.
std::vector<ModuleDelta> order_deltas(const Decoder& model, const NamedTensors& deltas) {
  ERRATA_CHECK(!deltas.empty(), ErrorCode::kInvalidArgument, "an adapter without any delta");
  std::vector<ModuleDelta> ordered;
  for (const auto& [path, target] : model->adaptables()) {
    for (const auto& [module, delta] : deltas) {
      if (module != path) {
        continue;
      }
      ERRATA_CHECK(
          has_matrix(*target) && delta.sizes() == target->weight.sizes(),
          ErrorCode::kInvalidArgument,
          "delta of ",
          module,
          " has shape ",
          delta.sizes(),
          "; expected a matrix of ",
          target->weight.sizes());
      const torch::Tensor fixed = delta.detach().to(target->weight.device(), torch::kFloat32);
      ordered.push_back({path, target, fixed.contiguous()});
    }
  }
  for (const auto& [module, delta] : deltas) {
    find_module(model, module);
  }
  ERRATA_CHECK(
      ordered.size() == deltas.size(), ErrorCode::kInvalidArgument, "two deltas of one module");
  return ordered;
}

} // namespace

std::unique_ptr<Adapter> attach_adapter(
    Decoder& model, const AdapterConfig& config, std::uint64_t seed) {
  const AdapterType& type = adapter_type(config);
  type.check(config);
  check_trained_whole(type, config);
  if (!type.selects_linears) {
    return type.attach(model, config, {}, Start::kFresh, seed);
  }
  AdapterConfig resolved = resolve_targets(model, config);
  const std::vector<std::string> modules = match_targets(model, resolved);
  check_patterns(resolved, modules);
  check_modules_to_save(model, resolved);
  resolved.fan_in_fan_out = resolved.fan_in_fan_out || !model->transposed_in_files().empty();
  return type.attach(
      model, in_terms_of(type, std::move(resolved), modules), modules, Start::kFresh, seed);
}

std::unique_ptr<Adapter> attach_delta(Decoder& model, const NamedTensors& deltas) {
  AdapterConfig config;
  config.peft_type = "DELTA";
  std::vector<AttachedAdapter::Part> parts;
  for (auto& [module, target, delta] : order_deltas(model, deltas)) {
    ERRATA_CHECK(
        !is_table(*target),
        ErrorCode::kInvalidArgument,
        "delta of ",
        module,
        ", which is a table of vectors; only linear layers take one");
    parts.push_back(
        {module,
         target,
         std::make_shared<DeltaAttachment>(delta),
         lowest_layer(model->config(), module)});
    config.target_modules.push_back(module);
  }
  return std::make_unique<AttachedAdapter>(std::move(config), std::move(parts));
}

LowRank best_factors(const torch::Tensor& change, std::int64_t rank) {
  const auto [u, s, v] = torch::linalg_svd(change, /*full_matrices=*/false);
  const std::int64_t kept = std::min(rank, s.size(0));
  const torch::Tensor root = s.slice(0, 0, kept).sqrt();
  return {
      (root.unsqueeze(1) * v.slice(0, 0, kept)).contiguous(),
      (u.slice(1, 0, kept) * root).contiguous()};
}

std::unique_ptr<Adapter> attach_truncated_delta(
    Decoder& model, const NamedTensors& deltas, std::int64_t r) {
  ERRATA_CHECK(
      r >= 1, ErrorCode::kInvalidArgument, "rank of a truncated delta is ", r, "; expected >= 1");
  const torch::NoGradGuard no_grad;
  std::vector<LoraPair> pairs;
  for (const auto& [module, target, delta] : order_deltas(model, deltas)) {
    const LowRank best = best_factors(is_table(*target) ? delta.t() : delta, r);
    pairs.push_back({module, best.a, best.b});
  }
  return attach_lora_pairs(model, pairs);
}

} // namespace errata::peft
