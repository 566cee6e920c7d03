// errata adapters, and --adapter-weight of the commands that run a model.

#include "core/base/files.h"
#include "core/model.h"
#include "peft/adapter.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/run_command.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::expect_failure;
using testing_support::Outcome;
using testing_support::run_command;
using testing_support::TemporaryDirectory;

class AdaptersCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    Decoder decoder = testing_support::tiny_decoder(2);
    save_model(temporary_ / "model", decoder, torch::kFloat32);
    for (const char* name : {"a", "b"}) {
      peft::AdapterConfig config;
      config.r = 3;
      config.target_modules = {"q_proj", "up_proj"};
      const auto adapter = peft::attach_adapter(decoder, config, 1);
      const torch::NoGradGuard no_grad;
      for (const auto& [key, tensor] : adapter->named_parameters()) {
        tensor.detach().normal_(0, 0.3);
      }
      peft::save_adapter(
          *adapter,
          temporary_ / "runs" / name / "adapter",
          {{"errata.method", "lora"}, {"errata.as_of", "2024-05-06"}});
    }
  }

  std::string path(const std::string& name) const { return (temporary_ / name).string(); }
  std::string adapter(const std::string& name) const { return path("runs/" + name + "/adapter"); }
  std::vector<std::string> with_both(std::vector<std::string> arguments) const {
    arguments.insert(
        arguments.end(),
        {"--model", path("model"), "--adapter", adapter("a"), "--adapter", adapter("b")});
    return arguments;
  }
  static Json logprobs(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--tokens", "2,7,9,11,30", "--dtype", "float32", "--json"});
    const Outcome outcome = run_command(std::move(arguments));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.json()["logprobs"];
  }
  static void expect_near(const Json& a, const Json& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 1; i < a.size(); ++i) {
      EXPECT_NEAR(a[i].get<double>(), b[i].get<double>(), 1e-4) << i;
    }
  }

  TemporaryDirectory temporary_;
};

TEST_F(AdaptersCommandTest, ListsWhatLiesBelowAFolder) {
  const Json list = run_command({"adapters", "list", path("runs"), "--json"}).json()["adapters"];
  ASSERT_EQ(list.size(), 2);
  EXPECT_EQ(list[0]["directory"], adapter("a"));
  EXPECT_EQ(list[1]["type"], "LORA");
  EXPECT_EQ(list[1]["rank"], 3);
  EXPECT_EQ(list[1]["numbers"], 2 * 3 * (24 + 32 + 24 + 40));
  EXPECT_EQ(list[1]["provenance"]["as_of"], "2024-05-06");
  const std::string table = run_command({"adapters", "list", adapter("a")}).out;
  EXPECT_NE(table.find("LORA"), std::string::npos);
  EXPECT_NE(table.find("2024-05-06"), std::string::npos);
  expect_failure({"adapters", "list", path("model")}, 3, {"adapter_config.json", "model"});
  expect_failure({"adapters", "list", path("nowhere")}, 3, {"nowhere"});
}

TEST_F(AdaptersCommandTest, ListsOtherProgramsAdapters) {
  for (const auto& [to, out] : {std::pair("gguf", "others/x.gguf"), std::pair("mlx", "others/y")}) {
    std::filesystem::create_directories(temporary_ / "others");
    const Outcome made = run_command(
        {"export",
         "--model",
         path("model"),
         "--adapter",
         adapter("a"),
         "--to",
         to,
         "--out",
         path(out)});
    ASSERT_EQ(made.code, 0) << made.err;
  }
  const std::string hub = ERRATA_SOURCE_DIR "/tests/peft/adapter_hub/adapters/llama-pfeiffer";
  const Json list =
      run_command({"adapters", "list", path("others"), hub, "--json"}).json()["adapters"];
  ASSERT_EQ(list.size(), 3);
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"GGUF", path("others/x.gguf")}, {"MLX", path("others/y")}, {"adapter-hub", hub}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(list[i]["type"], expected[i].first);
    EXPECT_EQ(list[i]["directory"], expected[i].second);
    EXPECT_TRUE(list[i]["rank"].is_null());
    EXPECT_TRUE(list[i]["numbers"].is_null());
  }
  EXPECT_EQ(list[0]["bytes"], std::filesystem::file_size(path("others/x.gguf")));
  EXPECT_EQ(list[1]["bytes"], std::filesystem::file_size(path("others/y/adapters.safetensors")));
  EXPECT_EQ(list[0]["provenance"]["as_of"], "2024-05-06");
  EXPECT_EQ(list[1]["provenance"]["as_of"], "2024-05-06");
  const std::string table = run_command({"adapters", "list", path("others/x.gguf")}).out;
  EXPECT_NE(table.find("GGUF"), std::string::npos);
}

TEST_F(AdaptersCommandTest, CombinesToTheWeightedSum) {
  const std::vector<std::string> weights = {"--adapter-weight", "0.5", "-0.25"};
  auto arguments = with_both({"adapters", "combine", "--out", path("both"), "--json"});
  arguments.insert(arguments.end(), weights.begin(), weights.end());
  const Outcome outcome = run_command(arguments);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["rank"], 6);
  EXPECT_EQ(outcome.json()["provenance"]["method"], "cat");
  auto summed = with_both({"score"});
  summed.insert(summed.end(), weights.begin(), weights.end());
  const Json together = logprobs(summed);
  expect_near(logprobs({"score", "--model", path("model"), "--adapter", path("both")}), together);
  // And merged into the weights.
  auto merge = with_both({"export", "--to", "merged", "--out", path("merged"), "--json"});
  merge.insert(merge.end(), weights.begin(), weights.end());
  ASSERT_EQ(run_command(merge).code, 0);
  expect_near(logprobs({"score", "--model", path("merged")}), together);
}

TEST_F(AdaptersCommandTest, ADamagedOneDoesNotHideTheOthers) {
  std::filesystem::create_directories(path("runs/broken/adapter"));
  write_file(path("runs/broken/adapter/adapter_config.json"), "{}");
  testing::internal::CaptureStderr(); // the log's
  const Outcome outcome = run_command({"adapters", "list", path("runs"), "--json"});
  const std::string warning = testing::internal::GetCapturedStderr();
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.json()["adapters"].size(), 2);
  EXPECT_NE(warning.find("broken"), std::string::npos) << warning;
  expect_failure({"adapters", "list", adapter("broken")}, 4, {"broken"});
}

TEST_F(AdaptersCommandTest, AnEarlierOneIsReplacedOnlyWhenAsked) {
  const auto combine = [&](std::vector<std::string> more) {
    auto arguments = with_both({"adapters", "combine", "--out", path("both")});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  ASSERT_EQ(run_command(combine({})).code, 0);
  expect_failure(combine({"--how", "svd"}), 2, {path("both"), "--force"});
  ASSERT_EQ(run_command(combine({"--how", "svd", "--force"})).code, 0);
  const Json list = run_command({"adapters", "list", path("both"), "--json"}).json()["adapters"];
  EXPECT_EQ(list[0]["provenance"]["method"], "svd");
}

TEST_F(AdaptersCommandTest, ComparesTwo) {
  const Outcome outcome = run_command(with_both({"adapters", "diff", "--json"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json result = outcome.json();
  EXPECT_EQ(result["modules"].size(), 4);
  EXPECT_EQ(result["modules"][0]["module"], "model.layers.0.self_attn.q_proj");
  EXPECT_GT(result["all"]["first_norm"].get<double>(), 0);
  EXPECT_LT(std::abs(result["all"]["cosine"].get<double>()), 0.9);
  EXPECT_NE(run_command(with_both({"adapters", "diff"})).out.find("cosine"), std::string::npos);
}

TEST_F(AdaptersCommandTest, WrongUseIsNamed) {
  const std::string model = path("model");
  expect_failure(
      {"adapters", "diff", "--model", model, "--adapter", adapter("a")}, 2, {"two adapters", "1"});
  expect_failure({"adapters", "combine", "--model", model, "--out", path("x")}, 2, {"--adapter"});
  auto arguments = with_both({"adapters", "combine", "--out", path("x"), "--how", "sum"});
  expect_failure(arguments, 2, {"'sum'", "cat"});
  expect_failure(
      with_both({"adapters", "combine", "--out", adapter("a"), "--force"}), 2, {adapter("a")});
  expect_failure(
      with_both({"adapters", "combine", "--out", path("x"), "--rank", "1"}), 2, {"--rank", "cat"});
  arguments =
      with_both({"adapters", "combine", "--out", path("x"), "--how", "svd", "--density", "0.5"});
  expect_failure(arguments, 2, {"--density", "svd"});
  arguments = with_both({"score", "--tokens", "1,2", "--adapter-weight", "1"});
  expect_failure(arguments, 2, {"--adapter-weight", "2 adapters"});
  EXPECT_FALSE(std::filesystem::exists(path("x")));
}

} // namespace
} // namespace errata
