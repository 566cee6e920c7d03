#include "datasets/importers/intervals.h"

#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

namespace errata::datasets {
namespace {

std::string end_of(const char* first, const char* last) {
  const auto end = end_of_interval(try_parse_date(first), try_parse_date(last), "x:1");
  return end ? to_string(*end) : "open";
}

TEST(Intervals, PeriodAfter) {
  EXPECT_EQ(to_string(*period_after({2004, 0, 0})), "2005");
  EXPECT_EQ(to_string(*period_after({2004, 12, 0})), "2005-01");
  EXPECT_EQ(to_string(*period_after({2004, 2, 28})), "2004-02-29");
  EXPECT_EQ(to_string(*period_after({2003, 12, 31})), "2004-01-01");
  EXPECT_FALSE(period_after({9999, 0, 0}));
}

TEST(Intervals, EndIsTheLastPeriodUnlessNothingWouldBeLeft) {
  EXPECT_EQ(end_of("1999", "2004"), "2004");
  EXPECT_EQ(end_of("2004", "2004"), "2005");
  EXPECT_EQ(end_of("2004-03", "2004"), "2005"); // known to the year only
  EXPECT_EQ(end_of("2004", "2004-03"), "2004-03");
  EXPECT_EQ(end_of("2004-03-05", "2004-03-05"), "2004-03-06");
  EXPECT_EQ(end_of("", "2004"), "2004");
  EXPECT_EQ(end_of("2004", ""), "open");
  testing_support::expect_error(
      ErrorCode::kCorrupt, {"x:1", "2003", "2004"}, [] { end_of("2004", "2003"); });
}

} // namespace
} // namespace errata::datasets
