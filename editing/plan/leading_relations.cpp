#include "editing/plan/leading_relations.h"

#include <algorithm>
#include <map>
#include <unordered_set>

namespace errata::editing {

using datasets::Edit;
using datasets::EditKind;

std::set<std::string> leading_relations(const std::vector<Edit>& edits) {
  std::map<std::string, std::vector<const Edit*>> by_relation;
  std::map<std::string, std::size_t> modified;
  for (const Edit& edit : edits) {
    by_relation[edit.relation].push_back(&edit);
    modified[edit.relation] += edit.kind == EditKind::kModification ? 1 : 0;
  }
  std::vector<std::string> order;
  for (const auto& [relation, list] : by_relation) {
    order.push_back(relation);
  }
  std::stable_sort(order.begin(), order.end(), [&](const auto& left, const auto& right) {
    return modified[left] > modified[right];
  });
  std::set<std::string> leading;
  std::unordered_set<std::string> holders; // old and new values of leading slots
  for (const std::string& relation : order) {
    const auto& list = by_relation[relation];
    const auto follows =
        static_cast<std::size_t>(std::count_if(list.begin(), list.end(), [&](const Edit* edit) {
          return holders.contains(edit->subject);
        }));
    if (2 * follows > list.size()) {
      continue;
    }
    leading.insert(relation);
    for (const Edit* edit : list) {
      if (edit->kind == EditKind::kModification) {
        holders.insert(*edit->old_object);
        holders.insert(*edit->new_object);
      }
    }
  }
  return leading;
}

} // namespace errata::editing
