#include "cli/command.h"
#include "core/base/json.h"
#include "core/model.h"
#include "peft/adapter.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace errata::cli {
namespace {

namespace fs = std::filesystem;

struct Outcome {
  int status = 0;
  std::string out;
  std::string err;
};

class ExportCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    Decoder decoder = testing_support::tiny_decoder(2);
    save_model(temporary_ / "model", decoder, torch::kFloat32);
    peft::AdapterConfig config;
    const auto adapter = peft::attach_adapter(decoder, config, 1);
    {
      const torch::NoGradGuard no_grad;
      for (auto [name, tensor] : adapter->named_parameters()) {
        tensor.normal_(0, 0.2);
      }
    }
    peft::save_adapter(*adapter, temporary_ / "adapter");
  }

  Outcome run_export(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {
        "errata", "export", "--model", (temporary_ / "model").string(), "--progress", "none"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::vector<const char*> argv;
    for (const std::string& argument : arguments) {
      argv.push_back(argument.c_str());
    }
    std::ostringstream out;
    std::ostringstream err;
    const int status = run(static_cast<int>(argv.size()), argv.data(), out, err);
    return {status, out.str(), err.str()};
  }

  std::string adapter() const { return (temporary_ / "adapter").string(); }
  std::string out() const { return (temporary_ / "out").string(); }

  testing_support::TemporaryDirectory temporary_;
};

TEST_F(ExportCommandTest, GivesFilesAndSelfCheckAsJson) {
  const Outcome merged =
      run_export({"--adapter", adapter(), "--to", "merged", "--out", out(), "--json"});
  ASSERT_EQ(merged.status, 0) << merged.err;
  const Json json = Json::parse(merged.out);
  EXPECT_EQ(json.at("to"), "merged");
  EXPECT_EQ(json.at("modules"), 4);
  EXPECT_LE(json.at("self_check").at("max_logprob_difference"), 1e-4);
  EXPECT_GE(json.at("files").size(), 3);
  const Outcome again = run_export({"--adapter", adapter(), "--to", "merged", "--out", out()});
  EXPECT_EQ(again.status, 2);
  EXPECT_NE(again.err.find("--force"), std::string::npos);
  EXPECT_EQ(std::count(again.err.begin(), again.err.end(), '\n'), 1) << again.err;
  const Outcome peft =
      run_export({"--adapter", adapter(), "--to", "peft", "--out", out(), "--force"});
  EXPECT_EQ(peft.status, 0) << peft.err;
  EXPECT_NE(peft.out.find("adapter_model.safetensors"), std::string::npos);
  EXPECT_FALSE(fs::exists(temporary_ / "out" / "model.safetensors"));
}

TEST_F(ExportCommandTest, OtherProgramsFilesGoThereAndBack) {
  const std::string file = (temporary_ / "edits.gguf").string();
  const Outcome gguf =
      run_export({"--adapter", adapter(), "--to", "gguf", "--out", file, "--json"});
  ASSERT_EQ(gguf.status, 0) << gguf.err;
  const Json json = Json::parse(gguf.out);
  EXPECT_EQ(json.at("files").size(), 1);
  EXPECT_EQ(json.at("files").at(0).at("name"), "edits.gguf");
  EXPECT_LE(json.at("self_check").at("max_logprob_difference"), 1e-4);
  const Outcome mlx =
      run_export({"--adapter", file, "--to", "mlx", "--out", out(), "--dtype", "float16"});
  ASSERT_EQ(mlx.status, 0) << mlx.err;
  EXPECT_NE(mlx.out.find("adapters.safetensors"), std::string::npos);
  const std::string peft = (temporary_ / "peft").string();
  ASSERT_EQ(run_export({"--adapter", out(), "--to", "peft", "--out", peft}).status, 0);
  const std::string merged = (temporary_ / "merged").string();
  EXPECT_EQ(
      run_export({"--adapter", file, "--adapter", out(), "--to", "merged", "--out", merged}).status,
      0);
}

TEST_F(ExportCommandTest, RefusalsNameTheWayOut) {
  EXPECT_EQ(run_export({"--to", "merged", "--out", out()}).status, 2);
  const Outcome two =
      run_export({"--adapter", adapter(), "--adapter", adapter(), "--to", "peft", "--out", out()});
  EXPECT_EQ(two.status, 2);
  EXPECT_NE(two.err.find("--to merged"), std::string::npos);
  EXPECT_EQ(
      run_export({"--adapter", adapter(), "--to", "peft", "--out", out(), "--dtype", "float16"})
          .status,
      2);
  for (const char* to : {"peft", "gguf", "mlx"}) {
    const Outcome sharded =
        run_export({"--adapter", adapter(), "--to", to, "--out", out(), "--shard-size", "1"});
    EXPECT_EQ(sharded.status, 2) << to;
    EXPECT_NE(sharded.err.find("--shard-size goes with --to merged"), std::string::npos);
  }
  const std::string nowhere = (temporary_ / "nowhere").string();
  EXPECT_EQ(run_export({"--adapter", nowhere, "--to", "merged", "--out", out()}).status, 3);
  fs::remove(temporary_ / "adapter" / "adapter_model.safetensors");
  EXPECT_EQ(run_export({"--adapter", adapter(), "--to", "merged", "--out", out()}).status, 3);
  EXPECT_FALSE(fs::exists(out()));
}

} // namespace
} // namespace errata::cli
