#include "editing/plan/leave_out.h"

#include <algorithm>

namespace errata::editing {

using datasets::Edit;
using datasets::Fact;
using datasets::Relation;

LeftOut::LeftOut(
    const Knowledge& knowledge, const std::vector<Edit>& edits, const std::set<std::string>& ids) {
  for (const Edit& edit : edits) {
    if (!ids.contains(edit.id)) {
      continue;
    }
    const Relation* relation = knowledge.find_relation(edit.relation);
    const bool functional = relation == nullptr || relation->functional;
    const std::string inverse = relation == nullptr ? "" : relation->inverse;
    if (functional) {
      slots_.emplace(edit.subject, edit.relation, "");
      if (!inverse.empty()) {
        slots_.emplace("", inverse, edit.subject);
      }
      continue;
    }
    const std::string& object = edit.new_object ? *edit.new_object : *edit.old_object;
    slots_.emplace(edit.subject, edit.relation, object);
    if (!inverse.empty()) {
      slots_.emplace(object, inverse, edit.subject);
    }
  }
}

bool LeftOut::holds(
    const std::string& subject, const std::string& relation, const std::string& object) const {
  return slots_.contains({subject, relation, object}) || slots_.contains({subject, relation, ""}) ||
         slots_.contains({"", relation, object});
}

bool LeftOut::concerns(const Edit& edit) const {
  return (edit.old_object && holds(edit.subject, edit.relation, *edit.old_object)) ||
         (edit.new_object && holds(edit.subject, edit.relation, *edit.new_object));
}

std::vector<Edit> LeftOut::rest(std::vector<Edit> edits) const {
  std::erase_if(edits, [&](const Edit& edit) { return concerns(edit); });
  return edits;
}

void LeftOut::hold_still(Knowledge& knowledge, const Date& from) const {
  const auto concerned = [&](const Fact& fact) {
    return holds(fact.subject, fact.relation, fact.object);
  };
  std::erase_if(knowledge.facts, [&](const Fact& fact) {
    return concerned(fact) && fact.valid_from && to_days(*fact.valid_from) > to_days(from);
  });
  for (Fact& fact : knowledge.facts) {
    if (concerned(fact) && holds_on(from, fact.valid_from, fact.valid_to)) {
      fact.valid_to.reset();
    }
  }
}

} // namespace errata::editing
