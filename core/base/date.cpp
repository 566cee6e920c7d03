#include "core/base/date.h"

#include "core/base/error.h"

#include <chrono>
#include <cstdio>
#include <ctime>

namespace errata {
namespace {

using std::chrono::year_month_day;

year_month_day calendar(const Date& date) {
  const Date first = date.first_day();
  return {
      std::chrono::year(first.year),
      std::chrono::month(static_cast<unsigned>(first.month)),
      std::chrono::day(static_cast<unsigned>(first.day))};
}

// Digits only: from_chars would also take a sign.
std::optional<int> number(std::string_view text) {
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return std::nullopt;
    }
    value = value * 10 + (c - '0');
  }
  return value;
}

} // namespace

Date Date::first_day() const noexcept {
  return {year, month == 0 ? 1 : month, day == 0 ? 1 : day};
}

Date Date::last_day() const noexcept {
  if (day != 0) {
    return *this;
  }
  const std::chrono::year_month_day_last last(
      std::chrono::year(year),
      std::chrono::month_day_last(
          std::chrono::month(month == 0 ? 12U : static_cast<unsigned>(month))));
  return {year, month == 0 ? 12 : month, static_cast<int>(static_cast<unsigned>(last.day()))};
}

std::optional<Date> try_parse_date(std::string_view text) noexcept {
  if (text.size() != 4 && text.size() != 7 && text.size() != 10) {
    return std::nullopt;
  }
  if ((text.size() > 4 && text[4] != '-') || (text.size() > 7 && text[7] != '-')) {
    return std::nullopt;
  }
  Date date;
  const auto year = number(text.substr(0, 4));
  if (!year || *year == 0) {
    return std::nullopt;
  }
  date.year = *year;
  if (text.size() > 4) {
    const auto month = number(text.substr(5, 2));
    if (!month || *month < 1 || *month > 12) {
      return std::nullopt;
    }
    date.month = *month;
  }
  if (text.size() > 7) {
    const auto day = number(text.substr(8, 2));
    if (!day || *day < 1) {
      return std::nullopt;
    }
    date.day = *day;
    if (!calendar(date).ok()) {
      return std::nullopt;
    }
  }
  return date;
}

Date parse_date(std::string_view text, std::string_view what) {
  const auto date = try_parse_date(text);
  ERRATA_CHECK(
      date.has_value(),
      ErrorCode::kInvalidArgument,
      what,
      " '",
      text,
      "' is not a date; expected YYYY, YYYY-MM or YYYY-MM-DD of the calendar");
  return *date;
}

std::string to_string(const Date& date) {
  char text[32];
  if (date.day != 0) {
    std::snprintf(text, sizeof text, "%04d-%02d-%02d", date.year, date.month, date.day);
  } else if (date.month != 0) {
    std::snprintf(text, sizeof text, "%04d-%02d", date.year, date.month);
  } else {
    std::snprintf(text, sizeof text, "%04d", date.year);
  }
  return text;
}

bool holds_on(const Date& day, const std::optional<Date>& from, const std::optional<Date>& to) {
  const Date first = day.first_day();
  return (!from || from->first_day() <= first) && (!to || first < to->first_day());
}

long to_days(const Date& date) noexcept {
  return std::chrono::sys_days(calendar(date)).time_since_epoch().count();
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

} // namespace errata
