#include "peft/lora_pairs.h"

#include "core/base/error.h"
#include "peft/adapter_types.h"
#include "peft/targets.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace errata::peft {
namespace {

constexpr std::string_view kLoraA = ".lora_A.weight";
constexpr std::string_view kLoraB = ".lora_B.weight";
constexpr std::size_t kFindingsShown = 20;

// Up to the rounding of alpha / r * r.
bool same_scale(double x, double y) {
  return std::abs(x - y) <= 1e-12 * std::max(std::abs(x), std::abs(y));
}

torch::Tensor on_cpu(const torch::Tensor& tensor) {
  return tensor.detach().to(torch::kCPU, torch::kFloat32).contiguous();
}

// What keeps two halves from being the pair of a linear of this shape; empty when nothing does.
std::string misfit(
    const std::string& module, const LoraHalves& halves, const torch::Tensor& weight) {
  if (!halves.a.defined() || !halves.b.defined()) {
    return concat(module, " has only its ", halves.a.defined() ? "A" : "B", " half");
  }
  const bool fits = halves.a.dim() == 2 && halves.b.dim() == 2 && halves.a.size(0) >= 1 &&
                    halves.a.size(0) == halves.b.size(1) && halves.a.size(1) == weight.size(1) &&
                    halves.b.size(0) == weight.size(0);
  if (!fits) {
    return concat(
        module,
        " has A ",
        halves.a.sizes(),
        " and B ",
        halves.b.sizes(),
        ", expected [r, ",
        weight.size(1),
        "] and [",
        weight.size(0),
        ", r]");
  }
  const bool finite =
      torch::isfinite(halves.a).all().item<bool>() && torch::isfinite(halves.b).all().item<bool>();
  return finite ? "" : module + " holds values that are not finite";
}

void check_findings(const std::vector<std::string>& findings, const std::filesystem::path& path) {
  std::string text;
  for (std::size_t i = 0; i < std::min(findings.size(), kFindingsShown); ++i) {
    text += (text.empty() ? "" : "; ") + findings[i];
  }
  ERRATA_CHECK(
      findings.empty(),
      ErrorCode::kCorrupt,
      path.string(),
      " does not fit this model: ",
      text,
      findings.size() > kFindingsShown ? concat("; and ", findings.size() - kFindingsShown, " more")
                                       : "");
}

} // namespace

std::vector<LoraPair> lora_pairs(const Adapter& adapter, const std::string& format) {
  const AdapterConfig config = adapter.file_config();
  ERRATA_CHECK(
      config.peft_type == "LORA",
      ErrorCode::kUnsupported,
      "an adapter of type ",
      config.peft_type,
      " is no pair of matrices a module, and ",
      format,
      " holds nothing else; ",
      way_out(adapter));
  std::vector<LoraPair> pairs;
  for (const auto& [name, tensor] : adapter.file_tensors()) {
    const std::string_view ending = name.ends_with(kLoraA) ? kLoraA : kLoraB;
    ERRATA_CHECK(
        name.ends_with(ending),
        ErrorCode::kUnsupported,
        format,
        " cannot hold the adapter's tensor ",
        name,
        "; ",
        way_out(adapter));
    const std::string module = name.substr(0, name.size() - ending.size());
    if (pairs.empty() || pairs.back().module != module) {
      pairs.push_back({module, {}, {}, module_scale(config, module)});
    }
    (ending == kLoraA ? pairs.back().a : pairs.back().b) = on_cpu(tensor);
  }
  return pairs;
}

std::unique_ptr<Adapter> attach_lora_pairs(
    Decoder& model, const std::vector<LoraPair>& pairs, double dropout) {
  ERRATA_CHECK(!pairs.empty(), ErrorCode::kInvalidArgument, "an adapter without any module");
  AdapterConfig config;
  const auto alpha = [](const LoraPair& pair) {
    return pair.scale * static_cast<double>(pair.rank());
  };
  config.r = static_cast<std::int64_t>(
      most_common(pairs, [](const LoraPair& pair) { return static_cast<double>(pair.rank()); }));
  config.lora_alpha = most_common(pairs, alpha);
  config.lora_dropout = dropout;
  std::map<std::string, const LoraPair*> by_module;
  for (const LoraPair& pair : pairs) {
    ERRATA_CHECK(
        by_module.emplace(pair.module, &pair).second,
        ErrorCode::kInvalidArgument,
        "two pairs of module ",
        pair.module);
    config.target_modules.push_back(pair.module);
    if (pair.rank() != config.r) {
      config.rank_pattern.emplace_back(pair.module, pair.rank());
    }
    if (!same_scale(alpha(pair), config.lora_alpha)) {
      config.alpha_pattern.emplace_back(pair.module, alpha(pair));
    }
  }
  std::unique_ptr<Adapter> adapter = attach_adapter(model, config, /*seed=*/0);
  const torch::NoGradGuard no_grad;
  for (auto [name, tensor] : adapter->named_parameters()) {
    const LoraPair& pair = *by_module.at(name.substr(0, name.size() - kLoraA.size()));
    tensor.copy_(name.ends_with(kLoraA) ? pair.a : pair.b);
  }
  return adapter;
}

std::vector<LoraPair> complete_pairs(
    const Decoder& model,
    const std::map<std::string, LoraHalves>& halves,
    const std::function<double(std::int64_t rank)>& scale,
    const std::filesystem::path& path) {
  std::vector<LoraPair> pairs;
  std::vector<std::string> findings;
  std::map<std::string, LoraHalves> left = halves;
  for (const auto& [module, linear] : model->linears()) {
    const auto found = left.find(module);
    if (found == left.end()) {
      continue;
    }
    const std::string finding = misfit(module, found->second, linear->weight);
    if (finding.empty()) {
      const torch::Tensor& a = found->second.a;
      pairs.push_back({module, a, found->second.b, scale(a.size(0))});
    } else {
      findings.push_back(finding);
    }
    left.erase(found);
  }
  for (const auto& [module, unused] : left) {
    findings.push_back(module + " is no linear layer of it");
  }
  check_findings(findings, path);
  ERRATA_CHECK(
      !pairs.empty(), ErrorCode::kCorrupt, path.string(), ": holds no LoRA pair, so no adapter");
  return pairs;
}

double most_common(
    const std::vector<LoraPair>& pairs, const std::function<double(const LoraPair&)>& value) {
  double best = 0;
  std::ptrdiff_t best_count = 0;
  for (const LoraPair& candidate : pairs) {
    const double here = value(candidate);
    const auto count = std::count_if(pairs.begin(), pairs.end(), [&](const LoraPair& pair) {
      return same_scale(value(pair), here);
    });
    if (here != 0 && count > best_count) {
      best = here;
      best_count = count;
    }
  }
  return best;
}

void fold_scale(LoraPair& pair, double scale) {
  if (!same_scale(pair.scale, scale)) {
    pair.b = pair.b * (pair.scale / scale);
  }
  pair.scale = scale;
}

} // namespace errata::peft
