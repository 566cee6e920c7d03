#include "core/base/error.h"
#include "editing/plan/knowledge.h"
#include "editing/plan/text.h"

#include <algorithm>

namespace errata::editing {

using datasets::Fact;
using datasets::Hop;
using datasets::Relation;

namespace {

const std::vector<const Fact*> kNoFacts;

const std::vector<const Fact*>& look_up(
    const std::
        map<std::string, std::unordered_map<std::string, std::vector<const Fact*>>, std::less<>>&
            index,
    const std::string& relation,
    const std::string& key) {
  const auto slots = index.find(relation);
  if (slots == index.end()) {
    return kNoFacts;
  }
  const auto slot = slots->second.find(key);
  return slot == slots->second.end() ? kNoFacts : slot->second;
}

/// Whether somebody who reads the question already reads the answer in it.
bool answer_is_visible(const Fact& fact) {
  const std::string subject = lower_case(fact.subject);
  const std::string object = lower_case(fact.object);
  return contains_word(object, subject) || subject.find(object) != std::string::npos;
}

void append_answers(
    const Knowledge& knowledge,
    const std::string& name,
    const std::vector<std::string>& aliases,
    std::vector<std::string>& answers) {
  const auto add = [&](const std::string& answer) {
    if (std::find(answers.begin(), answers.end(), answer) == answers.end()) {
      answers.push_back(answer);
    }
  };
  add(name);
  std::for_each(aliases.begin(), aliases.end(), add);
  if (const auto entity = knowledge.aliases.find(name); entity != knowledge.aliases.end()) {
    std::for_each(entity->second.begin(), entity->second.end(), add);
  }
}

/// Of several values of a functional slot the one that began last counts, as in the store's
/// difference; values that began together all stay, and the slot then has no single value.
void keep_latest(std::vector<const Fact*>& values) {
  const auto start = [](const Fact* fact) { return fact->valid_from.value_or(Date{}); };
  const Date latest = start(
      *std::max_element(values.begin(), values.end(), [&](const Fact* left, const Fact* right) {
        return start(left) < start(right);
      }));
  std::erase_if(values, [&](const Fact* fact) { return start(fact) != latest; });
}

} // namespace

World::World(const Knowledge& knowledge, const Date& day) : knowledge_(&knowledge), day_(day) {
  for (const Fact& fact : knowledge.facts) {
    if (!holds_on(day, fact.valid_from, fact.valid_to)) {
      continue;
    }
    auto& values = forward_[fact.relation][fact.subject];
    const bool known = std::any_of(values.begin(), values.end(), [&](const Fact* other) {
      return other->object == fact.object;
    });
    if (!known) {
      values.push_back(&fact);
    }
  }
  for (auto& [name, slots] : forward_) {
    const Relation* relation = knowledge.find_relation(name);
    const bool functional = relation == nullptr || relation->functional;
    SlotIndex& holders = backward_[name];
    for (auto& [subject, values] : slots) {
      if (functional && values.size() > 1) {
        keep_latest(values);
      }
      for (const Fact* fact : values) {
        holders[lower_case(fact->object)].push_back(fact);
      }
    }
  }
}

const std::vector<const Fact*>& World::values(
    const std::string& subject, const std::string& relation) const {
  return look_up(forward_, relation, subject);
}

const std::vector<const Fact*>& World::holders(
    const std::string& object, const std::string& relation) const {
  return look_up(backward_, relation, lower_case(object));
}

std::optional<std::string> World::forward(
    const std::string& subject, const std::string& relation) const {
  const auto& found = values(subject, relation);
  if (found.size() != 1 || found.front()->provisional) {
    return std::nullopt;
  }
  return found.front()->object;
}

std::optional<std::string> World::backward(
    const std::string& object, const std::string& relation) const {
  const auto& found = holders(object, relation);
  if (found.size() != 1 || found.front()->object != object ||
      forward(found.front()->subject, relation) != object) {
    return std::nullopt;
  }
  return found.front()->subject;
}

std::optional<std::string> World::step(const std::string& from, const std::string& relation) const {
  return is_inverse(relation) ? backward(from, std::string(base_relation(relation)))
                              : forward(from, relation);
}

std::optional<Chain> World::chain(
    const std::string& start, const std::vector<std::string>& path) const {
  Chain result;
  std::string here = start;
  for (const std::string& relation : path) {
    std::optional<std::string> next = step(here, relation);
    if (!next) {
      return std::nullopt;
    }
    result.push_back({here, relation, *next});
    here = std::move(*next);
  }
  return result;
}

std::vector<Hop> World::single_facts() const {
  std::vector<Hop> result;
  for (const auto& [relation, slots] : forward_) {
    const std::size_t first = result.size();
    for (const auto& [subject, facts] : slots) {
      if (facts.size() == 1) {
        result.push_back({subject, relation, facts.front()->object});
      }
    }
    std::sort(result.begin() + static_cast<std::ptrdiff_t>(first), result.end());
  }
  return result;
}

std::vector<Hop> World::inverse_facts() const {
  std::vector<Hop> result;
  for (const auto& [relation, slots] : forward_) {
    const Relation* description = knowledge_->find_relation(relation);
    if (description == nullptr || description->inverse_noun.empty()) {
      continue;
    }
    const std::size_t first = result.size();
    const std::string inverse = concat(relation, datasets::kInverseSuffix);
    for (const auto& [subject, facts] : slots) {
      const Fact& fact = *facts.front();
      if (facts.size() == 1 && !answer_is_visible(fact) &&
          backward(fact.object, relation) == subject) {
        result.push_back({fact.object, inverse, subject});
      }
    }
    std::sort(result.begin() + static_cast<std::ptrdiff_t>(first), result.end());
  }
  return result;
}

std::vector<std::string> World::answers(const Hop& hop) const {
  std::vector<std::string> result;
  if (is_inverse(hop.relation)) {
    append_answers(*knowledge_, hop.object, {}, result);
    return result;
  }
  const auto& found = values(hop.subject, hop.relation);
  const auto canonical = std::find_if(
      found.begin(), found.end(), [&](const Fact* fact) { return fact->object == hop.object; });
  append_answers(
      *knowledge_,
      hop.object,
      canonical == found.end() ? std::vector<std::string>() : (*canonical)->aliases,
      result);
  for (const Fact* fact : found) {
    append_answers(*knowledge_, fact->object, fact->aliases, result);
  }
  return result;
}

} // namespace errata::editing
