#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/random.h"
#include "tests/support/program.h"
#include "tests/support/python.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>

// The program as its users run it: a store of an invented world, a miniature model pre-trained on
// it, edits, interruptions, and what goes wrong.

namespace errata {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing_support::Finished;
using testing_support::Program;

class PipelineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = std::make_unique<testing_support::TemporaryDirectory>();
    testing_support::write_tiny_world(path("world"));
    must_run({"store", "init", "--store", path("w.db")});
    must_run(
        {"store",
         "import",
         "--store",
         path("w.db"),
         "--format",
         "facts",
         path("world/facts.jsonl"),
         "--relations",
         path("world/relations.json")});
    must_run(
        {"store",
         "import",
         "--store",
         path("w.db"),
         "--format",
         "multihop",
         path("world/multihop.jsonl")});
    must_run(pretrain("model"));
  }
  static void TearDownTestSuite() { directory_.reset(); }

  static std::string path(const std::string& name) { return (*directory_ / name).string(); }

  static Finished run(const std::vector<std::string>& arguments) {
    return testing_support::run_program(directory_->path(), arguments);
  }

  static void must_run(const std::vector<std::string>& arguments) {
    const Finished result = run(arguments);
    ASSERT_EQ(result.code, 0) << result.err;
  }

  // A small run into `out`; an option of `more` replaces the one here.
  static std::vector<std::string> edit(
      const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"edit-batch",  "--model",
                                          path("model"), "--store",
                                          path("w.db"),  "--from",
                                          "2020-01-01",  "--to",
                                          "2022-01-01",  "--out",
                                          path(out),     "--steps",
                                          "60",          "--batch-tokens",
                                          "400",         "--rank",
                                          "4",           "--threads",
                                          "1",           "--progress",
                                          "none",        "--checkpoint-every",
                                          "0.01"};
    for (std::size_t i = 0; i < more.size(); ++i) {
      const auto given = std::find(arguments.begin(), arguments.end(), more[i]);
      if (more[i].starts_with("--") && given != arguments.end()) {
        *(given + 1) = more[++i];
      } else {
        arguments.push_back(more[i]);
      }
    }
    return arguments;
  }

  // One line on stderr, the code, and the parts that a user needs.
  static void expect_failure(
      int code, const std::vector<std::string>& parts, const std::vector<std::string>& arguments) {
    const Finished result = run(arguments);
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    for (const std::string& part : parts) {
      EXPECT_THAT(result.err, HasSubstr(part));
    }
  }

  // As `expect_failure`, with its output beside that of the program that is running.
  static void expect_in_use(const std::string& out, const std::vector<std::string>& more) {
    fs::create_directories(path("second"));
    const Finished second = testing_support::run_program(path("second"), edit(out, more));
    EXPECT_EQ(second.code, 3);
    EXPECT_THAT(second.err, HasSubstr("in use by another errata process"));
  }

  // The miniature.
  static std::vector<std::string> pretrain(
      const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "pretrain", "--store",   path("w.db"), "--as-of",    "2020-01-01", "--out",
        path(out),  "--hidden",  "64",         "--layers",   "2",          "--head-dim",
        "32",       "--vocab",   "400",        "--tokens",   "20000",      "--batch-tokens",
        "1000",     "--threads", "1",          "--progress", "none"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // Runs what `command` makes for a directory once in peace, then again and again with SIGKILL at
  // random moments of that time, ten in all, each followed by the same command. Whenever a run
  // ends, its `files` must be those of the first.
  static void expect_same_after_kills(
      const std::string& name,
      const std::vector<std::string>& files,
      const std::function<std::vector<std::string>(const std::string& out)>& command) {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    must_run(command(name));
    const std::chrono::duration<double> calm = Clock::now() - begin;
    Random random(3);
    int kills = 0;
    for (int round = 0; kills < 10; ++round) {
      const std::string out = concat(name, '-', round);
      int code = -1;
      while (code != 0) {
        Program program(directory_->path(), command(out));
        const auto moment = Clock::now() + calm * random.uniform();
        while (kills < 10 && Clock::now() < moment && program.running()) {
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        if (kills < 10 && program.running()) {
          program.send(SIGKILL);
          ++kills;
        }
        code = program.wait();
        ASSERT_TRUE(code == 0 || code == 128 + SIGKILL) << program.err();
      }
      for (const std::string& file : files) {
        EXPECT_TRUE(read_file(path(out) + "/" + file) == read_file(path(name) + "/" + file))
            << file << " of round " << round << ", after " << kills << " kills";
      }
    }
  }

  static bool wait_for(const fs::path& file, Program& program) {
    while (!fs::exists(file)) {
      if (!program.running()) {
        return false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  static std::unique_ptr<testing_support::TemporaryDirectory> directory_;
};

std::unique_ptr<testing_support::TemporaryDirectory> PipelineTest::directory_;

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
    ASSERT_TRUE(wait_for(path("stopped") + "/checkpoint/training/state.safetensors", program));
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
