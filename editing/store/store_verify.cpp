#include "core/base/error.h"
#include "editing/store/store_state.h"

#include <array>

namespace errata::editing {
namespace {

/// A query whose every row is a fault: the id of what is wrong.
struct Invariant {
  const char* fault;
  const char* query;
};

constexpr std::array<Invariant, 9> kInvariants = {{
    {"fact whose from_day is not the first day of its valid_from",
     "SELECT id FROM facts WHERE from_day IS NOT "
     "CAST(julianday(substr(valid_from || '-01-01', 1, 10)) - 2440587.5 AS INTEGER)"},
    {"fact whose to_day is not the first day of its valid_to",
     "SELECT id FROM facts WHERE to_day IS NOT "
     "CAST(julianday(substr(valid_to || '-01-01', 1, 10)) - 2440587.5 AS INTEGER)"},
    {"fact superseded by one of another slot or change",
     "SELECT f.id FROM facts f JOIN facts n ON n.id = f.superseded_by WHERE n.subject <> f.subject "
     "OR n.relation <> f.relation OR n.object <> f.object OR n.recorded <> f.superseded"},
    {"fact with an end that is neither stated nor the start of the next value",
     "SELECT f.id FROM facts f JOIN relations r ON r.id = f.relation WHERE f.superseded IS NULL "
     "AND f.end_stated = 0 AND f.to_day IS NOT (SELECT min(n.from_day) FROM facts n "
     "WHERE r.functional AND n.superseded IS NULL AND n.subject = f.subject "
     "AND n.relation = f.relation AND n.from_day > coalesce(f.from_day, -10000000))"},
    {"relation whose inverse is missing or names another",
     "SELECT r.id FROM relations r LEFT JOIN relations i ON i.name = r.inverse "
     "WHERE r.inverse <> '' AND (i.id IS NULL OR i.inverse <> r.name)"},
    {"change that is older than the one before it",
     "SELECT c.id FROM changes c JOIN changes p ON p.id = c.id - 1 WHERE c.at < p.at"},
    {"multi-hop case without a question",
     "SELECT id FROM cases WHERE NOT EXISTS (SELECT 1 FROM case_texts t WHERE t.case_id = cases.id "
     "AND t.kind = 'question')"},
    {"multi-hop case whose chain is broken",
     "SELECT a.case_id FROM case_hops a JOIN case_hops b ON b.case_id = a.case_id "
     "AND b.day = a.day AND b.position = a.position + 1 WHERE a.object <> b.subject"},
    {"edit with an impossible date",
     "SELECT id FROM edits WHERE effective IS NOT NULL "
     "AND date(substr(effective || '-01-01', 1, 10)) IS NULL"},
}};

constexpr int kMostNamed = 5;

void append_faults(
    Database& database, const Invariant& invariant, std::vector<std::string>& faults) {
  Query row = database.query(invariant.query);
  int count = 0;
  while (row.step()) {
    ++count;
    if (count <= kMostNamed) {
      faults.push_back(concat(invariant.fault, ": id ", row.integer(0)));
    }
  }
  if (count > kMostNamed) {
    faults.push_back(concat(invariant.fault, ": ", count - kMostNamed, " more"));
  }
}

} // namespace

std::vector<std::string> EditStore::verify() const {
  State& state = *state_;
  const Snapshot snapshot(state.database);
  std::vector<std::string> faults;
  Query integrity = state.database.query("PRAGMA integrity_check");
  while (integrity.step()) {
    if (integrity.text(0) != "ok") {
      faults.push_back("SQLite: " + integrity.text(0));
    }
  }
  Query references = state.database.query("PRAGMA foreign_key_check");
  while (references.step()) {
    faults.push_back(concat(
        "row ",
        references.integer(1),
        " of ",
        references.text(0),
        " refers to a missing row of ",
        references.text(2)));
  }
  for (const Invariant& invariant : kInvariants) {
    append_faults(state.database, invariant, faults);
  }
  return faults;
}

} // namespace errata::editing
