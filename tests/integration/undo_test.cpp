#include "tests/integration/pipeline_fixture.h"

// An edit taken back: left out of a run made anew, or retracted in the store.

namespace errata {
namespace {

using testing::HasSubstr;
using testing_support::Finished;
using testing_support::PipelineTest;

class UndoTest : public PipelineTest {
 protected:
  static Json store(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"store", more.front(), "--store", path("w.db")};
    arguments.insert(arguments.end(), more.begin() + 1, more.end());
    arguments.emplace_back("--json");
    const Finished result = run(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    return parse_json(result.out, "stdout");
  }

  static Json made(const std::vector<std::string>& arguments) {
    const Finished result = run(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    return parse_json(result.out, "stdout");
  }

  static std::vector<std::string> rebuild(
      const std::string& edit, const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "edit-batch",
        "--store",
        path("w.db"),
        "--without",
        edit,
        "--out",
        path(out),
        "--threads",
        "1",
        "--progress",
        "none",
        "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  static bool carries(const Json& run, const Json& edit) {
    return std::any_of(run["edits"].begin(), run["edits"].end(), [&](const Json& other) {
      return other["subject"] == edit["subject"] && other["relation"] == edit["relation"];
    });
  }
};

TEST_F(UndoTest, AnEditIsLeftOutOfTheRecordedRun) {
  const Json first = made(edit("first", {"--no-eval", "--json", "--seed", "5"}));
  const std::string id = first["run_id"].get<std::string>();
  const Json recorded = store({"runs", id});
  EXPECT_EQ(recorded["stale"], 0);
  EXPECT_EQ(recorded["seed"], 5);
  const auto place =
      std::find_if(recorded["edits"].begin(), recorded["edits"].end(), [](const Json& item) {
        return item["relation"] == "kept_by" && item["kind"] == "modification";
      });
  ASSERT_NE(place, recorded["edits"].end());
  const Json undone = *place;
  const std::string edit_id = undone["id"].get<std::string>();

  const Json second = made(rebuild(edit_id, "second"));
  EXPECT_LT(second["edits"].get<int>(), first["edits"].get<int>());
  const Json remade = store({"runs", second["run_id"].get<std::string>()});
  EXPECT_TRUE(carries(recorded, undone));
  EXPECT_FALSE(carries(remade, undone));
  EXPECT_NE(adapter_bytes("first"), adapter_bytes("second"));
  // All options are the recorded ones.
  Json expected = recorded["config"];
  expected["without"] = {edit_id};
  EXPECT_EQ(remade["config"], expected);

  // The store tells which adapter carries the value.
  const Json blame =
      store({"blame", undone["subject"].get<std::string>(), undone["relation"].get<std::string>()});
  for (const Json& fact : blame["facts"]) {
    EXPECT_EQ(fact["runs"], fact["object"] == undone["new"] ? Json::array({id}) : Json::array());
  }
  // What was left out stays out when another edit is taken out of that run.
  const auto other =
      std::find_if(remade["edits"].begin(), remade["edits"].end(), [](const Json& item) {
        return item["relation"] == "kept_by" && item["kind"] == "modification";
      });
  ASSERT_NE(other, remade["edits"].end());
  const Json third = made(rebuild((*other)["id"].get<std::string>(), "third"));
  EXPECT_FALSE(carries(store({"runs", third["run_id"].get<std::string>()}), undone));

  expect_failure(2, {"no recorded run carries"}, rebuild("e-0000000000000000", "none"));
  expect_failure(2, {"leave out --steps"}, rebuild(edit_id, "none", {"--steps", "3"}));
  expect_failure(
      2,
      {"carries no edit"},
      rebuild(edit_id, "none", {"--run", second["run_id"].get<std::string>()}));
}

TEST_F(UndoTest, ARetractedFactIsInNoNewAdapter) {
  const Json first = made(edit("before", {"--no-eval", "--json"}));
  const Json recorded = store({"runs", first["run_id"].get<std::string>()});
  const auto place =
      std::find_if(recorded["edits"].begin(), recorded["edits"].end(), [](const Json& item) {
        return item["relation"] == "kept_by" && item["kind"] == "modification";
      });
  ASSERT_NE(place, recorded["edits"].end());
  const Json wrong = *place;
  store(
      {"retract",
       wrong["subject"].get<std::string>(),
       "kept_by",
       wrong["new"].get<std::string>(),
       "--note",
       "never took office"});
  // The adapter made before is known to be out of date, and in what.
  const Json stale = store({"runs", "--stale"});
  ASSERT_FALSE(stale["runs"].empty());
  EXPECT_EQ(stale["runs"][0]["edits"][0]["id"], wrong["id"]);
  // The facts state that the old value ended, so nothing holds there now.
  EXPECT_EQ(stale["runs"][0]["edits"][0]["now"], Json::array());

  const Json second = made(edit("after", {"--no-eval", "--json"}));
  const Json remade = store({"runs", second["run_id"].get<std::string>()});
  EXPECT_TRUE(std::none_of(remade["edits"].begin(), remade["edits"].end(), [&](const Json& other) {
    return other["subject"] == wrong["subject"] && other["new"] == wrong["new"];
  }));
  EXPECT_NE(adapter_bytes("before"), adapter_bytes("after"));
}

} // namespace
} // namespace errata
