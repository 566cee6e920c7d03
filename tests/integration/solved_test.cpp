// Methods that solve for weights, from the command line.

#include "core/base/hash.h"
#include "tests/integration/pipeline_fixture.h"

namespace errata {
namespace {

namespace fs = std::filesystem;
using testing_support::Finished;
using testing_support::HasSubstr;

class SolvedTest : public testing_support::PipelineTest {
 protected:
  static std::vector<std::string> given(
      const std::string& out,
      const std::string& method,
      const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "edit-batch",
        "--model",
        path("model"),
        "--edits",
        path("edits.jsonl"),
        "--out",
        path(out),
        "--method",
        method,
        "--threads",
        "1",
        "--progress",
        "none"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  static Json run_json(const std::string& out) {
    return Json::parse(read_file(path(out + "/run.json")));
  }
};

TEST_F(SolvedTest, EveryMethodWritesAnAdapterThatTheOthersRead) {
  for (const std::string method : {"rome", "memit", "alphaedit"}) {
    std::vector<std::string> more = {
        "--method",
        method,
        "--steps",
        "5",
        "--batch-tokens",
        "4096",
        "--suite",
        "editing,locality"};
    if (method == "alphaedit") {
      more.insert(more.end(), {"--null-threshold", "0.5"});
    }
    const Finished result = run(edit(method, more));
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr("Solved for"));
    const Json written = run_json(method);
    EXPECT_EQ(written["training"]["contexts"].size(), 5U);
    EXPECT_EQ(written["training"]["steps"], 5);
    must_run(
        {"score",
         "--model",
         path("model"),
         "--adapter",
         path(method + "/adapter"),
         "--text",
         "Question: Who keeps Bro?"});
  }
}

TEST_F(SolvedTest, EditsGivenOutrightNeedASubjectAndStatistics) {
  write_file(
      path("edits.jsonl"),
      "{\"id\": \"a\", \"prompt\": \"Question: Who keeps Bro?\\nAnswer:\", \"subject\": \"Bro\", "
      "\"target_new\": \"Vel\"}\n");
  must_run(given("rome-outright", "rome", {"--steps", "3"}));
  expect_failure(2, {"--method memit", "--stats-text"}, given("bad", "memit"));
  write_file(path("text.txt"), "Vel keeps Bro.\n\nBro is a lighthouse, and a tall one.\n");
  expect_failure(
      5,
      {"singular", "give more text"},
      given("few", "memit", {"--stats-text", path("text.txt"), "--no-eval"}));
  const std::string text = path("world/facts.jsonl");
  must_run(given("memit-outright", "memit", {"--steps", "3", "--stats-text", text}));
  EXPECT_EQ(run_json("memit-outright")["options"]["stats-text"][0].get<std::string>(), text);
  expect_failure(3, {"none.txt"}, given("bad", "memit", {"--stats-text", path("none.txt")}));

  write_file(
      path("edits.jsonl"),
      "{\"id\": \"a\", \"prompt\": \"Who keeps Bro?\", \"target_new\": \"Vel\"}\n");
  expect_failure(2, {"edit a", "subject"}, given("bad", "rome"));
  EXPECT_FALSE(fs::exists(path("bad")));
}

TEST_F(SolvedTest, ARunIsMadeAnewWithItsText) {
  const std::string text = path("keepers.txt");
  fs::copy_file(path("world/facts.jsonl"), text);
  const std::vector<std::string> more = {
      "--method", "memit", "--steps", "3", "--stats-text", text, "--no-eval"};
  must_run(edit("with-text", more));
  const Json written = run_json("with-text");
  const Json& hashes = written["options"]["stats_text_sha256"];
  EXPECT_EQ(hashes, Json::array({Sha256().update(read_file(text)).hex_digest()}));

  const std::string id = written["run_id"].get<std::string>();
  const Finished runs = run({"store", "runs", "--store", path("w.db"), id, "--json"});
  ASSERT_EQ(runs.code, 0) << runs.err;
  const std::string edit_id = Json::parse(runs.out)["edits"][0]["id"].get<std::string>();
  const auto rebuild = [&](const std::string& out) {
    const Finished again = run(
        {"edit-batch",
         "--store",
         path("w.db"),
         "--without",
         edit_id,
         "--run",
         id,
         "--out",
         path(out),
         "--threads",
         "1"});
    EXPECT_EQ(again.code, 0) << again.err;
    return again.err;
  };
  EXPECT_THAT(rebuild("same-text"), testing::Not(HasSubstr("keepers.txt has changed")));
  EXPECT_EQ(run_json("same-text")["options"]["stats_text_sha256"], hashes);
  write_file(text, read_file(text) + "\n\nMore of it.\n");
  EXPECT_THAT(rebuild("more-text"), HasSubstr("keepers.txt has changed since that run"));
  EXPECT_NE(run_json("more-text")["options"]["stats_text_sha256"], hashes);
}

TEST_F(SolvedTest, OptionsOfOtherMethodsAreRefused) {
  expect_failure(2, {"--clamp", "rome, memit or alphaedit", "lora"}, edit("bad", {"--clamp", "2"}));
  expect_failure(
      2,
      {"--stats-text", "ia3"},
      edit("bad", {"--method", "ia3", "--stats-text", path("world/facts.jsonl")}));
  expect_failure(
      2,
      {"--stats-text", "--batches"},
      edit("bad", {"--batches", "yearly", "--stats-text", path("world/facts.jsonl")}));
  expect_failure(2, {"--anchor"}, edit("bad", {"--method", "memit", "--anchor", "0.1"}));
  expect_failure(
      2, {"--target-modules"}, edit("bad", {"--method", "memit", "--target-modules", "q_proj"}));
  expect_failure(2, {"one layer"}, edit("bad", {"--method", "rome", "--layers", "0-1"}));
  EXPECT_FALSE(fs::exists(path("bad")));
}

} // namespace
} // namespace errata
