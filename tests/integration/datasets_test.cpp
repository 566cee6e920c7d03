#include "tests/integration/pipeline_fixture.h"

// Data sets of the field through the program: imported, edited as a set, measured, exported.

namespace errata {
namespace {

using testing::HasSubstr;
using testing_support::Finished;
using testing_support::PipelineTest;
namespace fs = std::filesystem;

class DatasetsTest : public PipelineTest {
 protected:
  static void SetUpTestSuite() {
    PipelineTest::SetUpTestSuite();
    must_run({"store", "init", "--store", path("sets.db")});
    must_run(import("mquake", "mquake.json"));
    must_run(import("counterfact", "counterfact.json"));
  }

  static std::vector<std::string> import(
      const std::string& format,
      const std::string& file,
      const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "store",
        "import",
        "--store",
        path("sets.db"),
        "--format",
        format,
        std::string(ERRATA_SOURCE_DIR) + "/tests/datasets/samples/" + file,
        "--progress",
        "none"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  static std::vector<std::string> edit_set(
      const std::string& out, const std::string& set, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "edit-batch", "--model",   path("model"), "--store",    path("sets.db"),  "--set", set,
        "--out",      path(out),   "--steps",     "30",         "--batch-tokens", "200",   "--rank",
        "4",          "--threads", "1",           "--progress", "none",           "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

TEST_F(DatasetsTest, ImportSaysWhatItTookAndWhatNot) {
  const Finished again = run(import("mquake", "mquake.json", {"--json"}));
  ASSERT_EQ(again.code, 0) << again.err;
  const Json json = parse_json(again.out, "stdout");
  EXPECT_TRUE(json["change"].is_null()); // the same file a second time
  EXPECT_EQ(json["edits"], 2);
  EXPECT_EQ(json["multi_hop"], 2);
  EXPECT_EQ(json["skipped"]["count"], 1);
  EXPECT_EQ(json["conflicts"]["cases"], 1);
  EXPECT_EQ(json["conflicts"]["all"][0]["needs"], "Ivo Rask");
  const Finished table =
      run(import("zsre", "zsre.json", {"--dry-run", "--skipped", path("out.jsonl")}));
  EXPECT_THAT(table.out, HasSubstr("dry run: the store is unchanged"));
  EXPECT_THAT(table.out, HasSubstr("1 record left out:"));
  EXPECT_EQ(std::ranges::count(read_file(path("out.jsonl")), '\n'), 3); // and two remarks
  expect_failure(4, {"mquake.json", "really zsre"}, import("zsre", "mquake.json"));
  expect_failure(2, {"--mapping"}, import("table", "table.csv"));
}

TEST_F(DatasetsTest, ASetIsEditedAndMeasured) {
  const Finished result = run(edit_set("mquake", "mquake"));
  ASSERT_EQ(result.code, 0) << result.err;
  const Json json = parse_json(result.out, "stdout");
  EXPECT_EQ(json["edits"], 2);
  const Json& after = json["metrics"]["after"];
  EXPECT_EQ(after["editing"]["reliability"]["n"], 2);
  EXPECT_EQ(after["editing"]["generalisation"]["n"], 2);
  EXPECT_EQ(after["multihop"]["changed"]["cot"]["n"], 2);
  EXPECT_EQ(after["multihop"]["edit_wise"]["n"], 2);
  EXPECT_EQ(after["multihop"]["instance_wise"]["n"], 2);
  const Json run_json = read_json(path("mquake/run.json"));
  EXPECT_EQ(run_json["options"]["set"], "mquake");

  const Finished facts = run(edit_set("cf", "counterfact", {"--suite", "editing,locality"}));
  ASSERT_EQ(facts.code, 0) << facts.err;
  const Json figures = parse_json(facts.out, "stdout")["metrics"]["after"];
  EXPECT_EQ(figures["editing"]["portability"]["n"], 1);
  EXPECT_EQ(figures["locality"]["by_kind"]["neighborhood"]["same"]["n"], 4);

  // The store has no facts for what was given outright, so it cannot know better.
  const Finished runs = run({"store", "runs", "--store", path("sets.db"), "--json"});
  ASSERT_EQ(runs.code, 0) << runs.err;
  const Json listed = parse_json(runs.out, "stdout")["runs"];
  ASSERT_EQ(listed.size(), 2);
  for (const Json& item : listed) {
    EXPECT_EQ(item["stale"], 0) << item;
    EXPECT_EQ(item["edits"].size(), 2) << item;
  }
  const std::string subject = listed[0]["edits"][0]["subject"];
  const Finished about =
      run({"store", "runs", "--store", path("sets.db"), "--subject", subject, "--json"});
  ASSERT_EQ(about.code, 0) << about.err;
  EXPECT_GE(parse_json(about.out, "stdout")["runs"].size(), 1);
  const Finished stale = run({"store", "runs", "--store", path("sets.db"), "--stale"});
  EXPECT_THAT(stale.out, HasSubstr("no run carries such an edit"));

  const Finished evaluated = run(
      {"eval",
       "--model",
       path("model"),
       "--adapter",
       path("mquake/adapter"),
       "--store",
       path("sets.db"),
       "--set",
       "mquake",
       "--progress",
       "none",
       "--json"});
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  EXPECT_EQ(
      parse_json(evaluated.out, "stdout")["metrics"]["after"]["editing"]["reliability"],
      after["editing"]["reliability"]);
}

// What nobody says must stay, the base says: its own text is what projections and EVA measure.
TEST_F(DatasetsTest, OwnTextStandsForUnchangedFacts) {
  const std::vector<std::string> few = {"--no-eval"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), few.begin(), few.end());
    return more;
  };
  for (const std::string out : {"own", "own-again"}) {
    const Finished result = run(edit_set(out, "counterfact", few));
    ASSERT_EQ(result.code, 0) << result.err;
  }
  EXPECT_EQ(adapter_bytes("own"), adapter_bytes("own-again"));
  const Json written = parse_json(read_file(path("own/run.json")), "run.json");
  EXPECT_DOUBLE_EQ(written["options"]["null-space"].get<double>(), 0.03);
  must_run(edit_set("free", "counterfact", with({"--null-space", "0"})));
  EXPECT_NE(adapter_bytes("own"), adapter_bytes("free"));
  must_run(edit_set("eva", "counterfact", with({"--init", "eva"})));

  const std::string text = path("world/facts.jsonl");
  must_run(edit_set("text", "counterfact", with({"--stats-text", text})));
  EXPECT_NE(adapter_bytes("own"), adapter_bytes("text"));
  const auto own_text_in = [&](const std::string& out) {
    return read_file(path(out + "/log.txt")).find("texts of the base's own") != std::string::npos;
  };
  EXPECT_TRUE(own_text_in("own") && own_text_in("eva"));
  EXPECT_FALSE(own_text_in("free") || own_text_in("text"));
  expect_failure(
      2,
      {"--stats-text", "--null-space", "does not"},
      edit_set("x", "counterfact", with({"--stats-text", text, "--null-space", "0"})));
}

TEST_F(DatasetsTest, OnePromptWithTwoAnswersIsTold) {
  const auto given = [&](const std::string& file) {
    return run(
        {"edit-batch",
         "--model",
         path("model"),
         "--edits",
         path(file),
         "--out",
         path("x"),
         "--dry-run"});
  };
  const std::string first = "{\"id\": \"a\", \"prompt\": \"Who?\", \"target_new\": \"Vel\"}\n";
  const std::string same = "{\"id\": \"b\", \"prompt\": \"Who?\", \"target_new\": \"Vel\"}\n";
  const std::string other = "{\"id\": \"c\", \"prompt\": \"Who?\", \"target_new\": \"Bro\"}\n";
  write_file(path("agree.jsonl"), first + same);
  write_file(path("differ.jsonl"), first + same + other);
  const Finished agree = given("agree.jsonl");
  ASSERT_EQ(agree.code, 0) << agree.err;
  EXPECT_THAT(agree.err, testing::Not(HasSubstr("another answer")));
  const Finished differ = given("differ.jsonl");
  ASSERT_EQ(differ.code, 0) << differ.err;
  EXPECT_THAT(
      differ.err,
      HasSubstr("1 edit with the prompt of an earlier one and another answer (a and c)"));
}

TEST_F(DatasetsTest, UnknownSetsAndMixedSourcesAreRefused) {
  expect_failure(2, {"'mquak'", "'mquake'"}, edit_set("x", "mquak"));
  expect_failure(2, {"--set and days"}, edit_set("x", "mquake", {"--from", "2020-01-01"}));
  expect_failure(2, {"--batches"}, edit_set("x", "mquake", {"--batches", "yearly"}));
  expect_failure(
      2, {"--set names a set of a store"}, {"edit-batch", "--model", path("model"), "--set", "m"});
  EXPECT_FALSE(fs::exists(path("x")));
}

TEST_F(DatasetsTest, ExportWritesWhatPeersRead) {
  const auto peer = [&](const std::string& format, const std::vector<std::string>& source) {
    std::vector<std::string> arguments = {
        "store", "export", "--format", format, "--out", path(format + ".json"), "--json"};
    arguments.insert(arguments.end(), source.begin(), source.end());
    return arguments;
  };
  const Finished set =
      run(peer("counterfact", {"--store", path("sets.db"), "--set", "counterfact"}));
  ASSERT_EQ(set.code, 0) << set.err;
  EXPECT_EQ(parse_json(set.out, "stdout")["written"], 2);
  EXPECT_EQ(
      read_json(path("counterfact.json"))[0]["requested_rewrite"]["prompt"], "{} was born in");
  const Finished days = run(
      peer("easyedit", {"--store", path("w.db"), "--from", "2020-01-01", "--to", "2022-01-01"}));
  ASSERT_EQ(days.code, 0) << days.err;
  const Json lists = read_json(path("easyedit.json"));
  EXPECT_EQ(lists["prompts"].size(), parse_json(days.out, "stdout")["written"]);
  EXPECT_EQ(lists["prompts"].size(), lists["target_new"].size());
  expect_failure(2, {"--set NAME"}, peer("zsre", {"--store", path("w.db")}));
  expect_failure(
      2,
      {"--zsre-target", "mquake"},
      peer("mquake", {"--store", path("sets.db"), "--set", "mquake", "--zsre-target", "answers"}));
}

} // namespace
} // namespace errata
