#pragma once

#include "editing/plan/knowledge.h"
#include "editing/plan/wordings.h"

#include <string>
#include <vector>

// Multi-hop cases worked out for the days of a plan.

namespace errata::editing {

/// Answers (`answers[0]` canonical) that are not among `others`, compared without case; the
/// canonical one always stays. Adds the number left out to `dropped`.
std::vector<std::string> without_shared(
    const std::vector<std::string>& answers,
    const std::vector<std::string>& others,
    std::size_t& dropped);

/// The relations that a chain follows, `^-1` included.
std::vector<std::string> path_of(const Chain& chain);

/// `item` with its chains, answers, `changed` and `edited_hop`; questions and ids stay as they are.
/// `chain` is empty where there was no answer at the first day. Aliases that old and new answer
/// share are left out and counted in `shared`.
datasets::MultiHopCase case_between(
    datasets::MultiHopCase item,
    const World& before,
    const World& after,
    Chain chain,
    Chain chain_new,
    std::size_t& shared);

struct PlannedCases {
  std::vector<datasets::MultiHopCase> cases;
  std::size_t dropped = 0;        ///< no chain at the second day
  std::size_t shared_aliases = 0; ///< aliases that old and new answer share
};

/// The cases of the knowledge with chains, answers, `changed` and `edited_hop` as they are on the
/// two days, whatever days they were written for. `before` and `after` may be the same day.
PlannedCases plan_cases(const World& before, const World& after);

/// The chains of `after` that belong to the development split and not to `evaluated`, as cases with
/// three questions each, in a fixed order.
std::vector<datasets::MultiHopCase> development_cases(
    const World& before,
    const World& after,
    const Wordings& wordings,
    const ChainOptions& options,
    double share);

} // namespace errata::editing
