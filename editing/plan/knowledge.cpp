#include "editing/plan/knowledge.h"

#include "core/base/error.h"
#include "core/base/hash.h"

#include <algorithm>

namespace errata::editing {

using datasets::Fact;
using datasets::Hop;
using datasets::kInverseSuffix;
using datasets::MultiHopCase;
using datasets::Relation;

bool is_inverse(std::string_view relation) noexcept {
  return relation.ends_with(kInverseSuffix);
}

std::string_view base_relation(std::string_view relation) noexcept {
  return is_inverse(relation) ? relation.substr(0, relation.size() - kInverseSuffix.size())
                              : relation;
}

const Relation* Knowledge::find_relation(std::string_view name) const noexcept {
  const std::string_view base = base_relation(name);
  const auto found =
      std::find_if(relations.begin(), relations.end(), [&](const Relation& candidate) {
        return candidate.name == base;
      });
  return found == relations.end() ? nullptr : &*found;
}

const Relation& Knowledge::relation(std::string_view name) const {
  const Relation* found = find_relation(name);
  ERRATA_CHECK(
      found != nullptr,
      ErrorCode::kNotFound,
      "relation '",
      base_relation(name),
      "' is not described; expected an entry in the store's relations; import them with "
      "--relations");
  return *found;
}

Knowledge select_relations(const Knowledge& knowledge, const std::set<std::string>& names) {
  const auto wanted = [&](std::string_view name) {
    return names.contains(std::string(base_relation(name)));
  };
  for (const std::string& name : names) {
    knowledge.relation(name);
  }
  Knowledge result;
  result.aliases = knowledge.aliases;
  std::copy_if(
      knowledge.relations.begin(),
      knowledge.relations.end(),
      std::back_inserter(result.relations),
      [&](const Relation& relation) { return wanted(relation.name); });
  std::copy_if(
      knowledge.facts.begin(),
      knowledge.facts.end(),
      std::back_inserter(result.facts),
      [&](const Fact& fact) { return wanted(fact.relation); });
  std::copy_if(
      knowledge.cases.begin(),
      knowledge.cases.end(),
      std::back_inserter(result.cases),
      [&](const MultiHopCase& item) {
        const auto known = [&](const Hop& hop) { return wanted(hop.relation); };
        return std::all_of(item.chain.begin(), item.chain.end(), known) &&
               std::all_of(item.chain_new.begin(), item.chain_new.end(), known);
      });
  return result;
}

std::set<std::string> changing_relations(const Knowledge& knowledge) {
  constexpr std::size_t kOneIn = 10;
  std::map<std::string, std::pair<std::size_t, std::size_t>> counts; // dated, all
  for (const Fact& fact : knowledge.facts) {
    auto& [dated, all] = counts[fact.relation];
    dated += fact.valid_from.has_value() || fact.valid_to.has_value() ? 1 : 0;
    ++all;
  }
  std::set<std::string> result;
  for (const auto& [name, count] : counts) {
    if (count.first * kOneIn >= count.second) {
      result.insert(name);
    }
  }
  return result;
}

std::string chain_key(std::string_view start, const std::vector<std::string>& path) {
  std::string key(start);
  char separator = '|';
  for (const std::string& relation : path) {
    key += separator;
    key += relation;
    separator = '>';
  }
  return key;
}

std::string chain_key(const Chain& chain) {
  ERRATA_CHECK(!chain.empty(), ErrorCode::kInternal, "chain_key of an empty chain");
  std::string key = chain.front().subject;
  char separator = '|';
  for (const Hop& hop : chain) {
    key += separator;
    key += hop.relation;
    separator = '>';
  }
  return key;
}

std::unordered_set<std::string> evaluated_chains(const Knowledge& knowledge) {
  std::unordered_set<std::string> keys;
  for (const MultiHopCase& item : knowledge.cases) {
    for (const Chain* chain : {&item.chain, &item.chain_new}) {
      if (!chain->empty()) {
        keys.insert(chain_key(*chain));
      }
    }
  }
  return keys;
}

bool is_development_chain(std::string_view key, double share) {
  constexpr double kScale = 18446744073709551616.0; // 2^64
  return share > 0 &&
         static_cast<double>(stable_hash(concat("development|", key))) < share * kScale;
}

Hop forward(Hop hop) {
  if (is_inverse(hop.relation)) {
    std::swap(hop.subject, hop.object);
    hop.relation = std::string(base_relation(hop.relation));
  }
  return hop;
}

std::string fact_identity(const Knowledge& knowledge, const Hop& hop) {
  const Hop fact = forward(hop);
  std::string_view subject = fact.subject;
  std::string_view object = fact.object;
  std::string_view name = fact.relation;
  const Relation* relation = knowledge.find_relation(name);
  bool by_slot = relation == nullptr || relation->functional;
  if (relation != nullptr && !relation->inverse.empty()) {
    if (relation->inverse == name) { // symmetric: both directions are one fact
      if (object < subject) {
        std::swap(subject, object);
      }
      by_slot = false;
    } else if (relation->inverse < name) {
      std::swap(subject, object);
      name = relation->inverse;
      const Relation* other = knowledge.find_relation(name);
      by_slot = other == nullptr || other->functional;
    }
  }
  std::string identity = concat(subject, '|', name);
  if (!by_slot) {
    identity += '|';
    identity += object;
  }
  return identity;
}

} // namespace errata::editing
