#include "peft/task_arithmetic.h"

namespace errata::peft {
namespace {

torch::Tensor largest_entries(const torch::Tensor& change, double density) {
  const auto count = static_cast<std::int64_t>(density * static_cast<double>(change.numel()));
  const torch::Tensor flat = change.flatten();
  const torch::Tensor kept = std::get<1>(torch::topk(flat.abs(), count));
  return torch::zeros_like(flat)
      .index_copy(0, kept, flat.index_select(0, kept))
      .view(change.sizes());
}

torch::Tensor random_entries(
    const torch::Tensor& change, double density, torch::Generator& generator) {
  const torch::Tensor mask = torch::empty(change.sizes()).bernoulli_(density, generator);
  return change * mask.to(change.device()) / density;
}

torch::Tensor pruned(
    const torch::Tensor& change, const MergeOptions& options, torch::Generator& generator) {
  if (options.rule == MergeRule::kSum || options.density >= 1) {
    return change;
  }
  const bool random = options.rule == MergeRule::kDare || options.rule == MergeRule::kDareTies;
  return random ? random_entries(change, options.density, generator)
                : largest_entries(change, options.density);
}

// True where an entry has the sign of the majority; a tie counts as positive.
torch::Tensor majority(const torch::Tensor& stacked, bool count_signs) {
  const torch::Tensor signs = stacked.sign();
  const torch::Tensor total = (count_signs ? signs : stacked).sum(0);
  return signs.eq(torch::where(total.ge(0), 1.0, -1.0));
}

} // namespace

torch::Tensor merge_changes(
    const std::vector<torch::Tensor>& changes,
    const std::vector<double>& weights,
    const MergeOptions& options,
    torch::Generator& generator) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> kept;
  for (const torch::Tensor& change : changes) {
    kept.push_back(pruned(change, options, generator));
  }
  const torch::Tensor stacked = torch::stack(kept);
  std::vector<std::int64_t> shape(static_cast<std::size_t>(stacked.dim()), 1);
  shape[0] = stacked.size(0);
  const torch::Tensor factors = torch::tensor(weights, torch::kFloat64)
                                    .to(stacked.scalar_type())
                                    .to(stacked.device())
                                    .view(shape);
  const torch::Tensor weighted = stacked * factors;
  if (options.rule != MergeRule::kTies && options.rule != MergeRule::kDareTies) {
    return weighted.sum(0);
  }
  const torch::Tensor mask = majority(stacked, options.count_signs);
  return (weighted * mask).sum(0) / mask.sum(0).clamp_min(1.0);
}

} // namespace errata::peft
