#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace errata {

/// A calendar date known to the year, the month or the day: `2021`, `2021-03`, `2021-03-14`.
struct Date {
  int year = 0;
  int month = 0; ///< 0 when unknown
  int day = 0;   ///< 0 when unknown

  bool complete() const noexcept { return day != 0; }
  /// First day of the period that the date names: `2021-03` -> `2021-03-01`.
  Date first_day() const noexcept;
  /// Last day of the period: `2021-02` -> `2021-02-28`.
  Date last_day() const noexcept;

  /// Orders by first day; of two that start together the less precise comes first.
  friend auto operator<=>(const Date&, const Date&) = default;
};

/// Parses `YYYY`, `YYYY-MM` or `YYYY-MM-DD` (years 0001 to 9999, days of the proleptic Gregorian
/// calendar). Throws `kInvalidArgument` that names `what` and the expected forms.
Date parse_date(std::string_view text, std::string_view what = "date");

/// As `parse_date`, but nothing instead of an error.
std::optional<Date> try_parse_date(std::string_view text) noexcept;

/// The ISO form that `parse_date` reads back.
std::string to_string(const Date& date);

/// True when `day` lies in the half-open interval [from, to). A missing bound is open; a partial
/// bound counts from the first day of its period.
bool holds_on(const Date& day, const std::optional<Date>& from, const std::optional<Date>& to);

/// Days since 1970-01-01 of the first day of `date`'s period.
long to_days(const Date& date) noexcept;

/// The current time in UTC as `2026-01-22T08:15:30Z`.
std::string utc_now();

} // namespace errata
