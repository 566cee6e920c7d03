#include "core/schedule.h"

#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

TEST(ScheduleTest, LinearWarmsUpAndFallsToZero) {
  const ScheduleOptions options{Schedule::kLinear, 20, 1.0, 0.0};
  EXPECT_DOUBLE_EQ(schedule_factor(options, 0, 100), 1.0 / 20);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 9, 100), 0.5 * (1 - 0.09));
  EXPECT_DOUBLE_EQ(schedule_factor(options, 50, 100), 0.5);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 99, 100), 1 - 0.99);
}

TEST(ScheduleTest, DecayIsTheFallingShareAtTheEnd) {
  const ScheduleOptions options{Schedule::kLinear, 0, 0.5, 0.01};
  EXPECT_DOUBLE_EQ(schedule_factor(options, 0, 100), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 50, 100), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 75, 100), 0.5);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 100, 100), 0.01);
}

TEST(ScheduleTest, CosineAndConstant) {
  EXPECT_NEAR(schedule_factor({Schedule::kCosine, 0, 1.0, 0.0}, 50, 100), 0.5, 1e-12);
  EXPECT_NEAR(
      schedule_factor({Schedule::kCosine, 0, 1.0, 0.0}, 25, 100), 0.8535533905932737, 1e-12);
  EXPECT_DOUBLE_EQ(schedule_factor({Schedule::kConstant, 4, 1.0, 0.0}, 1, 100), 0.5);
  EXPECT_DOUBLE_EQ(schedule_factor({Schedule::kConstant, 4, 1.0, 0.0}, 99, 100), 1.0);
}

TEST(ScheduleTest, NamesAreReadBack) {
  EXPECT_EQ(parse_schedule("cosine"), Schedule::kCosine);
  testing_support::expect_error(
      ErrorCode::kInvalidArgument, {"'step'", "linear"}, [] { parse_schedule("step"); });
}

} // namespace
} // namespace errata
