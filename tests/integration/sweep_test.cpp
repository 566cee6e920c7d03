#include "tests/integration/pipeline_fixture.h"

#include <map>

// A sweep of the program: runs of edit-batch, made once each, and their table.

namespace errata {
namespace {

using testing::HasSubstr;
using testing_support::Finished;
using testing_support::PipelineTest;
using testing_support::Program;
namespace fs = std::filesystem;

class SweepTest : public PipelineTest {
 protected:
  // The sweep `out` of these rows, written as JSON; a row is short.
  static std::vector<std::string> sweep(
      const std::string& out, const std::string& rows, const std::vector<std::string>& more = {}) {
    const OrderedJson plan = {
        {"defaults",
         {{"store", path("w.db")},
          {"from", "2020-01-01"},
          {"to", "2022-01-01"},
          {"suite", "editing,locality"},
          {"steps", 12},
          {"batch-tokens", 400},
          {"checkpoint-every", 0.01}}},
        {"seeds", {0, 1}},
        {"folds", {0, 1}},
        {"rows", OrderedJson::parse(rows)}};
    write_json(path(out + ".json"), plan);
    std::vector<std::string> arguments = {
        "sweep",
        "--plan",
        path(out + ".json"),
        "--model",
        path("model"),
        "--out",
        path(out),
        "--threads",
        "1",
        "--progress",
        "none"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  static std::map<std::string, fs::file_time_type> adapters(const std::string& out) {
    std::map<std::string, fs::file_time_type> times;
    for (const auto& entry : fs::recursive_directory_iterator(path(out))) {
      if (entry.path().filename() == "adapter_model.safetensors") {
        times[entry.path().string()] = entry.last_write_time();
      }
    }
    return times;
  }

  static constexpr const char* kTwoRows =
      R"([{"name": "small", "options": {"rank": 2}}, {"name": "full", "options": {"method": "ft"}}])";
};

TEST_F(SweepTest, MakesEachRunOnceAndOneTable) {
  const Finished first = run(sweep("two", kTwoRows, {"--json"}));
  ASSERT_EQ(first.code, 0) << first.err;
  const OrderedJson json = OrderedJson::parse(first.out);
  ASSERT_EQ(json.at("rows").size(), 3u);
  EXPECT_EQ(json.at("rows")[0].at("name"), "before");
  EXPECT_EQ(json.at("rows")[1].at("name"), "small");
  for (const OrderedJson& row : json.at("rows")) {
    const OrderedJson& figure = row.at("figures").at("editing.reliability");
    EXPECT_EQ(figure.at("runs"), 2);
    EXPECT_EQ(figure.at("n"), 20); // ten keepers in two runs
    EXPECT_EQ(figure.at("values").size(), 2u);
  }
  // A row is what edit-batch says about it.
  const Json results = read_json(path("two/full/seed-1/results.json"));
  EXPECT_EQ(
      json.at("rows")[2].at("figures").at("locality.same").at("values")[1],
      results["metrics"]["after"]["locality"]["same"]["value"]);
  EXPECT_THAT(read_file(path("two/table.md")), HasSubstr("\n| small | "));
  EXPECT_THAT(read_file(path("two/sweep.csv")), HasSubstr("\nfull,1,1,editing.reliability,"));
  EXPECT_EQ(OrderedJson::parse(read_file(path("two/sweep.json"))), json);
  EXPECT_FALSE(fs::exists(path("two/.answers")));

  const auto made = adapters("two");
  EXPECT_EQ(made.size(), 4u);
  const Finished again = run(sweep("two", kTwoRows));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("\nsmall "));
  EXPECT_EQ(adapters("two"), made);
  const Json planned = parse_json(run(sweep("two", kTwoRows, {"--dry-run", "--json"})).out, "out");
  for (const Json& each : planned["runs"]) {
    EXPECT_EQ(each["state"], "done");
  }
  // A folder belongs to its options.
  const std::string other_rows = R"([{"name": "small", "options": {"rank": 3}}])";
  const Finished seen = run(sweep("two", other_rows, {"--dry-run"}));
  EXPECT_EQ(seen.code, 0) << seen.err;
  EXPECT_THAT(
      seen.out,
      HasSubstr("small/seed-0: 'alpha' was 4.0 and is now 6.0; 'rank' was 2 and is now 3\n"));
  const Finished other = run(sweep("two", other_rows));
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, HasSubstr("cannot resume with other options"));
}

TEST_F(SweepTest, ARunIsThatOfEditBatch) {
  const std::string rows = R"([{"name": "lora", "options": {"rank": 2}}])";
  ASSERT_EQ(run(sweep("one", rows)).code, 0);
  must_run(edit(
      "alone",
      {"--steps",
       "12",
       "--rank",
       "2",
       "--seed",
       "1",
       "--fold",
       "1",
       "--suite",
       "editing,locality"}));
  EXPECT_TRUE(adapter_bytes("one/lora/seed-1") == adapter_bytes("alone"));
  EXPECT_FALSE(adapter_bytes("one/lora/seed-0") == adapter_bytes("alone"));
  const auto metrics = [](const std::string& run) {
    return read_json(path(run) + "/results.json")["metrics"];
  };
  EXPECT_EQ(metrics("one/lora/seed-1"), metrics("alone"));
}

TEST_F(SweepTest, AFailureIsReportedAndTheRestGoesOn) {
  const std::string rows = R"([{"name": "lost", "options": {"target-modules": "zap_proj"}},
                               {"name": "found", "options": {"rank": 2}}])";
  const Finished result = run(sweep("part", rows));
  EXPECT_EQ(result.code, 2);
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("2 of 4 runs failed"));
  EXPECT_THAT(result.err, HasSubstr("zap_proj"));
  EXPECT_THAT(result.out, HasSubstr("0 of 2"));
  EXPECT_THAT(read_file(path("part/table.md")), HasSubstr("\nFailed: lost, seed 1: "));
  const Json json = read_json(path("part/sweep.json"));
  EXPECT_EQ(json["rows"][1]["runs"][0]["state"], "failed");
  EXPECT_EQ(json["rows"][2]["runs"][1]["state"], "done");
}

TEST_F(SweepTest, AStoppedSweepGoesOnToTheSameBytes) {
  const std::string rows = R"([{"name": "lora", "options": {"rank": 2, "steps": 60}}])";
  ASSERT_EQ(run(sweep("calm", rows)).code, 0);
  {
    Program program(path(""), sweep("stopped", rows));
    ASSERT_TRUE(
        wait_for(path("stopped/lora/seed-0/checkpoint/training/state.safetensors"), program));
    program.send(SIGINT);
    EXPECT_EQ(program.wait(), 130);
    EXPECT_THAT(program.err(), HasSubstr("the same command goes on"));
  }
  EXPECT_EQ(read_json(path("stopped/lora/seed-0/run.json"))["status"], "interrupted");
  ASSERT_EQ(run(sweep("stopped", rows)).code, 0);
  EXPECT_TRUE(adapter_bytes("stopped/lora/seed-0") == adapter_bytes("calm/lora/seed-0"));
  EXPECT_TRUE(adapter_bytes("stopped/lora/seed-1") == adapter_bytes("calm/lora/seed-1"));
}

TEST_F(SweepTest, ABadPlanIsOneLine) {
  expect_failure(
      2,
      {"bad.json", "'stepz'", "'steps'"},
      sweep("bad", R"([{"name": "a", "options": {"stepz": 1}}])"));
  expect_failure(2, {"bad.json", "'rows'", "empty"}, sweep("bad", "[]"));
  expect_failure(2, {"twice"}, sweep("bad", R"([{"name": "a"}, {"name": "a"}])"));
  // What edit-batch would refuse is refused before any run.
  expect_failure(
      2,
      {"row 'b'", "--rank"},
      sweep("bad", R"([{"name": "a"}, {"name": "b", "options": {"rank": 0}}])"));
  expect_failure(2, {"--only", "'c'"}, sweep("bad", R"([{"name": "a"}])", {"--only", "c"}));
  std::vector<std::string> nowhere = sweep("bad", R"([{"name": "a"}])");
  nowhere[2] = path("nowhere.json");
  expect_failure(3, {"nowhere.json"}, nowhere);
  EXPECT_FALSE(fs::exists(path("bad")));
}

} // namespace
} // namespace errata
