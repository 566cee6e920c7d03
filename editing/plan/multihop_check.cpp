#include "core/base/error.h"
#include "editing/plan/multihop_builder.h"
#include "editing/plan/plan_cases.h"

#include <algorithm>
#include <set>
#include <unordered_map>

namespace errata::editing {

using datasets::Hop;
using datasets::MultiHopCase;
using datasets::Relation;

namespace {

const Chain& any_chain(const MultiHopCase& item) {
  return item.chain_new.empty() ? item.chain : item.chain_new;
}

std::string spoken(const Hop& hop) {
  return concat(hop.subject, ", ", hop.relation);
}

/// Why a step is not taken on a day.
std::string missing_step(const World& world, const std::string& here, const std::string& relation) {
  const std::string name(base_relation(relation));
  const std::string slot = concat(here, ", ", relation, " on ", to_string(world.day()));
  if (is_inverse(relation)) {
    const auto& holders = world.holders(here, name);
    return holders.empty()      ? concat("nobody holds ", slot)
           : holders.size() > 1 ? concat(holders.size(), " subjects hold ", slot)
                                : concat("the only holder is not unique or an acting one: ", slot);
  }
  const auto& values = world.values(here, name);
  return values.empty()      ? concat("no value for ", slot)
         : values.size() > 1 ? concat(values.size(), " values for ", slot)
                             : concat("an acting holder for ", slot);
}

/// Why the walk does not go along a chain that exists.
std::string not_walked(
    const Knowledge& knowledge, const std::set<Hop>& inverse_facts, const Chain& chain) {
  std::vector<std::string> visited = {chain.front().subject};
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const Hop& hop = chain[i];
    const Relation* relation = knowledge.find_relation(hop.relation);
    if (relation == nullptr) {
      return concat("relation ", hop.relation, " is not described");
    }
    if (is_inverse(hop.relation) && i > 0) {
      return concat("an inverse look-up after the first hop: ", spoken(hop));
    }
    if (!is_inverse(hop.relation) && relation->step.empty()) {
      return concat("relation ", hop.relation, " has no step sentence");
    }
    if (is_inverse(hop.relation) && relation->inverse_noun.empty()) {
      return concat("relation ", hop.relation, " has no inverse_noun");
    }
    if (!is_inverse(hop.relation) && i + 1 < chain.size() && relation->noun.empty()) {
      return concat("relation ", hop.relation, " has no noun");
    }
    if (std::find(visited.begin(), visited.end(), hop.object) != visited.end()) {
      return concat("the chain comes back to ", hop.object);
    }
    visited.push_back(hop.object);
  }
  return is_inverse(chain.front().relation) && !inverse_facts.contains(chain.front())
             ? concat(
                   "the answer of the first look-up can be read in its question: ",
                   spoken(chain.front()))
             : std::string("not walked: the store has more chains than are kept");
}

std::string why_not(
    const MultiHopCase& item,
    const World& after,
    const std::set<Hop>& inverse_facts,
    const MultiHopOptions& options,
    const MultiHopReport& report) {
  const std::vector<std::string> path = path_of(any_chain(item));
  if (path.size() < static_cast<std::size_t>(options.min_hops) ||
      path.size() > static_cast<std::size_t>(options.max_hops)) {
    return concat(path.size(), " hops were not asked for");
  }
  std::string here = item.start;
  for (const std::string& relation : path) {
    const auto next = after.step(here, relation);
    if (!next) {
      return missing_step(after, here, relation);
    }
    here = *next;
  }
  const auto said = report.why.find(chain_key(any_chain(item)));
  return said != report.why.end()
             ? said->second
             : not_walked(after.knowledge(), inverse_facts, *after.chain(item.start, path));
}

std::string difference_to(const MultiHopCase& built, const MultiHopCase& written) {
  std::string text;
  const auto note = [&](bool same, const char* what) {
    if (!same) {
      text += concat(text.empty() ? "" : ", ", what);
    }
  };
  note(built.chain == written.chain, "the chain before");
  note(built.chain_new == written.chain_new, "the chain after");
  note(built.answer == written.answer, "the answer before");
  note(built.new_answer == written.new_answer, "the answer after");
  note(built.changed == written.changed, "whether it changed");
  note(built.edited_hop == written.edited_hop, "the edited hop");
  return text;
}

} // namespace

std::unordered_set<std::string> chain_keys(const std::vector<MultiHopCase>& cases) {
  std::unordered_set<std::string> keys;
  for (const MultiHopCase& item : cases) {
    if (!any_chain(item).empty()) {
      keys.insert(chain_key(any_chain(item)));
    }
  }
  return keys;
}

std::vector<Reached> check_reached(
    const std::vector<MultiHopCase>& written,
    const std::vector<MultiHopCase>& built,
    const World& after,
    const MultiHopOptions& options,
    const MultiHopReport& report) {
  std::unordered_map<std::string, const MultiHopCase*> by_key;
  for (const MultiHopCase& item : built) {
    by_key.emplace(chain_key(item.chain_new), &item);
  }
  const std::vector<Hop> inverse = after.inverse_facts();
  const std::set<Hop> inverse_facts(inverse.begin(), inverse.end());
  std::vector<Reached> result;
  for (const MultiHopCase& item : written) {
    Reached& reached = result.emplace_back();
    reached.id = item.id;
    const Chain& any = any_chain(item);
    if (any.empty()) {
      reached.reason = "the case has no chain";
      continue;
    }
    const auto found = by_key.find(chain_key(any));
    if (found == by_key.end()) {
      reached.reason = why_not(item, after, inverse_facts, options, report);
      continue;
    }
    const std::string differs = difference_to(*found->second, item);
    reached.reached = differs.empty();
    reached.reason = differs.empty() ? "" : "differs in " + differs;
  }
  return result;
}

} // namespace errata::editing
