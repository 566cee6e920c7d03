#include "core/base/error.h"
#include "peft/adapter.h"
#include "peft/attached_adapter.h"
#include "peft/targets.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace errata::peft {
namespace {

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

void check_values(const AdapterConfig& config) {
  const auto check_rank = [](std::int64_t rank, const std::string& what) {
    ERRATA_CHECK(
        rank >= 1, ErrorCode::kInvalidArgument, what, " is ", rank, "; expected at least 1");
  };
  check_rank(config.r, "LoRA rank");
  for (const auto& [key, rank] : config.rank_pattern) {
    check_rank(rank, "rank_pattern '" + key + "'");
  }
  ERRATA_CHECK(
      std::isfinite(config.lora_alpha),
      ErrorCode::kInvalidArgument,
      "lora_alpha is not a finite number");
  ERRATA_CHECK(
      config.lora_dropout >= 0 && config.lora_dropout < 1,
      ErrorCode::kInvalidArgument,
      "LoRA dropout is ",
      config.lora_dropout,
      "; expected 0 <= dropout < 1");
}

// A pattern that fits none of the targets would silently train another adapter than was asked for.
template <typename Value>
void check_pattern(
    const char* field,
    const std::vector<std::pair<std::string, Value>>& pattern,
    const std::vector<std::string>& modules) {
  for (const auto& entry : pattern) {
    const std::string& key = entry.first;
    ERRATA_CHECK(
        std::any_of(
            modules.begin(),
            modules.end(),
            [&](const std::string& module) { return pattern_matches(key, module); }),
        ErrorCode::kInvalidArgument,
        field,
        " '",
        key,
        "' fits none of the ",
        modules.size(),
        " targeted modules; it must match the end of a module's path");
  }
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

std::unique_ptr<Adapter> attach_lora(
    Decoder& model, const AdapterConfig& config, std::uint64_t seed) {
  AdapterConfig resolved = resolve_targets(model, config);
  resolved.peft_type = "LORA";
  check_values(resolved);
  const std::vector<std::string> modules = match_targets(model, resolved);
  check_pattern("rank_pattern", resolved.rank_pattern, modules);
  check_pattern("alpha_pattern", resolved.alpha_pattern, modules);

  torch::Generator generator = at::detail::createCPUGenerator(seed);
  const std::set<std::string> selected(modules.begin(), modules.end());
  std::vector<AttachedAdapter::Part> parts;
  for (const auto& [path, linear] : model->linears()) {
    if (!selected.contains(path)) {
      continue;
    }
    resolved.fan_in_fan_out = resolved.fan_in_fan_out || linear->transposed_in_files;
    const std::int64_t rank = module_rank(resolved, path);
    const std::int64_t in = linear->weight.size(1);
    const double bound = 1.0 / std::sqrt(static_cast<double>(in));
    // Drawn on the CPU, so that the start is the same on every device.
    torch::Tensor a = torch::empty({rank, in}).uniform_(-bound, bound, generator);
    torch::Tensor b = torch::zeros({linear->weight.size(0), rank});
    const torch::Device device = linear->weight.device();
    a = a.to(device).requires_grad_(true);
    b = b.to(device).requires_grad_(true);
    parts.push_back(
        {path,
         linear,
         std::make_shared<LoraAttachment>(
             a, b, module_scale(resolved, path), resolved.lora_dropout)});
  }
  return std::make_unique<AttachedAdapter>(std::move(resolved), std::move(parts));
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

std::unique_ptr<Adapter> attach_truncated_delta(
    Decoder& model, const NamedTensors& deltas, std::int64_t r) {
  ERRATA_CHECK(
      r >= 1, ErrorCode::kInvalidArgument, "rank of a truncated delta is ", r, "; expected >= 1");
  const torch::NoGradGuard no_grad;
  AdapterConfig config;
  config.r = r;
  config.lora_alpha = static_cast<double>(r);
  std::vector<AttachedAdapter::Part> parts = order_deltas(model, deltas);
  for (auto& part : parts) {
    const auto [u, s, v] = torch::linalg_svd(part.attachment->delta(), /*full_matrices=*/false);
    const std::int64_t rank = std::min(r, s.size(0));
    const torch::Tensor root = s.slice(0, 0, rank).sqrt();
    torch::Tensor a = (root.unsqueeze(1) * v.slice(0, 0, rank)).contiguous();
    torch::Tensor b = (u.slice(1, 0, rank) * root).contiguous();
    config.target_modules.push_back(part.module);
    config.fan_in_fan_out = config.fan_in_fan_out || part.linear->transposed_in_files;
    if (rank != r) {
      config.rank_pattern.emplace_back(part.module, rank);
      config.alpha_pattern.emplace_back(part.module, static_cast<double>(rank));
    }
    part.attachment = std::make_shared<LoraAttachment>(
        a.requires_grad_(true), b.requires_grad_(true), /*scale=*/1.0, /*dropout=*/0.0);
  }
  return std::make_unique<AttachedAdapter>(std::move(config), std::move(parts));
}

} // namespace errata::peft
