#include "core/base/error.h"
#include "editing/store/schema.h"
#include "editing/store/store_state.h"
#include "editing/store/text_check.h"

#include <array>
#include <map>

namespace errata::editing {
namespace {

/// A query whose every row is a fault: the id of what is wrong.
struct Invariant {
  const char* fault;
  const char* query;
};

constexpr std::array<Invariant, 25> kInvariants = {{
    {"fact whose valid_from does not exist",
     "SELECT id FROM facts WHERE date(substr(valid_from || '-01-01', 1, 10), '+0 days') IS NOT "
     "substr(valid_from || '-01-01', 1, 10)"},
    {"fact whose valid_to does not exist",
     "SELECT id FROM facts WHERE date(substr(valid_to || '-01-01', 1, 10), '+0 days') IS NOT "
     "substr(valid_to || '-01-01', 1, 10)"},
    {"fact replaced by an older version", "SELECT id FROM facts WHERE superseded_by <= id"},
    {"two versions replaced by one",
     "SELECT superseded_by FROM facts WHERE superseded_by IS NOT NULL GROUP BY superseded_by "
     "HAVING count(*) > 1"},
    {"fact whose aliases are not numbered from 0",
     "SELECT fact FROM fact_aliases GROUP BY fact "
     "HAVING min(position) <> 0 OR max(position) <> count(*) - 1"},
    {"entity whose aliases are not numbered from 0",
     "SELECT entity FROM entity_aliases GROUP BY entity "
     "HAVING min(position) <> 0 OR max(position) <> count(*) - 1"},
    {"fact with an alias twice",
     "SELECT fact FROM fact_aliases GROUP BY fact, alias HAVING count(*) > 1"},
    {"entity with an alias twice",
     "SELECT entity FROM entity_aliases GROUP BY entity, alias HAVING count(*) > 1"},
    {"change whose time is not of the form YYYY-MM-DDThh:mm:ssZ",
     "SELECT id FROM changes WHERE at NOT GLOB "
     "'[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z'"},
    {"record of a set that was superseded before it was recorded",
     "SELECT id FROM cases WHERE superseded < recorded UNION ALL "
     "SELECT id FROM edits WHERE superseded < recorded"},
    {"multi-hop case whose hops are not numbered from 0",
     "SELECT case_id FROM case_hops GROUP BY case_id, day "
     "HAVING min(position) <> 0 OR max(position) <> count(*) - 1"},
    {"edit whose names of the target are not numbered from 0",
     "SELECT edit FROM edit_aliases GROUP BY edit "
     "HAVING min(position) <> 0 OR max(position) <> count(*) - 1"},
    {"edit whose prompts of a kind are not numbered from 0",
     "SELECT edit FROM probes GROUP BY edit, kind "
     "HAVING min(position) <> 0 OR max(position) <> count(*) - 1"},
    {"prompt whose answers are not numbered from 0",
     "SELECT probe FROM probe_answers GROUP BY probe "
     "HAVING min(position) <> 0 OR max(position) <> count(*) - 1"},
    {"run whose configuration or metrics are not JSON",
     "SELECT id FROM runs WHERE (config <> '' AND NOT json_valid(config)) "
     "OR (metrics <> '' AND NOT json_valid(metrics))"},
    {"run with an edit that lacks a value its kind has",
     "SELECT run FROM run_edits WHERE (old_object IS NULL) <> (kind = 'injection') "
     "OR (new_object IS NULL) <> (kind = 'removal')"},
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

/// Tables and indices with the SQL that made them.
std::map<std::string, std::string> schema_of(Database& database) {
  std::map<std::string, std::string> objects;
  Query row = database.query(
      "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'");
  while (row.step()) {
    objects.emplace(row.text(0), row.text(1));
  }
  return objects;
}

// A store that was migrated must be the same as one that was made today.
void check_schema(Database& database, std::vector<std::string>& faults) {
  Database fresh(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 0);
  initialise_schema(fresh);
  const auto expected = schema_of(fresh);
  const auto found = schema_of(database);
  for (const auto& [name, sql] : expected) {
    const auto place = found.find(name);
    if (place == found.end()) {
      faults.push_back(concat(name, " is missing"));
    } else if (place->second != sql) {
      faults.push_back(concat(name, " is not what this version makes"));
    }
  }
  for (const auto& [name, sql] : found) {
    if (!expected.contains(name)) {
      faults.push_back(concat(name, " does not belong to a store"));
    }
  }
}

/// Texts come from outside, whatever the column.
void check_texts(Database& database, std::vector<std::string>& faults) {
  std::vector<std::pair<std::string, std::string>> columns;
  Query column = database.query(
      "SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c "
      "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND c.type = 'TEXT'");
  while (column.step()) {
    columns.emplace_back(column.text(0), column.text(1));
  }
  for (const auto& [table, name] : columns) {
    Query row = database.query(
        concat("SELECT \"", name, "\" FROM ", table, " WHERE \"", name, "\" IS NOT NULL"));
    for (std::int64_t number = 1; row.step(); ++number) {
      try {
        require_text(row.text(0), concat(table, ", row ", number, ": ", name));
      } catch (const Error& error) {
        faults.emplace_back(error.what());
        break; // one is enough to know of
      }
    }
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
  check_schema(state.database, faults);
  if (!faults.empty()) {
    return faults; // the rules below would only repeat what is broken underneath
  }
  for (const Invariant& invariant : kInvariants) {
    append_faults(state.database, invariant, faults);
  }
  check_texts(state.database, faults);
  return faults;
}

} // namespace errata::editing
