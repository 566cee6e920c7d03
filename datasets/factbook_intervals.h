#pragma once

#include "core/base/date.h"
#include "datasets/record.h"

#include <optional>
#include <string>
#include <vector>

namespace errata::datasets {

/// A line of the Factbook's facts.jsonl: what was printed, and on which days it was seen.
struct FactbookRow {
  Fact fact; ///< `valid_from` and `valid_to` as printed
  Date observed_from;
  Date observed_to;
  bool multi = false; ///< one of several values that hold together
};

/// Turns printed and observed dates into intervals [valid_from, valid_to), one slot (subject and
/// relation) at a time.
///
/// - A value starts on its printed date, else on the first day on which it was seen.
/// - It ends where the next value of the slot starts, or where the source says.
///
/// Offices and what is said of their holders change all the time, so there the absence of a value
/// tells something:
/// - a last value that is gone from the newest snapshot ends the day after it was last seen;
/// - a slot with more than 130 days between the last sight of a value and the start of the next is
///   unknown from the 131st day on: a leader who comes back years later led nothing in between.
///
/// Static values have no dates, and their source is older than the first snapshot: one that never
/// changes holds on every day, and so does the first of several until the second.
/// Several values that hold together (`multi`) hold on every day.
std::vector<Fact> factbook_intervals(std::vector<FactbookRow> rows);

} // namespace errata::datasets
