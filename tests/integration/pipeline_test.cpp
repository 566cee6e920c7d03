#include "tests/integration/pipeline_fixture.h"
#include "tests/support/python.h"

#include <cstdlib>

// Edits, interruptions, and what goes wrong.

namespace errata {
namespace {

using testing::HasSubstr;
using testing_support::Finished;
using testing_support::PipelineTest;
using testing_support::Program;
namespace fs = std::filesystem;

TEST_F(PipelineTest, TheMiniatureLoadsInTransformers) {
  if (!fs::exists(testing_support::python())) {
    GTEST_SKIP() << "no .deps/venv with transformers; ./test.sh installs it";
  }
  const auto [code, output] = testing_support::run_shell(
      testing_support::python().string() +
      " -c \"import transformers as t; m, i = t.AutoModelForCausalLM.from_pretrained('" +
      path("model") +
      "', output_loading_info=True); print(type(m).__name__, i['missing_keys'], "
      "i['unexpected_keys'])\" 2>/dev/null");
  EXPECT_EQ(code, 0);
  // transformers 5 gives sets, 4 lists.
  EXPECT_THAT(
      output, testing::MatchesRegex("Gemma3ForCausalLM (set\\(\\)|\\[\\]) (set\\(\\)|\\[\\])\n"));
}

TEST_F(PipelineTest, ARunHasEverythingAndIsRecorded) {
  const Finished result = run(edit("whole", {"--json", "--wordings", "3"}));
  ASSERT_EQ(result.code, 0) << result.err;
  const Json json = parse_json(result.out, "stdout");
  EXPECT_EQ(json["adapter"], path("whole") + "/adapter");
  EXPECT_EQ(json["edits"], 20); // ten keepers and their homes
  EXPECT_GT(json["seconds"], 0.0);
  EXPECT_GT(json["edits_per_second"], 0.0);
  EXPECT_GT(json["peak_rss_bytes"], 1'000'000);
  for (const char* when : {"before", "after"}) {
    const Json& metrics = json["metrics"][when];
    EXPECT_EQ(metrics["editing"]["reliability"]["n"], 10);
    EXPECT_EQ(metrics["multihop"]["changed"]["cot"]["n"], 8); // five keepers, three homes
    EXPECT_TRUE(metrics["locality"].contains("same"));
  }
  for (const char* file :
       {"run.json",
        "results.json",
        "samples.jsonl",
        "report.html",
        "log.txt",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors"}) {
    EXPECT_TRUE(fs::exists(path("whole") + "/" + file)) << file;
  }
  EXPECT_FALSE(fs::exists(path("whole") + "/checkpoint"));
  const Json run_json = read_json(path("whole") + "/run.json");
  EXPECT_EQ(run_json["status"], "done");
  const Json config = read_json(path("whole") + "/adapter/adapter_config.json");
  EXPECT_EQ(config["peft_type"], "LORA");
  EXPECT_EQ(config["r"], 4);

  // A second call shows the result, another run there is refused, and the store knows the run.
  const Finished again = run(edit("whole", {"--json", "--wordings", "3", "--resume"}));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(parse_json(again.out, "stdout")["metrics"], json["metrics"]);
  expect_failure(2, {"already holds run"}, edit("whole", {"--wordings", "3"}));
  expect_failure(2, {"'lr'"}, edit("whole", {"--wordings", "3", "--resume", "--lr", "0.5"}));
}

TEST_F(PipelineTest, DevelopmentCasesAreJudgedInsteadOfTheFinalOnes) {
  make_store("large.db", "large", 100); // the small one has no chain to spare
  const std::vector<std::string> more = {
      "--store",
      path("large.db"),
      "--json",
      "--steps",
      "1",
      "--suite",
      "multihop",
      "--prompting",
      "cot",
      "--development"};
  const Finished result = run(edit("tuned", more));
  ASSERT_EQ(result.code, 0) << result.err;
  const Json judged = parse_json(result.out, "stdout")["metrics"]["after"]["multihop"];
  const Json plan = read_json(path("tuned/run.json"))["plan"];
  for (const char* side : {"changed", "unchanged"}) {
    EXPECT_EQ(judged[side]["cot"]["n"], plan["development_cases"][side]) << side;
    EXPECT_NE(judged[side]["cot"]["n"], plan["cases"][side]) << side;
  }
  std::vector<std::string> final_ones(more.begin(), more.end() - 1);
  final_ones.emplace_back("--resume");
  expect_failure(2, {"'development' was true"}, edit("tuned", final_ones));
}

TEST_F(PipelineTest, ReasonedTrainingTeachesTheMiniatureItsEdits) {
  const Finished result = run(edit(
      "learn",
      {"--json",
       "--suite",
       "editing",
       "--steps",
       "600",
       "--augment",
       "statement,question,reasoning",
       "--rank",
       "32",
       "--batch-tokens",
       "800"}));
  ASSERT_EQ(result.code, 0) << result.err;
  const Json json = parse_json(result.out, "stdout");
  const Json& metrics = json["metrics"];
  // The miniature knows next to nothing; what it is asked in other words after training it knows.
  EXPECT_LE(metrics["before"]["editing"]["reliability"]["value"], 0.2);
  EXPECT_GE(metrics["after"]["editing"]["reliability"]["value"], 0.8) << result.err;
}

TEST_F(PipelineTest, EditingKilledAtTenMomentsEndsWithTheSameBytes) {
  expect_same_after_kills(
      "killed-edit",
      {"adapter/adapter_model.safetensors", "samples.jsonl"},
      [](const std::string& out) {
        return edit(out, {"--suite", "editing", "--resume"});
      });
}

TEST_F(PipelineTest, PretrainingKilledAtTenMomentsEndsWithTheSameBytes) {
  expect_same_after_kills(
      "killed-pretrain", {"model.safetensors", "tokenizer.model"}, [](const std::string& out) {
        return pretrain(out, {"--checkpoint-every", "0.01", "--resume"});
      });
}

TEST_F(PipelineTest, ControlCKeepsTheState) {
  const std::vector<std::string> more = {"--no-eval", "--steps", "400"};
  int code = 0;
  {
    Program program(directory_->path(), edit("stopped", more));
    ASSERT_TRUE(wait_for(path("stopped") + "/checkpoint/training/state.safetensors", program))
        << program.err();
    // While it runs, nobody else may write there.
    expect_in_use("stopped", more);
    program.send(SIGINT);
    code = program.wait();
  }
  EXPECT_EQ(code, 130);
  EXPECT_EQ(read_json(path("stopped") + "/run.json")["status"], "interrupted");
  EXPECT_FALSE(fs::exists(path("stopped") + "/adapter"));
  EXPECT_EQ(run(edit("stopped", {"--no-eval", "--steps", "400", "--resume"})).code, 0);
}

TEST_F(PipelineTest, TablesBiasesAndCopiesAreTrainedFromTheCommandLine) {
  const std::vector<std::string> chosen = {
      "--target-modules",
      "embed_tokens,lm_head,q_proj",
      "--bias",
      "all",
      "--modules-to-save",
      "model.norm,0.mlp",
      "--steps",
      "20",
      "--no-eval"};
  must_run(edit("tables", chosen));
  const Json config = read_json(path("tables/adapter/adapter_config.json"));
  EXPECT_EQ(config.at("bias"), "all");
  EXPECT_EQ(config.at("modules_to_save"), Json({"model.norm", "0.mlp"}));
  must_run(
      {"export",
       "--model",
       path("model"),
       "--adapter",
       path("tables/adapter"),
       "--to",
       "merged",
       "--out",
       path("tables-merged"),
       "--progress",
       "none"});
  EXPECT_EQ(read_json(path("tables-merged/config.json")).at("tie_word_embeddings"), false);
  // The same again, whatever the machine was doing.
  must_run(edit("tables2", chosen));
  EXPECT_TRUE(
      read_file(path("tables/adapter/adapter_model.safetensors")) ==
      read_file(path("tables2/adapter/adapter_model.safetensors")));
  expect_failure(
      2, {"modules_to_save 'nrom'", "'norm'"}, edit("w3", {"--modules-to-save", "nrom"}));
  expect_failure(2, {"--bias 'some'", "none, all or lora_only"}, edit("w3", {"--bias", "some"}));
  EXPECT_FALSE(fs::exists(path("w3")));
}

TEST_F(PipelineTest, AFullDiskLeavesNoAdapter) {
  ::setenv("ERRATA_TEST_DISK_LIMIT", "20000", 1);
  const Finished result = run(edit("full", {"--no-eval"}));
  ::unsetenv("ERRATA_TEST_DISK_LIMIT");
  EXPECT_EQ(result.code, 3) << result.err;
  EXPECT_THAT(result.err, HasSubstr("No space left"));
  EXPECT_FALSE(fs::exists(path("full") + "/adapter"));
}

TEST_F(PipelineTest, BadInputIsOneLineAndTheRightCode) {
  expect_failure(2, {"--from '2021-13-01'"}, edit("bad", {"--from", "2021-13-01"}));
  expect_failure(2, {"nothing"}, edit("bad", {"--to", "2020-02-01"}));
  expect_failure(3, {"nowhere.db"}, edit("bad", {"--store", path("nowhere.db")}));
  expect_failure(3, {"nowhere"}, edit("bad", {"--model", path("nowhere")}));
  expect_failure(2, {"zap_proj"}, edit("bad", {"--target-modules", "zap_proj"}));
  expect_failure(2, {"--layers"}, edit("bad", {"--layers", "7"}));
  expect_failure(2, {"lora"}, edit("bad", {"--method", "lorra"}));
  expect_failure(2, {"--rank"}, edit("bad", {"--rank", "0"}));
  expect_failure(
      2,
      {"unknown relation", "kept_by"},
      {"store", "add", "--store", path("w.db"), "Bro", "kept_bye", "Vel"});
  EXPECT_FALSE(fs::exists(path("bad")));

  write_file(path("config.json"), "{\"stepz\": 3}");
  expect_failure(
      2, {"config.json", "stepz", "steps"}, edit("bad", {"--config", path("config.json")}));
}

TEST_F(PipelineTest, DamagedModelsAreNamed) {
  const auto damaged = [](const std::string& name) {
    fs::copy(path("model"), path(name), fs::copy_options::recursive);
    return path(name);
  };
  const auto generate = [](const std::string& model) {
    return std::vector<std::string>{
        "generate",
        "--model",
        model,
        "--prompt",
        "Who",
        "--max-new-tokens",
        "2",
        "--threads",
        "1",
        "--progress",
        "none"};
  };
  const std::string cut = damaged("cut");
  fs::resize_file(cut + "/model.safetensors", fs::file_size(cut + "/model.safetensors") - 100);
  expect_failure(4, {"model.safetensors"}, generate(cut));
  const std::string missing = damaged("missing");
  fs::remove(missing + "/model.safetensors");
  expect_failure(3, {"missing"}, generate(missing));
  const std::string strange = damaged("strange");
  Json config = read_json(strange + "/config.json");
  config["model_type"] = "parrot";
  write_file(strange + "/config.json", config.dump());
  expect_failure(5, {"parrot"}, generate(strange));
  const std::string mute = damaged("mute");
  write_file(mute + "/tokenizer.model", "not a tokenizer");
  expect_failure(4, {"tokenizer.model"}, generate(mute));
}

} // namespace
} // namespace errata
