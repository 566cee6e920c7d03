#include "core/base/error.h"
#include "editing/store/fact_rows.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace errata::editing {
namespace {

using datasets::EditKind;

/// Relation, subject and start.
using Place = std::tuple<std::string, std::string, std::int64_t>;

/// Versions at one place that only one of the two record times knows.
struct Difference {
  bool functional = false;
  std::vector<StoredFact> gone;
  std::vector<StoredFact> come;
};

bool reads_the_same(const datasets::Fact& a, const datasets::Fact& b) {
  return a.object == b.object && a.valid_from == b.valid_from && a.valid_to == b.valid_to &&
         a.aliases == b.aliases && a.provisional == b.provisional && a.source == b.source &&
         a.note == b.note;
}

// Pairs what went with what came in its stead: the same object, or in a functional slot any.
void pair_up(Difference& difference, bool same_object, std::vector<Learnt>& result) {
  for (auto old = difference.gone.begin(); old != difference.gone.end();) {
    const auto replacement =
        std::find_if(difference.come.begin(), difference.come.end(), [&](const StoredFact& fact) {
          return !same_object || fact.fact.object == old->fact.object;
        });
    if (replacement == difference.come.end()) {
      ++old;
      continue;
    }
    if (!reads_the_same(old->fact, replacement->fact)) { // else withdrawn and recorded again
      result.push_back({EditKind::kModification, std::move(*old), std::move(*replacement)});
    }
    difference.come.erase(replacement);
    old = difference.gone.erase(old);
  }
}

std::map<Place, Difference> differences(Database& database, std::int64_t from, std::int64_t to) {
  Query row = database.query(concat(
      "SELECT",
      kFactColumns,
      ", r.functional, f.recorded <= ?1 FROM",
      kFactTables,
      "WHERE f.id IN ("
      "SELECT id FROM facts WHERE recorded > ?1 AND recorded <= ?2 "
      "AND (superseded IS NULL OR superseded > ?2) UNION "
      "SELECT id FROM facts WHERE superseded > ?1 AND superseded <= ?2 AND recorded <= ?1) "
      "ORDER BY",
      kFactOrder));
  row.bind(from, to);
  std::map<Place, Difference> result;
  while (row.step()) {
    StoredFact version = read_stored_fact(database, row);
    const datasets::Fact& fact = version.fact;
    Difference& difference =
        result[{fact.relation, fact.subject, day_number(fact.valid_from).value_or(INT64_MIN)}];
    difference.functional = row.integer(kFactColumnCount) != 0;
    const bool is_old = row.integer(kFactColumnCount + 1) != 0;
    (is_old ? difference.gone : difference.come).push_back(std::move(version));
  }
  return result;
}

} // namespace

std::vector<Learnt> EditStore::learnt(std::int64_t from, std::optional<std::int64_t> to) const {
  State& state = *state_;
  const Snapshot snapshot(state.database);
  state.require_known(from);
  state.require_known(to);
  ERRATA_CHECK(
      !to || from <= *to,
      ErrorCode::kInvalidArgument,
      "the difference goes back from change ",
      from,
      " to change ",
      to.value_or(0),
      "; swap the record times");
  std::vector<Learnt> result;
  for (auto& [place, difference] : differences(state.database, from, to.value_or(INT64_MAX))) {
    pair_up(difference, true, result);
    if (difference.functional) {
      pair_up(difference, false, result);
    }
    for (StoredFact& fact : difference.gone) {
      result.push_back({EditKind::kRemoval, std::move(fact), std::nullopt});
    }
    for (StoredFact& fact : difference.come) {
      result.push_back({EditKind::kInjection, std::nullopt, std::move(fact)});
    }
  }
  return result;
}

} // namespace errata::editing
