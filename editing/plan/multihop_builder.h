#pragma once

#include "editing/plan/knowledge.h"
#include "editing/plan/wordings.h"

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

// Multi-hop cases made from facts alone, in the shape of MQuAKE: a question over several facts, the
// chain that answered it before, the chain that answers it now.

namespace errata::editing {

struct MultiHopOptions {
  int min_hops = 2;
  int max_hops = 4;
  std::size_t questions = 3;       ///< wordings of each case, at most
  bool changed = true;             ///< cases whose answer changed
  bool unchanged = true;           ///< cases whose chain is the same on both days
  std::set<std::string> relations; ///< only chains through these; empty: all
  /// At most so many, drawn evenly over kinds (number of hops, edited hop, last relation); 0: all.
  std::size_t limit = 0;
  std::uint64_t seed = 0; ///< of the draw
  /// `chain_key`s of which the report says why they did not become a case.
  std::unordered_set<std::string> explain;
};

/// Why chains of the second day did not become cases.
struct MultiHopReport {
  std::size_t chains = 0;         ///< walked at the second day
  std::size_t same_answer = 0;    ///< another route led to the same answer before
  std::size_t several_before = 0; ///< a step had several values or an acting one at the first day
  std::size_t leaks = 0;          ///< every wording would have let the answer be read
  std::size_t repeated_question = 0; ///< another chain is asked for in the same words
  std::size_t not_wanted = 0;        ///< of a kind or relation that was not asked for
  std::size_t not_drawn = 0;         ///< above the limit
  /// By `chain_key`: why one of `MultiHopOptions::explain` was walked and left out.
  std::unordered_map<std::string, std::string> why;
};

/// Walks the facts of `after` (`World::chains`: every step has exactly one value, every inverse one
/// holder, no entity twice) and compares with `before`. Questions that show the old or the new
/// answer or one of its aliases are left out. `edits` gives the ids of the edits on a chain. Ids of
/// cases depend on start and relations alone; cases come by hops, start and relations.
/// `kInvalidArgument` for hops that are not 2 <= min <= max <= 4.
std::vector<datasets::MultiHopCase> build_multi_hop(
    const World& before,
    const World& after,
    const Wordings& wordings,
    const std::vector<datasets::Edit>& edits,
    const MultiHopOptions& options,
    MultiHopReport& report);

/// What came of a case that somebody wrote by hand.
struct Reached {
  std::string id;
  bool reached = false;
  std::string reason; ///< why not, or what differs in the case that was built
};

/// The keys of the cases' chains, for `MultiHopOptions::explain`.
std::unordered_set<std::string> chain_keys(const std::vector<datasets::MultiHopCase>& cases);

/// Compares cases with those that were built: the same start and relations must lead to the same
/// chains, answers, `changed` and edited hop. `report` is of the run that built them and has
/// explained the chains of `written`.
std::vector<Reached> check_reached(
    const std::vector<datasets::MultiHopCase>& written,
    const std::vector<datasets::MultiHopCase>& built,
    const World& after,
    const MultiHopOptions& options,
    const MultiHopReport& report);

} // namespace errata::editing
