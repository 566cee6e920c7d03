#include "peft/combine.h"

#include "core/base/error.h"
#include "peft/adapter_types.h"
#include "peft/attached_adapter.h"
#include "peft/lora.h"
#include "peft/lora_pairs.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace errata::peft {
namespace {

// One adapter's part in one module.
struct Contribution {
  const Adapter* adapter = nullptr;
  double weight = 1;
};

bool touches(const Adapter& adapter, const std::string& module) {
  const std::vector<std::string> modules = adapter.modules();
  return std::find(modules.begin(), modules.end(), module) != modules.end();
}

// The pairs of a plain LoRA by module.
using Pairs = std::map<std::string, LoraPair>;

Pairs pairs_of(const Adapter& adapter) {
  const AdapterConfig config = adapter.file_config();
  ERRATA_CHECK(
      config.peft_type == "LORA" && !config.use_dora,
      ErrorCode::kUnsupported,
      "this combination works on A and B of LoRAs; one of the adapters is ",
      config.use_dora ? "DoRA" : config.peft_type,
      ": use svd or another one that ends in _svd");
  Pairs pairs;
  for (LoraPair& pair : lora_pairs(adapter, "this combination")) {
    pairs[pair.module] = std::move(pair);
  }
  return pairs;
}

using AllPairs = std::map<const Adapter*, Pairs>;

LoraPair stacked(
    const std::string& module, const std::vector<Contribution>& parts, const AllPairs& loras) {
  std::vector<torch::Tensor> rows;
  std::vector<torch::Tensor> columns;
  for (const Contribution& part : parts) {
    const LoraPair& pair = loras.at(part.adapter).at(module);
    rows.push_back(pair.a * (part.weight * pair.scale));
    columns.push_back(pair.b);
  }
  return {module, torch::cat(rows), torch::cat(columns, 1)};
}

LoraPair merged_factors(
    const std::string& module,
    const std::vector<Contribution>& parts,
    const AllPairs& loras,
    const MergeOptions& merge,
    torch::Generator& generator) {
  std::vector<torch::Tensor> rows;
  std::vector<torch::Tensor> columns;
  std::vector<double> row_weights;
  std::vector<double> column_weights;
  for (const Contribution& part : parts) {
    const LoraPair& pair = loras.at(part.adapter).at(module);
    ERRATA_CHECK(
        rows.empty() || pair.rank() == rows.front().size(0),
        ErrorCode::kInvalidArgument,
        "ranks ",
        rows.front().size(0),
        " and ",
        pair.rank(),
        " on ",
        module,
        "; this combination needs one rank: use cat or svd");
    const double whole = part.weight * pair.scale;
    const double root = std::sqrt(std::abs(whole));
    rows.push_back(pair.a);
    columns.push_back(pair.b);
    row_weights.push_back(whole < 0 ? -root : root);
    column_weights.push_back(root);
  }
  return {
      module,
      merge_changes(rows, row_weights, merge, generator),
      merge_changes(columns, column_weights, merge, generator)};
}

torch::Tensor merged_change(
    const std::string& module,
    const std::vector<Contribution>& parts,
    const MergeOptions& merge,
    torch::Generator& generator) {
  std::vector<torch::Tensor> changes;
  std::vector<double> weights;
  for (const Contribution& part : parts) {
    changes.push_back(part.adapter->delta(module));
    weights.push_back(part.weight);
  }
  return merge_changes(changes, weights, merge, generator);
}

std::int64_t largest_rank(const std::vector<const Adapter*>& adapters) {
  std::int64_t rank = 0;
  for (const Adapter* adapter : adapters) {
    for (const auto& [name, tensor] : adapter->file_tensors()) {
      if (name.ends_with("lora_A.weight") || name.ends_with("lora_A") ||
          name.ends_with("lora_embedding_A")) {
        rank = std::max(rank, tensor.size(0));
      }
    }
  }
  ERRATA_CHECK(
      rank > 0, ErrorCode::kInvalidArgument, "none of the adapters has a rank; give --rank");
  return rank;
}

void check_combine(const std::vector<const Adapter*>& adapters, const CombineOptions& options) {
  ERRATA_CHECK(!adapters.empty(), ErrorCode::kInvalidArgument, "no adapter to combine is given");
  ERRATA_CHECK(
      options.weights.empty() || options.weights.size() == adapters.size(),
      ErrorCode::kInvalidArgument,
      options.weights.size(),
      " weights for ",
      adapters.size(),
      " adapters; give one each");
  ERRATA_CHECK(
      options.density > 0 && options.density <= 1,
      ErrorCode::kInvalidArgument,
      "density is ",
      options.density,
      "; expected above 0, at most 1");
  for (const Adapter* adapter : adapters) {
    ERRATA_CHECK(
        adapter->can_merge(),
        ErrorCode::kUnsupported,
        adapter_type(adapter->config()).name,
        " is no change of weights and cannot be combined");
    ERRATA_CHECK(
        changes_weights_alone(*adapter),
        ErrorCode::kUnsupported,
        adapter_type(adapter->config()).name,
        " ",
        beyond_pairs(*adapter),
        ", which no LoRA has, cannot be combined; ",
        way_out(*adapter));
  }
}

// Frobenius norms and the inner product of two changes, of which one may be missing.
struct Overlap {
  double first = 0;
  double second = 0;
  double inner = 0;

  ModuleDifference named(const std::string& module) const {
    const double norms = std::sqrt(first) * std::sqrt(second);
    return {
        module,
        std::sqrt(first),
        std::sqrt(second),
        std::sqrt(std::max(0.0, first + second - 2 * inner)),
        norms > 0 ? inner / norms : 0.0};
  }
};

} // namespace

const std::vector<Combination>& combinations() {
  using Of = Combination::Of;
  static const std::vector<Combination> all{
      {"cat", "weighted sum, exact; ranks add up", MergeRule::kSum, Of::kStack},
      {"svd", "weighted sum at a rank of its own", MergeRule::kSum, Of::kChanges},
      {"ties_svd", "TIES of the changes (2306.01708)", MergeRule::kTies, Of::kChanges},
      {"dare_linear_svd", "DARE of the changes (2311.03099)", MergeRule::kDare, Of::kChanges},
      {"dare_ties_svd", "DARE, then TIES, of the changes", MergeRule::kDareTies, Of::kChanges},
      {"magnitude_prune_svd",
       "largest entries of each change",
       MergeRule::kMagnitude,
       Of::kChanges},
      {"linear", "A and B apart: not the sum of the changes", MergeRule::kSum, Of::kFactors},
      {"ties", "TIES of A and of B", MergeRule::kTies, Of::kFactors},
      {"dare_linear", "DARE of A and of B", MergeRule::kDare, Of::kFactors},
      {"dare_ties", "DARE, then TIES, of A and of B", MergeRule::kDareTies, Of::kFactors},
      {"magnitude_prune", "largest entries of A and of B", MergeRule::kMagnitude, Of::kFactors},
  };
  return all;
}

const Combination& combination(const std::string& name) {
  std::string known;
  for (const Combination& candidate : combinations()) {
    if (candidate.name == name) {
      return candidate;
    }
    known += concat(known.empty() ? "" : ", ", candidate.name);
  }
  ERRATA_FAIL(
      ErrorCode::kInvalidArgument, "combination '", name, "' is unknown; use one of ", known);
}

std::unique_ptr<Adapter> combine_adapters(
    Decoder& model, const std::vector<const Adapter*>& adapters, const CombineOptions& options) {
  const torch::NoGradGuard no_grad;
  check_combine(adapters, options);
  const Combination& chosen = combination(options.combination);
  AllPairs loras;
  if (chosen.of != Combination::Of::kChanges) {
    for (const Adapter* adapter : adapters) {
      loras.emplace(adapter, pairs_of(*adapter));
    }
  }
  torch::Generator generator = at::detail::createCPUGenerator(options.seed);
  const MergeOptions merge{chosen.rule, options.density, options.count_signs};
  const bool again = chosen.of == Combination::Of::kChanges;
  const std::int64_t rank = options.rank > 0 || !again ? options.rank : largest_rank(adapters);
  std::vector<LoraPair> combined;
  for (const auto& [module, target] : model->adaptables()) {
    std::vector<Contribution> parts;
    for (std::size_t i = 0; i < adapters.size(); ++i) {
      if (touches(*adapters[i], module)) {
        parts.push_back({adapters[i], options.weights.empty() ? 1.0 : options.weights[i]});
      }
    }
    if (parts.empty()) {
      continue;
    }
    if (chosen.of == Combination::Of::kStack) {
      combined.push_back(stacked(module, parts, loras));
    } else if (chosen.of == Combination::Of::kFactors) {
      combined.push_back(merged_factors(module, parts, loras, merge, generator));
    } else {
      const torch::Tensor change = merged_change(module, parts, merge, generator);
      const LowRank best = best_factors(is_table(*target) ? change.t() : change, rank);
      combined.push_back({module, best.a, best.b});
    }
  }
  return attach_lora_pairs(model, combined);
}

std::vector<ModuleDifference> compare_adapters(
    const Decoder& model, const Adapter& first, const Adapter& second) {
  const torch::NoGradGuard no_grad;
  std::vector<ModuleDifference> all;
  Overlap total;
  for (const auto& [module, target] : model->adaptables()) {
    const bool in_first = touches(first, module) && first.changes_weight(module);
    const bool in_second = touches(second, module) && second.changes_weight(module);
    if (!in_first && !in_second) {
      continue;
    }
    const torch::Tensor zero =
        torch::zeros({1, 1}, target->weight.options().dtype(torch::kFloat32));
    const torch::Tensor a = in_first ? first.delta(module) : zero;
    const torch::Tensor b = in_second ? second.delta(module) : zero;
    const Overlap here{
        a.square().sum().item<double>(),
        b.square().sum().item<double>(),
        in_first && in_second ? (a * b).sum().item<double>() : 0.0};
    total.first += here.first;
    total.second += here.second;
    total.inner += here.inner;
    all.push_back(here.named(module));
  }
  all.push_back(total.named("all"));
  return all;
}

} // namespace errata::peft
