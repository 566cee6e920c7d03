#pragma once

// For the .cpp files of this folder: rows of the table `facts`.

#include "editing/store/store_record.h"
#include "editing/store/store_state.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace errata::editing {

/// A current fact of one slot, without its texts.
struct SlotRow {
  std::int64_t id = 0;
  std::int64_t object = 0;
  std::optional<Date> valid_from;
  std::optional<Date> valid_to;
  bool end_stated = false;
  bool provisional = false;
  std::int64_t recorded = 0;
};

/// First day of a date, for the columns from_day and to_day.
std::optional<std::int64_t> day_number(const std::optional<Date>& date);

/// The current facts of a slot by start, undated ones first.
std::vector<SlotRow> current_slot(Database& database, std::int64_t subject, std::int64_t relation);

std::vector<std::string> fact_aliases(Database& database, std::int64_t fact);

/// The columns that `read_stored_fact` reads, in order, of `facts f` joined by `kFactTables`.
inline constexpr const char* kFactColumns =
    " f.id, s.name, r.name, o.name, f.valid_from, f.valid_to, f.provisional, f.source, f.note,"
    " f.recorded, c.at, f.superseded, d.at, f.superseded_by, f.end_stated ";
inline constexpr int kFactColumnCount = 15;
inline constexpr const char* kFactTables =
    " facts f JOIN entities s ON s.id = f.subject JOIN relations r ON r.id = f.relation"
    " JOIN entities o ON o.id = f.object JOIN changes c ON c.id = f.recorded"
    " LEFT JOIN changes d ON d.id = f.superseded ";
/// By relation, subject, start, object, and of versions of one fact the older first.
inline constexpr const char* kFactOrder = " r.name, s.name, f.from_day, o.name, f.id ";

StoredFact read_stored_fact(Database& database, const Query& row);

/// Which versions of a fact count.
enum class Versions {
  kCurrent,
  kKnown, ///< current after the change in parameter ?4
  kAll,
};

/// `condition` on `facts f` together with the versions that count, as SQL. Current and former facts
/// have indices of their own, so the condition is said for each: SQLite then uses both.
std::string with_versions(std::string_view condition, Versions versions);

} // namespace errata::editing
