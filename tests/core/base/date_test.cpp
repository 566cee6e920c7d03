#include "core/base/date.h"

#include "core/base/error.h"

#include <gtest/gtest.h>

#include <ctime>
#include <rapidcheck.h>

namespace errata {
namespace {

TEST(DateTest, ReadsYearMonthAndDay) {
  EXPECT_EQ(parse_date("2021"), (Date{2021, 0, 0}));
  EXPECT_EQ(parse_date("2021-03"), (Date{2021, 3, 0}));
  EXPECT_EQ(parse_date("2021-03-14"), (Date{2021, 3, 14}));
  EXPECT_EQ(parse_date("2020-02-29"), (Date{2020, 2, 29}));
}

TEST(DateTest, RefusesWhatIsNotInTheCalendar) {
  for (const char* text :
       {"",
        "21",
        "2021-13-01",
        "2021-13",
        "2021-00",
        "2021-02-29",
        "2021-02-30",
        "1900-02-29",
        "2021-1-1",
        "2021/01/01",
        "2021-01-32",
        "+021-01-01",
        "20 1",
        "0000",
        "2021-01-01T00"}) {
    EXPECT_FALSE(try_parse_date(text).has_value()) << text;
  }
  try {
    parse_date("2021-13-01", "--from");
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_STREQ(
        error.what(),
        "--from '2021-13-01' is not a date; expected YYYY, YYYY-MM or YYYY-MM-DD of the calendar");
  }
}

TEST(DateTest, PrintsWhatItReads) {
  for (const char* text : {"2021", "2021-03", "2021-03-14", "0987-01-02"}) {
    EXPECT_EQ(to_string(parse_date(text)), text);
  }
}

TEST(DateTest, ComparesAtTheFirstDayThenByPrecision) {
  EXPECT_LT(parse_date("2020-12-31"), parse_date("2021"));
  EXPECT_LT(parse_date("2021"), parse_date("2021-01"));
  EXPECT_LT(parse_date("2021-01"), parse_date("2021-01-01"));
  EXPECT_LT(parse_date("2021-01-01"), parse_date("2021-01-02"));
}

TEST(DateTest, LastDayKnowsTheMonth) {
  EXPECT_EQ(parse_date("2021").last_day(), parse_date("2021-12-31"));
  EXPECT_EQ(parse_date("2020-02").last_day(), parse_date("2020-02-29"));
  EXPECT_EQ(parse_date("2100-02").last_day(), parse_date("2100-02-28"));
}

TEST(DateTest, HoldsOnHalfOpenIntervals) {
  const Date from = parse_date("2021-03");
  const Date to = parse_date("2022");
  EXPECT_FALSE(holds_on(parse_date("2021-02-28"), from, to));
  EXPECT_TRUE(holds_on(parse_date("2021-03-01"), from, to));
  EXPECT_TRUE(holds_on(parse_date("2021-12-31"), from, to));
  EXPECT_FALSE(holds_on(parse_date("2022-01-01"), from, to));
  EXPECT_TRUE(holds_on(parse_date("1000"), std::nullopt, to));
  EXPECT_TRUE(holds_on(parse_date("9999"), from, std::nullopt));
}

// The C library's calendar is the judge.
TEST(DateTest, DaysAgreeWithTheCLibrary) {
  rc::check([] {
    const int year = *rc::gen::inRange(1970, 2400);
    const int month = *rc::gen::inRange(1, 13);
    const int day = *rc::gen::inRange(1, 29);
    std::tm parts{};
    parts.tm_year = year - 1900;
    parts.tm_mon = month - 1;
    parts.tm_mday = day;
    RC_ASSERT(to_days({year, month, day}) == static_cast<long>(timegm(&parts) / 86400));
  });
}

} // namespace
} // namespace errata
