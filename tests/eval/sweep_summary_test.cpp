#include "eval/sweep_summary.h"

#include "core/base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace errata::eval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

SweepRun done(std::uint64_t seed, Figures after) {
  SweepRun run;
  run.seed = seed;
  run.fold = seed;
  run.state = SweepRun::State::kDone;
  run.after = std::move(after);
  run.before["editing.reliability"] = {0.0, 10, 0, {}};
  return run;
}

SweepRun missing(std::uint64_t seed) {
  SweepRun run;
  run.seed = seed;
  return run;
}

SweepRun failed(std::uint64_t seed) {
  SweepRun run = missing(seed);
  run.state = SweepRun::State::kFailed;
  run.error = "training diverged";
  return run;
}

Figure right_of(std::int64_t right, std::int64_t n) {
  return {static_cast<double>(right) / static_cast<double>(n), n, right, {}};
}

// Reliability 0.9, 0.8, 0.7; a locality kind of 1 of 2, 3 of 3 and none.
std::vector<SweepRow> three_seeds() {
  const char* kind = "locality.by_kind.same_relation.right";
  return {
      {"a",
       {done(0, {{"editing.reliability", right_of(9, 10)}, {kind, right_of(1, 2)}}),
        done(1, {{"editing.reliability", right_of(8, 10)}, {kind, right_of(3, 3)}}),
        done(
            2, {{"editing.reliability", right_of(7, 10)}, {kTrainingSeconds, {90.4, 1, {}, {}}}})}},
      {"b|c, d", {done(0, {{"editing.reliability", right_of(5, 10)}}), failed(1), missing(2)}}};
}

TEST(SweepSummaryTest, ReadsTheLeavesOfResults) {
  const Figures figures = read_figures(Json::parse(R"({
      "editing": {"reliability": {"value": 0.5, "n": 4, "right": 2, "ci95": null}},
      "multihop": {"changed": {"cot": null}, "by_hops": {"2": {"value": 0.25, "n": 3}}}})"));
  ASSERT_EQ(figures.size(), 2u);
  EXPECT_EQ(figures.at("editing.reliability").right, 2);
  EXPECT_EQ(figures.at("multihop.by_hops.2").value, 0.25);
  EXPECT_FALSE(figures.at("multihop.by_hops.2").right);
}

TEST(SweepSummaryTest, MeanSpreadAndPool) {
  const std::vector<SweepRow> rows = three_seeds();
  const Spread reliability = spread(rows[0], "editing.reliability").value();
  EXPECT_EQ(reliability.runs, 3);
  EXPECT_NEAR(reliability.mean, 0.8, 1e-12);
  EXPECT_NEAR(reliability.sd.value(), 0.1, 1e-12); // sqrt((0.01 + 0 + 0.01) / 2)
  EXPECT_EQ(reliability.n, 30);
  EXPECT_EQ(reliability.right, 24);
  EXPECT_NEAR(reliability.pooled, 0.8, 1e-12);

  const Spread kind = spread(rows[0], "locality.by_kind.same_relation.right").value();
  EXPECT_EQ(kind.runs, 2);
  EXPECT_NEAR(kind.mean, 0.75, 1e-12);
  EXPECT_NEAR(kind.pooled, 0.8, 1e-12); // 4 of 5
  EXPECT_EQ(kind.n, 5);

  const Spread single = spread(rows[1], "editing.reliability").value();
  EXPECT_FALSE(single.sd);
  EXPECT_FALSE(spread(rows[1], "history.right"));
}

TEST(SweepSummaryTest, SharesWithoutCountsArePooledByTheirNumber) {
  const SweepRow row{
      "a",
      {done(0, {{"editing.generalisation", {0.5, 10, {}, {}}}}),
       done(1, {{"editing.generalisation", {1.0, 30, {}, {}}}})}};
  const Spread over = spread(row, "editing.generalisation").value();
  EXPECT_NEAR(over.pooled, 0.875, 1e-12); // 35 of 40
  EXPECT_FALSE(over.right);
}

TEST(SweepSummaryTest, ColumnsHoldTheBaseAndEveryRow) {
  const std::vector<SweepColumn> columns = sweep_columns(three_seeds());
  ASSERT_EQ(columns.size(), 4u); // the others have no figure anywhere
  EXPECT_EQ(columns[0].title, "reliability");
  EXPECT_THAT(columns[0].cells, ElementsAre("0.0 ± 0.0", "80.0 ± 10.0", "50.0"));
  EXPECT_EQ(columns[1].title, "same relation (5)");
  EXPECT_THAT(columns[1].cells, ElementsAre("-", "80.0", "-"));
  EXPECT_EQ(columns[2].title, "training, s");
  EXPECT_THAT(columns[2].cells, ElementsAre("-", "90", "-"));
  EXPECT_EQ(columns[3].title, "runs");
  EXPECT_THAT(columns[3].cells, ElementsAre("3", "3", "1 of 3"));
}

TEST(SweepSummaryTest, MarkdownCsvAndJson) {
  const std::vector<SweepRow> rows = three_seeds();
  const std::string table = sweep_markdown(rows);
  EXPECT_THAT(
      table,
      HasSubstr("|  | reliability | same relation (5) | training, s | runs |\n"
                "|---|---|---|---|---|\n"
                "| before | 0.0 ± 0.0 | - | - | 3 |\n"));
  EXPECT_THAT(table, HasSubstr("\n| b\\|c, d | 50.0 |"));
  EXPECT_THAT(table, HasSubstr("\nFailed: b|c, d, seed 1: training diverged\n"));

  const std::string csv = sweep_csv(rows);
  EXPECT_THAT(csv, HasSubstr("row,seed,fold,figure,value,n,right\n"));
  EXPECT_THAT(csv, HasSubstr("\nbefore,1,1,editing.reliability,0,10,0\n"));
  EXPECT_THAT(csv, HasSubstr("\na,2,2,training.seconds,90.4,1,\n"));
  EXPECT_THAT(csv, HasSubstr("\n\"b|c, d\",0,0,editing.reliability,0.5,10,5\n"));

  const OrderedJson json = sweep_json(rows);
  EXPECT_EQ(json.at("rows").size(), 3u);
  const OrderedJson& row = json.at("rows")[2];
  EXPECT_EQ(row.at("runs")[1].at("state"), "failed");
  EXPECT_EQ(row.at("runs")[1].at("error"), "training diverged");
  EXPECT_EQ(row.at("runs")[2].at("state"), "missing");
  const OrderedJson& figure = row.at("figures").at("editing.reliability");
  EXPECT_EQ(figure.at("values"), OrderedJson::array({0.5, nullptr, nullptr}));
  EXPECT_TRUE(figure.at("sd").is_null());
}

} // namespace
} // namespace errata::eval
