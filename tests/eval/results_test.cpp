#include "eval/results.h"

#include "core/base/files.h"
#include "core/base/json.h"
#include "eval/metric_names.h"
#include "tests/eval/eval_support.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

namespace errata::eval {
namespace {

using eval_testing::Script;

// 40 edits of which the first 30 succeed, one kept fact that breaks.
Script forty() {
  Script script;
  for (int i = 0; i < 40; ++i) {
    script.add(Part::kReliability, "edit" + std::to_string(i), "old", i < 30 ? "new" : "old");
  }
  script.add(Part::kKept, "kept", "new", "broken").kind = "other";
  return script;
}

TEST(ResultsTest, ShapeOfTheFigures) {
  Script script = forty();
  const OrderedJson json = results_json(script.judged(), {{"model", "m"}});
  const OrderedJson& metrics = json.at("metrics");
  const OrderedJson& after = metrics.at("after").at("editing").at("reliability");
  EXPECT_EQ(after.at("value"), 0.75);
  EXPECT_EQ(after.at("n"), 40);
  EXPECT_EQ(after.at("right"), 30);
  ASSERT_EQ(after.at("ci95").size(), 2u);
  EXPECT_NEAR(after.at("ci95")[0].get<double>(), 0.6, 0.03); // qbinom(.025, 40, .75) / 40
  EXPECT_EQ(metrics.at("before").at("editing").at("reliability").at("value"), 0.0);
  const OrderedJson& delta = metrics.at("delta").at("editing").at("reliability");
  EXPECT_EQ(delta.at("value"), 0.75);
  EXPECT_FALSE(delta.contains("right"));
  // One case: counts, no interval. None: null.
  EXPECT_TRUE(metrics.at("after").at("locality").at("same").at("ci95").is_null());
  EXPECT_TRUE(metrics.at("after").at("multihop").at("changed").at("cot").is_null());
  EXPECT_EQ(json.at("run").at("model"), "m");
}

TEST(ResultsTest, SignificanceCountsDiscordantPairs) {
  Script script = forty();
  const OrderedJson json = results_json(script.judged(), nullptr);
  const OrderedJson& test = json.at("significance").at("editing.reliability");
  EXPECT_EQ(test.at("gained"), 30);
  EXPECT_EQ(test.at("lost"), 0);
  EXPECT_EQ(test.at("test"), "mcnemar-chi2");
  EXPECT_EQ(json.at("significance").at("locality.right").at("lost"), 1);
  EXPECT_EQ(json.at("significance").at("locality.right").at("p"), 1.0);
}

TEST(ResultsTest, ProtocolStandsWithEveryFigure) {
  Script script = forty();
  script.evaluation.excluded = {{"shared_aliases", 3}};
  const OrderedJson json = results_json(script.judged(), nullptr);
  const OrderedJson& protocol = json.at("protocol").at(0);
  EXPECT_EQ(protocol.at("metric"), "editing.reliability");
  EXPECT_EQ(protocol.at("protocol"), "autoregressive");
  EXPECT_EQ(protocol.at("stop"), "eos");
  EXPECT_EQ(protocol.at("normalisation"), "errata-1");
  EXPECT_EQ(protocol.at("comparable_group"), "autoregressive.em.errata-1.eos.direct");
  EXPECT_EQ(protocol.at("n_excluded").at("shared_aliases"), 3);
  EXPECT_EQ(protocol.at("ci").at("b"), 10'000);
}

TEST(ResultsTest, LmEvalReadersFindTheirFields) {
  Script script = forty();
  const OrderedJson json = results_json(script.judged(), nullptr);
  EXPECT_EQ(json.at("results").at("errata_editing").at("reliability,none"), 0.75);
  // sqrt(p (1 - p) / (n - 1)) with p = 3/4, n = 40
  EXPECT_NEAR(
      json.at("results").at("errata_editing").at("reliability_stderr,none").get<double>(),
      0.0693375,
      1e-6);
  EXPECT_EQ(json.at("n-samples").at("errata_editing").at("effective"), 40);
  EXPECT_EQ(json.at("higher_is_better").at("errata_editing").at("stale"), false);
}

TEST(ResultsTest, BaseAloneHasNoAfter) {
  Script script = forty();
  script.judged();
  script.evaluation.after.clear();
  script.evaluation.after_verdicts.clear();
  const OrderedJson json = results_json(script.evaluation, nullptr);
  EXPECT_TRUE(json.at("metrics").at("after").is_null());
  EXPECT_TRUE(json.at("metrics").at("delta").is_null());
  EXPECT_EQ(json.at("metrics").at("before").at("locality").at("right").at("value"), 1.0);
  EXPECT_NE(results_table(json).find("value"), std::string::npos);
}

TEST(ResultsTest, SamplesKeepEveryText) {
  Script script = forty();
  const std::string lines = samples_jsonl(script.judged());
  std::size_t count = 0;
  std::string last;
  for (std::size_t at = 0; at < lines.size(); ++count) {
    const std::size_t end = lines.find('\n', at);
    last = lines.substr(at, end - at);
    at = end + 1;
  }
  EXPECT_EQ(count, 41u);
  const Json sample = Json::parse(last);
  EXPECT_EQ(sample.at("verdict"), "lost");
  EXPECT_EQ(sample.at("before").at("text"), "new");
  EXPECT_EQ(sample.at("after").at("text"), "broken");
  EXPECT_EQ(sample.at("same"), false);
  EXPECT_EQ(Json::parse(lines.substr(0, lines.find('\n'))).at("verdict"), "gained");
}

TEST(ResultsTest, TextsForTheTerminal) {
  Script script = forty();
  const OrderedJson json = results_json(script.judged(), nullptr);
  const std::string table = results_table(json);
  EXPECT_NE(table.find("reliability"), std::string::npos);
  EXPECT_NE(table.find(" 0.0    75.0"), std::string::npos) << table;
  for (std::size_t at = 0; at < table.size(); at = table.find('\n', at) + 1) {
    EXPECT_LE(table.find('\n', at) - at, 82u);
  }
  const std::string examples = examples_text(script.evaluation, 3);
  EXPECT_NE(examples.find("Gained (30), for example"), std::string::npos) << examples;
  EXPECT_NE(examples.find("Lost (1), for example"), std::string::npos);
  EXPECT_NE(examples.find("after     broken"), std::string::npos);
}

TEST(ResultsTest, RunDirectoryIsComplete) {
  const ::errata::testing_support::TemporaryDirectory directory;
  Script script = forty();
  write_results(directory / "run", script.judged(), {{"edits", 40}});
  for (const char* name : {"results.json", "samples.jsonl", "report.html"}) {
    EXPECT_FALSE(read_file(directory / "run" / name).empty()) << name;
  }
}

TEST(MetricNamesTest, EveryNameIsThere) {
  for (const MetricName& metric : metric_names()) {
    EXPECT_FALSE(metric.path.empty());
    EXPECT_EQ(metric_name(metric.path), metric.name);
  }
  EXPECT_EQ(metric_name("no.such"), "no.such");
}

} // namespace
} // namespace errata::eval
