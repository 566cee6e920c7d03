#pragma once

#include "core/torch.h"

#include <cstdint>
#include <vector>

namespace errata::peft {

/// How several changes of one tensor become one.
enum class MergeRule {
  kSum,       ///< weighted sum
  kMagnitude, ///< weighted sum of the largest entries of each
  kTies,     ///< TIES (2306.01708): the largest entries, those against the majority's sign left out
  kDare,     ///< DARE (2311.03099): random entries of each, scaled up, weighted sum
  kDareTies, ///< random entries, then TIES
};

struct MergeOptions {
  MergeRule rule = MergeRule::kSum;
  double density = 0.5; ///< share of the entries that are kept; kSum keeps all
  /// The majority counts entries instead of adding them up.
  bool count_signs = false;
};

/// `changes` [k of one shape] with their `weights` by PEFT's rules (peft 0.21.2,
/// utils/merge_utils.py). DARE draws from `generator`, one entry after the other.
torch::Tensor merge_changes(
    const std::vector<torch::Tensor>& changes,
    const std::vector<double>& weights,
    const MergeOptions& options,
    torch::Generator& generator);

} // namespace errata::peft
