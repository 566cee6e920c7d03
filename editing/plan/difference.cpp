#include "core/base/error.h"
#include "core/base/hash.h"
#include "editing/plan/edit_plan.h"

#include <algorithm>
#include <set>
#include <utility>

namespace errata::editing {

using datasets::Edit;
using datasets::EditKind;
using datasets::Fact;
using datasets::Hop;
using datasets::Relation;

namespace {

using SlotKey = std::pair<std::string, std::string>; // relation, subject

Edit make_edit(const SlotKey& slot, const Fact* old_fact, const Fact* new_fact) {
  Edit edit;
  edit.relation = slot.first;
  edit.subject = slot.second;
  edit.kind = old_fact == nullptr   ? EditKind::kInjection
              : new_fact == nullptr ? EditKind::kRemoval
                                    : EditKind::kModification;
  if (old_fact != nullptr) {
    edit.old_object = old_fact->object;
    edit.old_aliases = old_fact->aliases;
    edit.effective = old_fact->valid_to;
  }
  if (new_fact != nullptr) {
    edit.new_object = new_fact->object;
    edit.new_aliases = new_fact->aliases;
    edit.effective = new_fact->valid_from;
    edit.source = new_fact->source;
    edit.provisional = new_fact->provisional;
  }
  edit.id = concat(
      "e-",
      std::hex,
      stable_hash(concat(
          edit.relation,
          '|',
          edit.subject,
          '|',
          edit.old_object.value_or(""),
          '|',
          edit.new_object.value_or(""))));
  return edit;
}

/// Facts of `facts` whose object is not among those of `others`.
std::vector<const Fact*> without(
    const std::vector<const Fact*>& facts, const std::vector<const Fact*>& others) {
  std::vector<const Fact*> result;
  for (const Fact* fact : facts) {
    if (std::none_of(others.begin(), others.end(), [&](const Fact* other) {
          return other->object == fact->object;
        })) {
      result.push_back(fact);
    }
  }
  return result;
}

} // namespace

std::vector<Edit> difference(const World& before, const World& after) {
  const Knowledge& knowledge = before.knowledge();
  std::set<SlotKey> slots;
  for (const Fact& fact : knowledge.facts) {
    slots.emplace(fact.relation, fact.subject);
  }
  std::vector<Edit> edits;
  for (const SlotKey& slot : slots) {
    const auto& old_facts = before.values(slot.second, slot.first);
    const auto& new_facts = after.values(slot.second, slot.first);
    const std::vector<const Fact*> gone = without(old_facts, new_facts);
    const std::vector<const Fact*> come = without(new_facts, old_facts);
    const Relation* relation = knowledge.find_relation(slot.first);
    const bool functional = relation == nullptr || relation->functional;
    if (functional && !gone.empty() && !come.empty()) {
      edits.push_back(make_edit(slot, gone.front(), come.front()));
      continue;
    }
    for (const Fact* fact : gone) {
      edits.push_back(make_edit(slot, fact, nullptr));
    }
    for (const Fact* fact : come) {
      edits.push_back(make_edit(slot, nullptr, fact));
    }
  }
  return edits;
}

} // namespace errata::editing
