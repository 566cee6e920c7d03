#include "datasets/factbook_intervals.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <string_view>
#include <utility>

namespace errata::datasets {
namespace {

/// Longest stretch without a snapshot over which a holder is taken to have stayed.
constexpr long kLongestGap = 130;

/// Offices and what is said of their holders.
constexpr std::array<std::string_view, 7> kChanging = {
    "head_of_government",
    "chief_of_state",
    "governor_general",
    "office_title",
    "leads_government_of",
    "chief_of_state_of",
    "took_office_year"};

bool changes_all_the_time(std::string_view relation) {
  return std::find(kChanging.begin(), kChanging.end(), relation) != kChanging.end();
}

Date from_days(long days) {
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(days))};
  return {
      static_cast<int>(date.year()),
      static_cast<int>(static_cast<unsigned>(date.month())),
      static_cast<int>(static_cast<unsigned>(date.day()))};
}

const Date& start_of(const FactbookRow& row) {
  return row.fact.valid_from ? *row.fact.valid_from : row.observed_from;
}

void end_by(Fact& fact, const Date& end) {
  if (!fact.valid_to || end.first_day() < fact.valid_to->first_day()) {
    fact.valid_to = end;
  }
}

// `rows` are one slot in temporal order.
void add_slot(const std::vector<FactbookRow>& rows, const Date& newest, std::vector<Fact>& facts) {
  const bool changing = changes_all_the_time(rows.front().fact.relation);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const FactbookRow& row = rows[i];
    Fact fact = row.fact;
    if (row.multi) {
      facts.push_back(std::move(fact));
      continue;
    }
    if (changing || i > 0) {
      fact.valid_from = start_of(row);
    }
    const long seen = to_days(row.observed_to);
    if (i + 1 < rows.size()) {
      const Date& next = start_of(rows[i + 1]);
      end_by(fact, next);
      if (changing && to_days(next) - seen > kLongestGap) {
        end_by(fact, from_days(seen + kLongestGap + 1));
      }
    } else if (changing && row.observed_to < newest) {
      end_by(fact, from_days(seen + 1));
    }
    // A date printed after the value was gone leaves no day on which it held.
    const bool empty = fact.valid_from && fact.valid_to &&
                       fact.valid_to->first_day() <= fact.valid_from->first_day();
    if (!empty) {
      facts.push_back(std::move(fact));
    }
  }
}

} // namespace

std::vector<Fact> factbook_intervals(std::vector<FactbookRow> rows) {
  std::map<std::pair<std::string, std::string>, std::vector<FactbookRow>> slots;
  Date newest;
  for (FactbookRow& row : rows) {
    newest = std::max(newest, row.observed_to);
    auto& slot = slots[{row.fact.relation, row.fact.subject}];
    slot.push_back(std::move(row));
  }
  std::vector<Fact> facts;
  for (auto& [key, slot] : slots) {
    std::stable_sort(slot.begin(), slot.end(), [](const FactbookRow& a, const FactbookRow& b) {
      return std::pair(start_of(a).first_day(), a.observed_to) <
             std::pair(start_of(b).first_day(), b.observed_to);
    });
    add_slot(slot, newest, facts);
  }
  return facts;
}

} // namespace errata::datasets
