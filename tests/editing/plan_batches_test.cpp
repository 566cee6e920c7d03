#include "editing/plan/batches.h"
#include "tests/editing/plan_support.h"
#include "tests/support/expect_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace errata::editing {
namespace {

using datasets::Hop;
using ::testing::Contains;
using testing::guild_knowledge;
using testing::kGuildsAfter;
using testing::kGuildsBefore;
using ::testing::Not;
using testing_support::expect_error;

// The guilds with another master a year later, and one who comes back.
Knowledge busy_guilds() {
  Knowledge knowledge = guild_knowledge();
  for (datasets::Fact& fact : knowledge.facts) {
    if (fact.subject == "Smiths" && fact.relation == "master") {
      fact.valid_to = Date{2021, 4, 10};
      datasets::Fact stand_in = fact;
      stand_in.object = "Ed Vale";
      stand_in.valid_from = Date{2021, 4, 10};
      stand_in.valid_to = Date{2023, 7, 1};
      datasets::Fact back = fact;
      back.valid_from = Date{2023, 7, 1};
      back.valid_to.reset();
      knowledge.facts.push_back(stand_in);
      knowledge.facts.push_back(back);
      break;
    }
  }
  return knowledge;
}

std::vector<std::string> ends(const std::vector<BatchSpan>& spans) {
  std::vector<std::string> days;
  for (const BatchSpan& span : spans) {
    days.push_back(to_string(span.from) + ".." + to_string(span.to));
  }
  return days;
}

TEST(BatchesTest, FollowEachOtherWithoutEmptyOnes) {
  const Knowledge knowledge = busy_guilds();
  EXPECT_THAT(
      ends(batch_spans(knowledge, kGuildsBefore, kGuildsAfter, "monthly")),
      ::testing::ElementsAre(
          "2020-06-01..2021-05-01", "2021-05-01..2022-04-01", "2022-04-01..2023-07-01"));
  EXPECT_THAT(
      ends(batch_spans(knowledge, kGuildsBefore, kGuildsAfter, "yearly")),
      ::testing::ElementsAre(
          "2020-06-01..2022-01-01", "2022-01-01..2023-01-01", "2023-01-01..2024-01-01"));
  EXPECT_THAT(
      ends(batch_spans(knowledge, kGuildsBefore, kGuildsAfter, "once")),
      ::testing::ElementsAre("2020-06-01..2024-06-01"));
  expect_error(ErrorCode::kInvalidArgument, {"weekly", "monthly"}, [&] {
    batch_spans(knowledge, kGuildsBefore, kGuildsAfter, "weekly");
  });
  expect_error(ErrorCode::kInvalidArgument, {"nothing new"}, [&] {
    batch_spans(knowledge, kGuildsBefore, Date{2020, 9, 1}, "monthly");
  });
}

TEST(BatchesTest, WhatWasWrittenIsRehearsedWhateverTheSplitSays) {
  const Knowledge knowledge = busy_guilds();
  const auto spans = batch_spans(knowledge, kGuildsBefore, kGuildsAfter, "monthly");
  PlanOptions nothing;
  nothing.rehearsal_share = 0;
  const std::vector<datasets::Edit> edits =
      difference(World(knowledge, spans[2].from), World(knowledge, spans[2].to));
  const EditPlan last = batch_plan(knowledge, spans[2], edits, kGuildsBefore, nothing);
  EXPECT_THAT(last.rehearsed, Contains(Hop{"Weavers", "master", "Bo Linden"}));
  EXPECT_THAT(last.rehearsed_inverse, Contains(Hop{"Bo Linden", "master^-1", "Weavers"}));
  EXPECT_THAT(last.rehearsed, Not(Contains(Hop{"Bakers", "master", "Cy Marsh"})));
  // Alone it would be an unchanged fact like any other.
  nothing.since.reset();
  const EditPlan alone = make_edit_plan(knowledge, spans[2].from, spans[2].to, edits, nothing);
  EXPECT_TRUE(alone.rehearsed.empty());
}

TEST(BatchesTest, WhatCameBackMeasuresNoLocality) {
  const Knowledge knowledge = busy_guilds();
  PlanOptions nothing;
  nothing.rehearsal_share = 0;
  EditPlan whole = make_edit_plan(
      knowledge,
      kGuildsBefore,
      kGuildsAfter,
      difference(World(knowledge, kGuildsBefore), World(knowledge, kGuildsAfter)),
      nothing);
  const auto keeps = [&](const std::string& subject) {
    return std::any_of(whole.kept.begin(), whole.kept.end(), [&](const KeptFact& kept) {
      return kept.fact.subject == subject && kept.fact.relation == "master";
    });
  };
  EXPECT_TRUE(keeps("Smiths"));
  drop_passing_changes(
      whole, knowledge, batch_spans(knowledge, kGuildsBefore, kGuildsAfter, "monthly"));
  EXPECT_FALSE(keeps("Smiths"));
  EXPECT_TRUE(keeps("Bakers"));
}

TEST(BatchesTest, StepsGoByEdits) {
  const std::vector<BatchSpan> spans = {{{}, {}, 30}, {{}, {}, 9}, {{}, {}, 1}};
  EXPECT_EQ(batch_steps(spans[0], spans, 800), 600);
  EXPECT_EQ(batch_steps(spans[1], spans, 800), 180);
  EXPECT_EQ(batch_steps(spans[2], spans, 800), 50); // not 20
  EXPECT_EQ(batch_steps(spans[2], spans, 10), 10);  // who wants few gets few
}

} // namespace
} // namespace errata::editing
