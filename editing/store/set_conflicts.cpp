#include "editing/store/store_state.h"

namespace errata::editing {
namespace {

constexpr const char* kEditConflicts =
    "SELECT a.subject, a.relation, a.key, a.target_new, b.key, b.target_new FROM sets s "
    "JOIN edits a ON a.set_id = s.id AND a.superseded IS NULL "
    "JOIN edits b ON b.set_id = a.set_id AND b.superseded IS NULL AND b.subject = a.subject "
    "AND b.relation = a.relation AND b.id > a.id AND b.target_new <> a.target_new "
    "WHERE s.name = ?1 AND a.subject <> '' AND (a.relation <> '' OR a.prompt = b.prompt) "
    "ORDER BY a.id, b.id";
constexpr const char* kCaseConflicts =
    "SELECT h.subject, h.relation, e.key, e.target_new, c.key, h.object FROM sets s "
    "JOIN cases c ON c.set_id = s.id AND c.superseded IS NULL "
    "JOIN case_hops h ON h.case_id = c.id AND h.day = 1 "
    "JOIN edits e ON e.set_id = c.set_id AND e.superseded IS NULL AND e.subject = h.subject "
    "AND e.relation = h.relation AND e.target_new <> h.object "
    "WHERE s.name = ?1 ORDER BY c.id, h.position, e.id";

} // namespace

std::vector<SetConflict> EditStore::set_conflicts(std::string_view set) const {
  const Snapshot snapshot(state_->database);
  std::vector<SetConflict> conflicts;
  for (const bool with_case : {false, true}) {
    Query row = state_->database.query(with_case ? kCaseConflicts : kEditConflicts);
    row.bind(set);
    while (row.step()) {
      conflicts.push_back(
          {row.text(0),
           row.text(1),
           row.text(2),
           row.text(3),
           row.text(4),
           row.text(5),
           with_case});
    }
  }
  return conflicts;
}

} // namespace errata::editing
