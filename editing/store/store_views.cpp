#include "core/base/did_you_mean.h"
#include "core/base/error.h"
#include "editing/store/fact_rows.h"

#include <algorithm>
#include <set>

namespace errata::editing {
namespace {

/// Names of entities that go by `alias`.
std::set<std::string> names_of_alias(Database& database, std::string_view alias) {
  std::set<std::string> names;
  Query row = database.query(
      "SELECT e.name FROM entity_aliases a JOIN entities e ON e.id = a.entity WHERE a.alias = ?1 "
      "UNION SELECT e.name FROM fact_aliases a JOIN facts f ON f.id = a.fact "
      "JOIN entities e ON e.id = f.object WHERE a.alias = ?1 AND f.superseded IS NULL");
  row.bind(alias);
  while (row.step()) {
    names.insert(row.text(0));
  }
  return names;
}

[[noreturn]] void fail_unknown(Database& database, std::string_view name) {
  std::vector<std::string> known;
  constexpr std::int64_t kMostNames = 200'000; // a hint is not worth minutes
  Query row = database.query("SELECT name FROM entities LIMIT ?1");
  row.bind(kMostNames);
  while (row.step()) {
    known.push_back(row.text(0));
  }
  ERRATA_FAIL(
      ErrorCode::kInvalidArgument,
      database.path().string(),
      ": nothing is known of '",
      name.substr(0, 80),
      "'",
      did_you_mean(name, known));
}

// Counted from the indices by record time alone.
constexpr const char* kLog =
    "SELECT id, at, action, note, versions - replaced, replaced, withdrawn FROM ("
    "SELECT c.id, c.at, c.action, c.note,"
    " (SELECT count(*) FROM facts WHERE recorded = c.id) AS versions,"
    " (SELECT count(*) FROM facts WHERE superseded = c.id AND superseded_by IS NOT NULL)"
    "   AS replaced,"
    " (SELECT count(*) FROM facts WHERE superseded = c.id AND superseded_by IS NULL) AS withdrawn"
    " FROM changes c) ORDER BY id DESC LIMIT ?1";

// From the versions of the subject's facts, however many others there are; current and former ones
// have indices of their own.
constexpr const char* kLogOfSubject =
    "SELECT c.id, c.at, c.action, c.note, sum(v) - sum(r), sum(r), sum(w) FROM ("
    "SELECT recorded AS change, 1 AS v, 0 AS r, 0 AS w FROM facts "
    " WHERE subject = ?2 AND superseded IS NULL UNION ALL "
    "SELECT recorded, 1, 0, 0 FROM facts WHERE subject = ?2 AND superseded IS NOT NULL UNION ALL "
    "SELECT superseded, 0, superseded_by IS NOT NULL, superseded_by IS NULL FROM facts "
    " WHERE subject = ?2 AND superseded IS NOT NULL) "
    "JOIN changes c ON c.id = change GROUP BY c.id ORDER BY c.id DESC LIMIT ?1";

} // namespace

std::vector<LogEntry> EditStore::log(std::size_t limit, std::string_view subject) const {
  State& state = *state_;
  const Snapshot snapshot(state.database);
  std::optional<std::int64_t> about;
  if (!subject.empty()) {
    about = state.entity_id(subject);
    if (!about) {
      fail_unknown(state.database, subject);
    }
  }
  Query row = state.database.query(about ? kLogOfSubject : kLog);
  row.bind(limit == 0 ? std::int64_t{-1} : static_cast<std::int64_t>(limit));
  if (about) {
    row.bind_at(2, *about);
  }
  std::vector<LogEntry> entries;
  while (row.step()) {
    entries.push_back(
        {row.integer(0),
         row.text(1),
         row.text(2),
         row.text(3),
         row.integer(4),
         row.integer(5),
         row.integer(6)});
  }
  return entries;
}

std::int64_t EditStore::change_at(std::string_view time) const {
  constexpr std::size_t kTimeSize = std::string_view("2026-01-22T08:15:30Z").size();
  const auto date = try_parse_date(time.substr(0, time.size() == kTimeSize ? 10 : time.size()));
  ERRATA_CHECK(
      date && (time.size() != kTimeSize || (time[10] == 'T' && time.back() == 'Z')),
      ErrorCode::kInvalidArgument,
      "record time '",
      time,
      "' is not a time; expected YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ");
  const std::string until =
      time.size() == kTimeSize ? std::string(time) : to_string(date->last_day()) + "T23:59:60Z";
  Query row = state_->database.query(
      "SELECT id FROM changes WHERE at <= ?1 ORDER BY at DESC, id DESC LIMIT 1");
  row.bind(until);
  return row.step() ? row.integer(0) : 0;
}

std::string EditStore::resolve(std::string_view name) const {
  State& state = *state_;
  const Snapshot snapshot(state.database);
  if (state.entity_id(name)) {
    return std::string(name);
  }
  const std::set<std::string> names = names_of_alias(state.database, name);
  if (names.empty()) {
    fail_unknown(state.database, name);
  }
  ERRATA_CHECK(
      names.size() == 1,
      ErrorCode::kInvalidArgument,
      path().string(),
      ": '",
      name,
      "' is another name of several, of '",
      *names.begin(),
      "' and '",
      *names.rbegin(),
      "' among them; give the full name");
  return *names.begin();
}

EntityView EditStore::show(std::string_view name) const {
  State& state = *state_;
  const Snapshot snapshot(state.database);
  const std::string canonical = resolve(name);
  EntityView view;
  view.entity.name = canonical;
  Query row = state.database.query(
      "SELECT e.kind, a.alias FROM entities e LEFT JOIN entity_aliases a ON a.entity = e.id "
      "WHERE e.name = ?1 ORDER BY a.position");
  row.bind(canonical);
  while (row.step()) {
    view.entity.kind = row.text(0);
    if (const auto alias = row.maybe_text(1)) {
      view.entity.aliases.push_back(*alias);
    }
  }
  const auto select = [&](const char* column) {
    std::vector<StoredFact> facts;
    Query fact = state.database.query(concat(
        "SELECT",
        kFactColumns,
        "FROM",
        kFactTables,
        "WHERE f.superseded IS NULL AND ",
        column,
        " = ?1 ORDER BY",
        kFactOrder));
    fact.bind(state.entity_id(canonical));
    while (fact.step()) {
      facts.push_back(read_stored_fact(state.database, fact));
    }
    return facts;
  };
  view.facts = select("f.subject");
  view.incoming = select("f.object");
  return view;
}

std::vector<BlameEntry> EditStore::blame(
    std::string_view subject, std::string_view relation) const {
  State& state = *state_;
  const Snapshot snapshot(state.database);
  const RelationRow slot_relation = state.require_relation(relation);
  const auto slot_subject = state.entity_id(subject);
  if (!slot_subject) {
    fail_unknown(state.database, subject);
  }
  Query row = state.database.query(concat(
      "SELECT",
      kFactColumns,
      "FROM",
      kFactTables,
      "WHERE ",
      with_versions("f.subject = ?1 AND f.relation = ?2", Versions::kAll),
      " ORDER BY",
      kFactOrder));
  row.bind(slot_subject, slot_relation.id);
  std::vector<BlameEntry> entries;
  while (row.step()) {
    BlameEntry& entry = entries.emplace_back();
    entry.fact = read_stored_fact(state.database, row);
    Query run = state.database.query(
        "SELECT DISTINCT r.name FROM run_edits e JOIN runs r ON r.id = e.run "
        "WHERE e.subject = ?1 AND e.relation = ?2 AND e.new_object = ?3 ORDER BY r.id");
    run.bind(subject, relation, entry.fact.fact.object);
    while (run.step()) {
      entry.runs.push_back(run.text(0));
    }
  }
  return entries;
}

Statistics EditStore::statistics() const {
  State& state = *state_;
  const Snapshot snapshot(state.database);
  const auto count = [&](const char* rows) {
    return state.database.integer(concat("SELECT count(*) FROM ", rows));
  };
  Statistics statistics;
  statistics.relations = count("relations");
  statistics.entities = count("entities");
  statistics.facts = count("facts WHERE superseded IS NULL");
  statistics.versions = count("facts");
  statistics.multi_hop = count("cases WHERE superseded IS NULL");
  statistics.edits = count("edits WHERE superseded IS NULL");
  statistics.runs = count("runs");
  statistics.changes = count("changes");
  return statistics;
}

} // namespace errata::editing
