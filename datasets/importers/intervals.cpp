#include "datasets/importers/intervals.h"

#include "core/base/error.h"

#include <chrono>

namespace errata::datasets {

std::optional<Date> period_after(const Date& date) {
  constexpr int kLastYear = 9999;
  const Date last = date.last_day();
  const std::chrono::year_month_day next{
      std::chrono::sys_days(std::chrono::days(to_days(last) + 1))};
  if (static_cast<int>(next.year()) > kLastYear) {
    return std::nullopt;
  }
  Date after;
  after.year = static_cast<int>(next.year());
  if (date.month != 0) {
    after.month = static_cast<int>(static_cast<unsigned>(next.month()));
  }
  if (date.day != 0) {
    after.day = static_cast<int>(static_cast<unsigned>(next.day()));
  }
  return after;
}

std::optional<Date> end_of_interval(
    const std::optional<Date>& first, const std::optional<Date>& last, const std::string& where) {
  if (!first || !last || first->first_day() < last->first_day()) {
    return last;
  }
  ERRATA_CHECK(
      last->last_day() >= first->first_day(),
      ErrorCode::kCorrupt,
      where,
      ": ends in ",
      to_string(*last),
      ", before it begins in ",
      to_string(*first));
  return period_after(*last);
}

} // namespace errata::datasets
