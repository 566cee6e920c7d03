#include "tests/integration/pipeline_fixture.h"

// A difference that is written batch after batch into one adapter.

namespace errata {
namespace {

using testing::HasSubstr;
using testing_support::Finished;
using testing_support::PipelineTest;
using testing_support::Program;
namespace fs = std::filesystem;

class BatchesTest : public PipelineTest {
 protected:
  static void SetUpTestSuite() {
    PipelineTest::SetUpTestSuite();
    make_store("slow.db", "slow", 20, {"2020-08-20", "2021-03-14"});
  }

  static std::vector<std::string> batched(
      const std::string& out, const std::string& batches, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--store", path("slow.db"), "--batches", batches});
    return edit(out, more);
  }
};

TEST_F(BatchesTest, AreNamedInTheRun) {
  const Finished result = run(batched("named", "monthly", {"--json", "--suite", "editing"}));
  ASSERT_EQ(result.code, 0) << result.err;
  const Json json = parse_json(result.out, "stdout");
  EXPECT_EQ(json["metrics"]["after"]["editing"]["reliability"]["n"], 10); // of the whole
  EXPECT_EQ(json["training"]["steps"], 100);                              // no fewer than 50 each
  const Json batches = read_json(path("named/run.json"))["batches"];
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0]["from"], "2020-01-01");
  EXPECT_EQ(batches[0]["to"], "2020-09-01");
  EXPECT_EQ(batches[1]["from"], "2020-09-01");
  EXPECT_EQ(batches[1]["to"], "2021-04-01");
  EXPECT_EQ(batches[0]["edits"], 10); // five keepers and their homes
  EXPECT_THAT(read_file(path("named/log.txt")), HasSubstr("batch 2 of 2, to 2021-04-01"));
  EXPECT_FALSE(fs::exists(path("named/checkpoint")));
}

TEST_F(BatchesTest, OneBatchIsAnOrdinaryRun) {
  must_run(batched("once", "once", {"--no-eval"}));
  must_run(edit("plain", {"--no-eval", "--store", path("slow.db")}));
  EXPECT_TRUE(adapter_bytes("once") == adapter_bytes("plain"));
}

TEST_F(BatchesTest, KilledInTheSecondTheyEndWithTheSameBytes) {
  const std::vector<std::string> more = {"--no-eval"};
  must_run(batched("calm", "yearly", more));
  {
    Program program(path(""), batched("killed", "yearly", more));
    ASSERT_TRUE(wait_for(path("killed/checkpoint/training/2022-01-01/state.safetensors"), program));
    program.send(SIGKILL);
    program.wait();
  }
  EXPECT_TRUE(fs::exists(path("killed/checkpoint/training/batches.safetensors")));
  must_run(batched("killed", "yearly", {"--no-eval", "--resume"}));
  EXPECT_TRUE(adapter_bytes("killed") == adapter_bytes("calm"));
}

TEST_F(BatchesTest, TheSecondRehearsesWhatTheFirstWrote) {
  // Without unchanged facts there is nothing else to rehearse.
  const Finished result = run(batched(
      "learn",
      "yearly",
      {"--json",
       "--suite",
       "editing",
       "--rehearsal-share",
       "0",
       "--steps",
       "1000",
       "--augment",
       "statement,question,reasoning,rehearsal",
       "--rank",
       "32",
       "--batch-tokens",
       "800"}));
  ASSERT_EQ(result.code, 0) << result.err;
  const Json metrics = parse_json(result.out, "stdout")["metrics"];
  EXPECT_GE(metrics["after"]["editing"]["reliability"]["value"], 0.8) << metrics.dump(2);
}

TEST_F(BatchesTest, BadInputIsOneLineAndTheRightCode) {
  expect_failure(2, {"--batches", "weekly"}, batched("bad", "weekly"));
  expect_failure(2, {"--batches", "lora"}, batched("bad", "yearly", {"--method", "ft"}));
  expect_failure(2, {"--batches", "--kl"}, batched("bad", "yearly", {"--kl", "1"}));
  write_file(
      path("edits.jsonl"), "{\"id\": \"1\", \"prompt\": \"Who\", \"target_new\": \"Vel\"}\n");
  expect_failure(
      2,
      {"--batches", "--store"},
      {"edit-batch",
       "--model",
       path("model"),
       "--edits",
       path("edits.jsonl"),
       "--out",
       path("bad"),
       "--batches",
       "yearly",
       "--progress",
       "none"});
  EXPECT_FALSE(fs::exists(path("bad")));
}

} // namespace
} // namespace errata
