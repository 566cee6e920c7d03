#include "peft/lora_pairs.h"

#include "core/base/error.h"
#include "peft/adapter_types.h"
#include "peft/attached_adapter.h"
#include "peft/targets.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string_view>

namespace errata::peft {
namespace {

// The halves' names below a module: of linear layers, and of tables.
constexpr std::array<std::string_view, 2> kHalvesA = {".lora_A.weight", ".lora_embedding_A"};
constexpr std::array<std::string_view, 2> kHalvesB = {".lora_B.weight", ".lora_embedding_B"};
constexpr std::size_t kFindingsShown = 20;

// Up to the rounding of alpha / r * r.
bool same_scale(double x, double y) {
  return std::abs(x - y) <= 1e-12 * std::max(std::abs(x), std::abs(y));
}

struct HalfName {
  std::string module;
  bool is_a = false;
};

// Nothing for the name of a tensor that is no half of a pair.
std::optional<HalfName> half_name(const std::string& name) {
  for (const auto& [endings, is_a] : {std::pair(kHalvesA, true), std::pair(kHalvesB, false)}) {
    for (const std::string_view ending : endings) {
      if (name.ends_with(ending)) {
        return HalfName{name.substr(0, name.size() - ending.size()), is_a};
      }
    }
  }
  return std::nullopt;
}

torch::Tensor on_cpu(const torch::Tensor& tensor) {
  return tensor.detach().to(torch::kCPU, torch::kFloat32).contiguous();
}

// What keeps two halves from being the pair of a module of this shape; empty when nothing does.
std::string misfit(
    const std::string& module,
    const LoraHalves& halves,
    const std::pair<std::int64_t, std::int64_t>& shape) {
  const auto [out, in] = shape;
  if (!halves.a.defined() || !halves.b.defined()) {
    return concat(module, " has only its ", halves.a.defined() ? "A" : "B", " half");
  }
  const bool fits = halves.a.dim() == 2 && halves.b.dim() == 2 && halves.a.size(0) >= 1 &&
                    halves.a.size(0) == halves.b.size(1) && halves.a.size(1) == in &&
                    halves.b.size(0) == out;
  if (!fits) {
    return concat(
        module,
        " has A ",
        halves.a.sizes(),
        " and B ",
        halves.b.sizes(),
        ", expected [r, ",
        in,
        "] and [",
        out,
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
  const std::string beyond = beyond_pairs(adapter);
  ERRATA_CHECK(
      beyond.empty(),
      ErrorCode::kUnsupported,
      format,
      " cannot hold an adapter ",
      beyond,
      "; ",
      way_out(adapter));
  std::vector<LoraPair> pairs;
  for (const auto& [name, tensor] : adapter.file_tensors()) {
    const auto half = half_name(name);
    ERRATA_CHECK(
        half.has_value(),
        ErrorCode::kUnsupported,
        format,
        " cannot hold the adapter's tensor ",
        name,
        "; ",
        way_out(adapter));
    if (pairs.empty() || pairs.back().module != half->module) {
      pairs.push_back({half->module, {}, {}, module_scale(config, half->module)});
    }
    (half->is_a ? pairs.back().a : pairs.back().b) = on_cpu(tensor);
  }
  return pairs;
}

std::string beyond_pairs(const Adapter& adapter) {
  if (const auto& saved = adapter.config().modules_to_save; !saved.empty()) {
    return concat("with modules_to_save (", saved.front(), saved.size() > 1 ? ", …)" : ")");
  }
  return changes_weights_alone(adapter) ? "" : "with changed biases";
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
    const HalfName half = half_name(name).value();
    const LoraPair& pair = *by_module.at(half.module);
    tensor.copy_(half.is_a ? pair.a : pair.b);
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
  for (const auto& [module, target] : model->adaptables()) {
    const auto found = left.find(module);
    if (found == left.end() || !has_matrix(*target)) {
      continue;
    }
    const std::string finding = misfit(module, found->second, matrix_shape(*target));
    if (finding.empty()) {
      const torch::Tensor& a = found->second.a;
      pairs.push_back({module, a, found->second.b, scale(a.size(0))});
    } else {
      findings.push_back(finding);
    }
    left.erase(found);
  }
  for (const auto& [module, unused] : left) {
    findings.push_back(module + " is no module of it that has a LoRA");
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
