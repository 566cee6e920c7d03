#include "datasets/factbook_intervals.h"

#include "core/base/error.h"

#include <gmock/gmock.h>

namespace errata::datasets {
namespace {

FactbookRow row(
    const std::string& relation,
    const std::string& object,
    const char* printed,
    const char* seen_from,
    const char* seen_to) {
  FactbookRow row;
  row.fact.subject = "Atlantis";
  row.fact.relation = relation;
  row.fact.object = object;
  row.fact.valid_from = try_parse_date(printed);
  row.observed_from = parse_date(seen_from);
  row.observed_to = parse_date(seen_to);
  return row;
}

// "object from..to" of each fact, a dot for an open bound.
std::vector<std::string> intervals(std::vector<FactbookRow> rows) {
  rows.push_back(row("region", "R", "", "2020-01-01", "2026-01-22")); // the newest snapshot
  std::vector<std::string> texts;
  for (const Fact& fact : factbook_intervals(std::move(rows))) {
    const auto text = [](const std::optional<Date>& date) {
      return date ? to_string(*date) : std::string(1, '.');
    };
    if (fact.relation != "region") {
      texts.push_back(concat(fact.object, ' ', text(fact.valid_from), ' ', text(fact.valid_to)));
    }
  }
  return texts;
}

using ::testing::ElementsAre;

TEST(FactbookIntervalsTest, HolderEndsWhereTheNextBegins) {
  EXPECT_THAT(
      intervals(
          {row("chief_of_state", "y", "2022-03", "2022-04-01", "2026-01-22"),
           row("chief_of_state", "x", "2018", "2020-11-24", "2022-02-20")}),
      ElementsAre("x 2018 2022-03", "y 2022-03 ."));
}

TEST(FactbookIntervalsTest, LongGapIsUnknown) {
  EXPECT_THAT(
      intervals(
          {row("chief_of_state", "x", "2012", "2015-10-26", "2017-03-28"),
           row("chief_of_state", "y", "", "2020-11-24", "2026-01-22")}),
      ElementsAre("x 2012 2017-08-06", "y 2020-11-24 ."));
}

TEST(FactbookIntervalsTest, HolderWithoutSuccessorLeftWhenLastSeen) {
  EXPECT_THAT(
      intervals({row("office_title", "x", "2020-06-01", "2020-11-24", "2024-02-29")}),
      ElementsAre("x 2020-06-01 2024-03-01"));
}

TEST(FactbookIntervalsTest, StaticValuesHoldAlways) {
  EXPECT_THAT(
      intervals(
          {row("capital", "x", "", "2016-11-06", "2022-09-22"),
           row("capital", "y", "", "2022-09-29", "2026-01-22")}),
      ElementsAre("x . 2022-09-29", "y 2022-09-29 ."));
  EXPECT_THAT(
      intervals({row("national_anthem", "x", "", "2016-11-06", "2025-08-14")}),
      ElementsAre("x . ."));
  FactbookRow many = row("borders", "x", "", "2016-11-06", "2026-01-22");
  many.multi = true;
  EXPECT_THAT(intervals({many}), ElementsAre("x . ."));
}

} // namespace
} // namespace errata::datasets
