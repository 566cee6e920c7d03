#include "core/base/error.h"
#include "editing/store/fact_rows.h"
#include "editing/store/text_check.h"

#include <algorithm>
#include <tuple>

namespace errata::editing {
namespace {

using datasets::Fact;

StoredFact fact_by_id(Database& database, std::int64_t id) {
  Query row =
      database.query(concat("SELECT", kFactColumns, "FROM", kFactTables, "WHERE f.id = ?1"));
  row.bind(id).step();
  return read_stored_fact(database, row);
}

struct Span {
  std::int64_t id;
  std::int64_t subject;
  std::int64_t relation;
  std::int64_t object;
  std::optional<Date> from;
  std::optional<Date> to;
};

bool overlap(const Span& earlier, const Span& later) {
  return (!earlier.to || !later.from || to_days(*later.from) < to_days(*earlier.to)) &&
         (!later.to || !earlier.from || to_days(*earlier.from) < to_days(*later.to));
}

std::string named(const Fact& fact) {
  return concat("'", brief({fact.object}), "'");
}

std::string recorded(const StoredFact& stored) {
  return concat(
      "recorded in change ",
      stored.recorded,
      stored.fact.source.empty() ? "" : ", source " + brief({stored.fact.source}));
}

FactKey key_of(const Fact& fact) {
  return {fact.subject, fact.relation, fact.object, fact.valid_from};
}

void explain(Conflict& conflict) {
  const Fact& first = conflict.first.fact;
  const Fact& second = conflict.second.fact;
  const bool together = first.valid_from && second.valid_from &&
                        to_days(*first.valid_from) == to_days(*second.valid_from);
  if (!second.valid_from || together) {
    conflict.why = concat(
        named(first),
        " and ",
        named(second),
        together ? " begin on the same day, " + to_string(*first.valid_from)
                 : std::string(" have no start, so both hold from the beginning"));
    conflict.wrong = key_of(second);
  } else {
    conflict.why = concat(
        named(first),
        first.valid_to     ? " is stated to hold until " + to_string(*first.valid_to)
        : first.valid_from ? std::string(" is stated to have no end")
                           : std::string(" has no dates, so it holds on every day"),
        ", but ",
        named(second),
        " begins on ",
        to_string(*second.valid_from));
    conflict.wrong = key_of(first);
    conflict.until = second.valid_from;
  }
  if (first.provisional != second.provisional) {
    conflict.why += concat("; ", named(first.provisional ? first : second), " is a stand-in");
  }
  conflict.why += concat(" (", recorded(conflict.first), "; ", recorded(conflict.second), ")");
}

Conflict make_conflict(Database& database, const Span& earlier, const Span& later) {
  Conflict conflict;
  conflict.first = fact_by_id(database, earlier.id);
  conflict.second = fact_by_id(database, later.id);
  conflict.from = later.from ? later.from : earlier.from;
  conflict.to = !earlier.to ? later.to
                : !later.to ? earlier.to
                            : (to_days(*earlier.to) < to_days(*later.to) ? earlier.to : later.to);
  explain(conflict);
  return conflict;
}

} // namespace

std::vector<Conflict> EditStore::conflicts() const {
  State& state = *state_;
  const Snapshot snapshot(state.database);
  std::vector<Conflict> conflicts;
  std::vector<Span> slot; // what came before in the slot and may still hold
  Query row = state.database.query(
      "SELECT f.id, f.subject, f.relation, f.object, f.valid_from, f.valid_to FROM facts f "
      "JOIN relations r ON r.id = f.relation WHERE f.superseded IS NULL AND r.functional "
      "ORDER BY f.subject, f.relation, coalesce(f.from_day, -10000000), f.object");
  while (row.step()) {
    const Span span{
        row.integer(0),
        row.integer(1),
        row.integer(2),
        row.integer(3),
        row.maybe_date(4),
        row.maybe_date(5)};
    std::erase_if(slot, [&](const Span& earlier) {
      return earlier.subject != span.subject || earlier.relation != span.relation ||
             !overlap(earlier, span);
    });
    for (const Span& earlier : slot) {
      if (earlier.object != span.object) {
        conflicts.push_back(make_conflict(state.database, earlier, span));
      }
    }
    slot.push_back(span);
  }
  // Ids depend on the order of recording, names do not.
  std::stable_sort(conflicts.begin(), conflicts.end(), [](const Conflict& a, const Conflict& b) {
    const Fact& x = a.first.fact;
    const Fact& y = b.first.fact;
    return std::tie(x.relation, x.subject) < std::tie(y.relation, y.subject);
  });
  return conflicts;
}

} // namespace errata::editing
