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

namespace {

/// The ids behind the names of a query.
struct QueryIds {
  std::optional<std::int64_t> relation;
  std::optional<std::int64_t> subject;
  std::optional<std::int64_t> object;
};

// Parameters: 1 relation, 2 subject, 3 object, 4 known, 5 day, 6 from, 7 to, 8 text, 9 source,
// 10 provisional, 11 limit.
std::string conditions(const FactQuery& query) {
  std::string slot = "1";
  slot += query.relation ? " AND f.relation = ?1" : "";
  slot += query.subject ? " AND f.subject = ?2" : "";
  slot += query.object ? " AND f.object = ?3" : "";
  const Versions versions = query.known        ? Versions::kKnown
                            : query.superseded ? Versions::kAll
                                               : Versions::kCurrent;
  std::string where = " WHERE ";
  if (query.subject) {
    where += with_versions(slot, versions);
  } else {
    where += slot;
    where += versions == Versions::kCurrent ? " AND f.superseded IS NULL" : "";
    where += versions == Versions::kKnown
                 ? " AND f.recorded <= ?4 AND (f.superseded IS NULL OR f.superseded > ?4)"
                 : "";
  }
  if (query.day) {
    where +=
        " AND (f.from_day IS NULL OR f.from_day <= ?5) AND (f.to_day IS NULL OR f.to_day > ?5)";
  }
  where += query.to ? " AND (f.from_day IS NULL OR f.from_day < ?7)" : "";
  where += query.from ? " AND (f.to_day IS NULL OR f.to_day > ?6)" : "";
  where +=
      query.text ? " AND (instr(lower(s.name), lower(?8)) OR instr(lower(o.name), lower(?8)))" : "";
  where += query.source ? " AND f.source GLOB ?9" : "";
  where += query.provisional ? " AND f.provisional = ?10" : "";
  return where;
}

} // namespace

void EditStore::for_each(
    const FactQuery& query, const std::function<void(StoredFact&)>& visit) const {
  ERRATA_CHECK(
      !query.known || !query.superseded,
      ErrorCode::kInternal,
      "a query for all versions cannot name one record time as well");
  State& state = *state_;
  const Snapshot snapshot(state.database);
  state.require_known(query.known);
  QueryIds ids;
  if (query.relation) {
    ids.relation = state.require_relation(*query.relation).id;
  }
  if (query.subject) {
    ids.subject = state.entity_id(*query.subject);
  }
  if (query.object) {
    ids.object = state.entity_id(*query.object);
  }
  if ((query.subject && !ids.subject) || (query.object && !ids.object)) {
    return;
  }
  Query row = state.database.query(concat(
      "SELECT",
      kFactColumns,
      "FROM",
      kFactTables,
      conditions(query),
      " ORDER BY",
      kFactOrder,
      "LIMIT ?11"));
  row.bind(
      ids.relation,
      ids.subject,
      ids.object,
      query.known,
      day_number(query.day),
      day_number(query.from),
      day_number(query.to),
      query.text,
      query.source,
      query.provisional ? std::optional<std::int64_t>(*query.provisional) : std::nullopt,
      query.limit == 0 ? std::int64_t{-1} : static_cast<std::int64_t>(query.limit));
  while (row.step()) {
    StoredFact fact = read_stored_fact(state.database, row);
    visit(fact);
  }
}

std::vector<StoredFact> EditStore::find(const FactQuery& query) const {
  std::vector<StoredFact> facts;
  for_each(query, [&](StoredFact& fact) { facts.push_back(std::move(fact)); });
  return facts;
}

namespace {

std::vector<datasets::Fact> without_record(const EditStore& store, const FactQuery& query) {
  std::vector<datasets::Fact> facts;
  store.for_each(query, [&](StoredFact& item) { facts.push_back(std::move(item.fact)); });
  return facts;
}

} // namespace

std::vector<datasets::Fact> EditStore::facts_as_of(
    const Date& day, std::optional<std::int64_t> known) const {
  FactQuery query;
  query.day = day;
  query.known = known;
  return without_record(*this, query);
}

std::vector<datasets::Fact> EditStore::all_facts() const {
  return without_record(*this, {});
}

} // namespace errata::editing
