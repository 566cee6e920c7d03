#include "editing/store/fact_rows.h"

#include "core/base/error.h"

namespace errata::editing {

std::optional<std::int64_t> day_number(const std::optional<Date>& date) {
  return date ? std::optional<std::int64_t>(to_days(*date)) : std::nullopt;
}

std::vector<SlotRow> current_slot(Database& database, std::int64_t subject, std::int64_t relation) {
  std::vector<SlotRow> rows;
  Query row = database.query(
      "SELECT id, object, valid_from, valid_to, end_stated, provisional, recorded FROM facts "
      "WHERE subject = ?1 AND relation = ?2 AND superseded IS NULL ORDER BY from_day, id");
  row.bind(subject, relation);
  while (row.step()) {
    rows.push_back(
        {row.integer(0),
         row.integer(1),
         row.maybe_date(2),
         row.maybe_date(3),
         row.integer(4) != 0,
         row.integer(5) != 0,
         row.integer(6)});
  }
  return rows;
}

std::vector<std::string> fact_aliases(Database& database, std::int64_t fact) {
  std::vector<std::string> aliases;
  Query row = database.query("SELECT alias FROM fact_aliases WHERE fact = ?1 ORDER BY position");
  row.bind(fact);
  while (row.step()) {
    aliases.push_back(row.text(0));
  }
  return aliases;
}

StoredFact read_stored_fact(Database& database, const Query& row) {
  StoredFact stored;
  stored.id = row.integer(0);
  stored.fact.subject = row.text(1);
  stored.fact.relation = row.text(2);
  stored.fact.object = row.text(3);
  stored.fact.valid_from = row.maybe_date(4);
  stored.fact.valid_to = row.maybe_date(5);
  stored.fact.provisional = row.integer(6) != 0;
  stored.fact.source = row.text(7);
  stored.fact.note = row.text(8);
  stored.fact.aliases = fact_aliases(database, stored.id);
  stored.recorded = row.integer(9);
  stored.recorded_at = row.text(10);
  stored.superseded = row.maybe_integer(11).value_or(0);
  stored.superseded_at = row.maybe_text(12).value_or("");
  stored.superseded_by = row.maybe_integer(13).value_or(0);
  stored.end_stated = row.integer(14) != 0;
  return stored;
}

std::string with_versions(std::string_view condition, Versions versions) {
  switch (versions) {
    case Versions::kCurrent:
      return concat("(", condition, " AND f.superseded IS NULL)");
    case Versions::kKnown:
      return concat(
          "((",
          condition,
          " AND f.superseded IS NULL AND f.recorded <= ?4) OR (",
          condition,
          " AND f.superseded > ?4 AND f.recorded <= ?4))");
    case Versions::kAll:
      break;
  }
  return concat(
      "((",
      condition,
      " AND f.superseded IS NULL) OR (",
      condition,
      " AND f.superseded IS NOT NULL))");
}

} // namespace errata::editing
