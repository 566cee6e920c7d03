#include "core/base/error.h"
#include "editing/store/fact_rows.h"

namespace errata::editing {

void EditStore::State::require_known(std::optional<std::int64_t> known) {
  if (!known) {
    return;
  }
  const std::int64_t last = database.integer("SELECT coalesce(max(id), 0) FROM changes");
  ERRATA_CHECK(
      *known >= 0 && *known <= last,
      ErrorCode::kInvalidArgument,
      database.path().string(),
      ": there is no change ",
      *known,
      "; the last one is ",
      last);
}

std::vector<StoredFact> EditStore::find(const FactQuery& query) const {
  ERRATA_CHECK(
      !query.known || !query.superseded,
      ErrorCode::kInternal,
      "a query for all versions cannot name one record time as well");
  State& state = *state_;
  const Snapshot snapshot(state.database);
  state.require_known(query.known);
  std::vector<StoredFact> facts;
  std::string where = " WHERE 1";
  std::optional<std::int64_t> subject;
  std::optional<std::int64_t> relation;
  std::optional<std::int64_t> object;
  if (query.relation) {
    relation = state.require_relation(*query.relation).id;
    where += " AND f.relation = ?1";
  }
  if (query.subject) {
    subject = state.entity_id(*query.subject);
    where += " AND f.subject = ?2";
  }
  if (query.object) {
    object = state.entity_id(*query.object);
    where += " AND f.object = ?3";
  }
  if ((query.subject && !subject) || (query.object && !object)) {
    return facts;
  }
  if (query.known) {
    where += " AND f.recorded <= ?4 AND (f.superseded IS NULL OR f.superseded > ?4)";
  } else if (!query.superseded) {
    where += " AND f.superseded IS NULL";
  }
  if (query.day) {
    where +=
        " AND (f.from_day IS NULL OR f.from_day <= ?5) AND (f.to_day IS NULL OR f.to_day > ?5)";
  }
  where += " AND (?5 IS NULL OR 1)"; // parameters 1 to 5 exist, whichever of them are used
  Query row = state.database.query(
      concat("SELECT", kFactColumns, "FROM", kFactTables, where, " ORDER BY", kFactOrder));
  row.bind(relation, subject, object, query.known, day_number(query.day));
  while (row.step()) {
    facts.push_back(read_stored_fact(state.database, row));
  }
  return facts;
}

namespace {

std::vector<datasets::Fact> without_record(std::vector<StoredFact> stored) {
  std::vector<datasets::Fact> facts;
  facts.reserve(stored.size());
  for (StoredFact& item : stored) {
    facts.push_back(std::move(item.fact));
  }
  return facts;
}

} // namespace

std::vector<datasets::Fact> EditStore::facts_as_of(
    const Date& day, std::optional<std::int64_t> known) const {
  FactQuery query;
  query.day = day;
  query.known = known;
  return without_record(find(query));
}

std::vector<datasets::Fact> EditStore::all_facts() const {
  return without_record(find({}));
}

} // namespace errata::editing
