#pragma once

#include "editing/plan/knowledge.h"

#include <string>
#include <vector>

namespace errata::editing {

struct HistoryOptions {
  int years = 10; ///< the last full years before the day that are asked about
};

/// Who or what held a slot during a whole past year.
struct HistoryItem {
  datasets::Hop fact; ///< with the holder of that year
  int year = 0;
  std::vector<std::string> answers; ///< the holder and its aliases
  /// The slot has another value at the second day of the plan: the item that an edit endangers.
  bool edited = false;
  /// Its dated statements and questions (never the held-out question) are rehearsed.
  bool trained = false;
};

/// Items for slots of functional relations with dated wordings (where no relation has any: slots
/// that had several values): years in which exactly one holder, not a provisional one, held the
/// slot from the first day to the last, and which had ended by `day`. Ordered by relation, subject
/// and year.
std::vector<HistoryItem> history_items(
    const Knowledge& knowledge, const Date& day, const HistoryOptions& options = {});

} // namespace errata::editing
