#include "core/base/error.h"
#include "peft/adapter.h"
#include "peft/adapter_types.h"
#include "peft/attached_adapter.h"
#include "peft/lora.h"
#include "peft/lora_pairs.h"
#include "peft/targets.h"

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

// The deltas in model order, each with its linear; shapes checked.
std::vector<AttachedAdapter::Part> order_deltas(const Decoder& model, const NamedTensors& deltas) {
  ERRATA_CHECK(!deltas.empty(), ErrorCode::kInvalidArgument, "an adapter without any delta");
  std::vector<AttachedAdapter::Part> parts;
  for (const auto& [path, linear] : model->linears()) {
    for (const auto& [module, delta] : deltas) {
      if (module != path) {
        continue;
      }
      ERRATA_CHECK(
          delta.sizes() == linear->weight.sizes(),
          ErrorCode::kInvalidArgument,
          "delta of ",
          module,
          " has shape ",
          delta.sizes(),
          "; expected ",
          linear->weight.sizes());
      torch::Tensor fixed = delta.detach().to(linear->weight.device(), torch::kFloat32);
      parts.push_back({path, linear, std::make_shared<DeltaAttachment>(fixed.contiguous())});
    }
  }
  for (const auto& [module, delta] : deltas) {
    find_linear(model, module);
  }
  ERRATA_CHECK(
      parts.size() == deltas.size(), ErrorCode::kInvalidArgument, "two deltas of one module");
  return parts;
}

} // namespace

std::unique_ptr<Adapter> attach_adapter(
    Decoder& model, const AdapterConfig& config, std::uint64_t seed) {
  const AdapterType& type = adapter_type(config);
  type.check(config);
  if (!type.selects_linears) {
    return type.attach(model, config, {}, Start::kFresh, seed);
  }
  AdapterConfig resolved = resolve_targets(model, config);
  const std::vector<std::string> modules = match_targets(model, resolved);
  check_patterns(resolved, modules);
  resolved.fan_in_fan_out = resolved.fan_in_fan_out || !model->transposed_in_files().empty();
  return type.attach(
      model, in_terms_of(type, std::move(resolved), modules), modules, Start::kFresh, seed);
}

std::unique_ptr<Adapter> attach_delta(Decoder& model, const NamedTensors& deltas) {
  std::vector<AttachedAdapter::Part> parts = order_deltas(model, deltas);
  AdapterConfig config;
  config.peft_type = "DELTA";
  for (const auto& part : parts) {
    config.target_modules.push_back(part.module);
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
  for (const auto& part : order_deltas(model, deltas)) {
    const LowRank best = best_factors(part.attachment->delta(), r);
    pairs.push_back({part.module, best.a, best.b});
  }
  return attach_lora_pairs(model, pairs);
}

} // namespace errata::peft
