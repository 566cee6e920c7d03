#include "peft/export.h"

#include "core/base/files.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/model.h"
#include "peft/adapter.h"
#include "peft/adapter_source.h"
#include "peft/gguf_file.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"
#include "tests/support/temporary_directory.h"

namespace errata::peft {
namespace {

using testing_support::expect_error;
using testing_support::log_probabilities;
using testing_support::TemporaryDirectory;
using testing_support::tiny_decoder;

namespace fs = std::filesystem;

class ExportTest : public testing_support::SeedingTest {
 protected:
  void SetUp() override {
    SeedingTest::SetUp();
    base_ = tiny_decoder(3);
    save_model(model_path(), base_, torch::kFloat32);
    AdapterConfig config;
    config.r = 3;
    config.target_modules = {"q_proj", "down_proj"};
    const auto adapter = attach_adapter(base_, config, 1);
    {
      const torch::NoGradGuard no_grad;
      for (auto [name, tensor] : adapter->named_parameters()) {
        tensor.normal_(0, 0.2);
      }
    }
    save_adapter(*adapter, adapter_path(), {{"errata.edits.sha256", "abc"}});
    adapted_ = log_probabilities(base_);
    files_before_ = count_files();
  }

  std::size_t count_files() const {
    std::size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(temporary_.path())) {
      count += entry.exists() ? 1 : 0;
    }
    return count;
  }

  fs::path model_path() const { return temporary_ / "model"; }
  fs::path adapter_path() const { return temporary_ / "adapter"; }
  fs::path out() const { return temporary_ / "out"; }

  TemporaryDirectory temporary_;
  Decoder base_{nullptr};
  torch::Tensor adapted_;
  std::size_t files_before_ = 0;
};

TEST_F(ExportTest, MergedModelStandsAlone) {
  const ExportResult result = export_merged(model_path(), {adapter_path()}, out());
  Model merged = load_model(out());
  EXPECT_TRUE(torch::allclose(log_probabilities(merged.decoder), adapted_, 1e-4, 1e-4));
  EXPECT_EQ(result.modules, 6);
  EXPECT_EQ(result.changed_entries, 3 * (32 * 24 + 24 * 40));
  EXPECT_EQ(result.self_check.tolerance, 1e-4);
  EXPECT_EQ(result.self_check.positions, 8 * 15);
  EXPECT_EQ(read_file(out() / "config.json"), read_file(model_path() / "config.json"));
  const Json record = read_json(out() / "errata.json");
  EXPECT_EQ(record.at("base_sha256"), load_model(model_path()).hash);
  EXPECT_EQ(
      record.at("adapters").at(0).at("sha256"),
      sha256_file(adapter_path() / "adapter_model.safetensors"));
  EXPECT_EQ(record.at("adapters").at(0).at("errata.edits.sha256"), "abc");
  EXPECT_EQ(record.at("files").at("model.safetensors"), sha256_file(out() / "model.safetensors"));
  // Untouched tensors are the base's to the bit.
  const Model base = load_model(model_path());
  EXPECT_TRUE(torch::equal(
      merged.decoder->named_parameters()["model.layers.1.mlp.up_proj.weight"],
      base.decoder->named_parameters()["model.layers.1.mlp.up_proj.weight"]));
}

TEST_F(ExportTest, AnotherDtypeReachesWeightsAndConfig) {
  ExportOptions options;
  options.dtype = torch::kBFloat16;
  const ExportResult result = export_merged(model_path(), {adapter_path()}, out(), options);
  Model merged = load_model(out());
  EXPECT_EQ(merged.file_dtype, torch::kBFloat16);
  // What was written is what was meant; what the cast changed is said.
  EXPECT_LE(result.self_check.max_difference, 1e-4);
  EXPECT_GT(result.self_check.rounding, 1e-4);
  EXPECT_FALSE(torch::allclose(log_probabilities(merged.decoder), adapted_, 1e-4, 1e-4));
  EXPECT_TRUE(torch::allclose(log_probabilities(merged.decoder), adapted_, 0.05, 0.05));
  const std::string config = read_file(out() / "config.json");
  EXPECT_NE(config.find("\"bfloat16\""), std::string::npos);
  EXPECT_EQ(config.find("\"float32\""), std::string::npos);
}

TEST_F(ExportTest, CountsWhatRoundsBack) {
  // A change of 1e-4 relative vanishes in bfloat16's 8 bits nearly everywhere, and never in
  // float32.
  torch::Tensor delta;
  const std::string module = "model.layers.0.mlp.up_proj";
  for (const auto& [path, linear] : base_->linears()) {
    if (path == module) {
      delta = linear->weight.detach() * 1e-4;
    }
  }
  save_adapter(*attach_delta(base_, {{module, delta}}), temporary_ / "delta");
  ExportOptions options;
  const ExportResult exact = export_merged(model_path(), {temporary_ / "delta"}, out(), options);
  EXPECT_EQ(exact.changed_entries, 40 * 24);
  EXPECT_EQ(exact.rounded_back, 0);
  options.dtype = torch::kBFloat16;
  options.force = true;
  const ExportResult rounded = export_merged(model_path(), {temporary_ / "delta"}, out(), options);
  EXPECT_GT(rounded.rounded_back, 0.9 * 40 * 24);
}

TEST_F(ExportTest, FailedSelfCheckLeavesNothingBehind) {
  // Logits this large turn the order of float32 sums into differences above the tolerance.
  Decoder wild = tiny_decoder(3);
  {
    const torch::NoGradGuard no_grad;
    wild->named_parameters()["model.norm.weight"].fill_(1e5);
  }
  fs::remove_all(model_path());
  save_model(model_path(), wild, torch::kFloat32);
  files_before_ = count_files();
  ExportOptions options;
  options.dtype = torch::kBFloat16;
  expect_error(ErrorCode::kInternal, {"self-check", "nothing was written"}, [&] {
    export_merged(model_path(), {adapter_path()}, temporary_ / "new" / "out", options);
  });
  EXPECT_EQ(count_files(), files_before_);
}

TEST_F(ExportTest, FullDiskLeavesNothingBehind) {
  for (const std::int64_t bytes : {0, 2000, 30'000}) {
    set_disk_limit_for_testing(bytes);
    expect_error(ErrorCode::kIo, {"No space left"}, [&] {
      export_merged(model_path(), {adapter_path()}, temporary_ / "new" / "out");
    });
    expect_error(ErrorCode::kIo, {"No space left"}, [&] {
      export_peft(model_path(), adapter_path(), temporary_ / "new" / "out");
    });
    for (const char* name : {"out", "out.gguf"}) {
      expect_error(ErrorCode::kIo, {"No space left"}, [&] {
        export_gguf(model_path(), adapter_path(), temporary_ / "new" / name);
      });
    }
    expect_error(ErrorCode::kIo, {"No space left"}, [&] {
      export_mlx(model_path(), adapter_path(), temporary_ / "new" / "out");
    });
    set_disk_limit_for_testing(-1);
    EXPECT_EQ(count_files(), files_before_) << bytes;
  }
}

TEST_F(ExportTest, OnlyAnEarlierExportIsReplaced) {
  fs::create_directories(out());
  write_file(out() / "thesis.txt", "years of work");
  const auto merge = [&](bool force) {
    ExportOptions options;
    options.force = force;
    export_merged(model_path(), {adapter_path()}, out(), options);
  };
  expect_error(ErrorCode::kInvalidArgument, {"not empty", "--force"}, [&] { merge(false); });
  expect_error(ErrorCode::kInvalidArgument, {"earlier export"}, [&] { merge(true); });
  EXPECT_EQ(read_file(out() / "thesis.txt"), "years of work");
  fs::remove_all(out());
  merge(false);
  expect_error(ErrorCode::kInvalidArgument, {"not empty"}, [&] { merge(false); });
  merge(true);
  for (const fs::path& unsafe : {model_path(), temporary_.path(), adapter_path()}) {
    ExportOptions options;
    options.force = true;
    expect_error(ErrorCode::kInvalidArgument, {"holds the input"}, [&] {
      export_merged(model_path(), {adapter_path()}, unsafe, options);
    });
  }
}

TEST_F(ExportTest, PeftExportRepeatsTheAdapter) {
  const ExportResult result = export_peft(model_path(), adapter_path(), out());
  EXPECT_EQ(result.self_check.max_difference, 0.0);
  EXPECT_EQ(
      read_file(out() / "adapter_model.safetensors"),
      read_file(adapter_path() / "adapter_model.safetensors"));
}

TEST_F(ExportTest, ExactDifferencesNeedARankForPeft) {
  const std::string module = "model.layers.2.mlp.down_proj";
  // Rank 2 exactly, so that rank 2 loses nothing and rank 1 something.
  const torch::Tensor change = torch::randn({24, 2}).mm(torch::randn({2, 40})) * 0.05;
  save_adapter(*attach_delta(base_, {{module, change}}), temporary_ / "delta");
  expect_error(ErrorCode::kUnsupported, {"--rank", "--to merged"}, [&] {
    export_peft(model_path(), temporary_ / "delta", out());
  });
  ExportOptions options;
  options.rank = 2;
  EXPECT_LT(export_peft(model_path(), temporary_ / "delta", out(), options).truncation_error, 1e-5);
  options.rank = 1;
  options.force = true;
  const double lost =
      export_peft(model_path(), temporary_ / "delta", out(), options).truncation_error;
  const torch::Tensor values = torch::linalg_svdvals(change);
  EXPECT_NEAR(lost, (values[1] / values.norm()).item<double>(), 1e-3);
}

// What a message proposes must then work.
TEST_F(ExportTest, WhatNoLoraCanHoldIsToldAWayThatIsOpen) {
  const auto saved = [&](const char* peft_type) {
    AdapterConfig config;
    config.peft_type = peft_type;
    save_adapter(*attach_adapter(base_, config, 1), temporary_ / peft_type);
    return temporary_ / peft_type;
  };
  ExportOptions options;
  options.rank = 2;
  const auto expect_refused = [&](const fs::path& adapter, const std::string& way) {
    expect_error(ErrorCode::kUnsupported, {way}, [&] {
      export_gguf(model_path(), adapter, out(), options);
    });
  };
  const fs::path bottleneck = saved("BOTTLENECK");
  expect_refused(bottleneck, "errata itself runs it (--adapter)");
  const fs::path prompt = saved("PROMPT_TUNING");
  expect_refused(prompt, "serve it as an adapter (--to peft)");
  EXPECT_NO_THROW(export_peft(model_path(), prompt, out()));
}

TEST_F(ExportTest, GgufIsOneFileOfItsOwnName) {
  const ExportResult result = export_gguf(model_path(), adapter_path(), out());
  ASSERT_EQ(result.files.size(), 1);
  EXPECT_EQ(count_files(), files_before_ + 2) << "the directory and one file";
  const std::string run = temporary_.path().filename().string(); // holds "adapter"
  EXPECT_EQ(result.files[0].name, "model-17K-" + run + "-v1.0-F32-LoRA.gguf");
  EXPECT_EQ(result.modules, 6);
  EXPECT_LE(result.self_check.max_difference, 1e-4);
  EXPECT_EQ(result.self_check.positions, 8 * 15);
  const auto adapter = load_adapter(base_, out());
  EXPECT_TRUE(torch::allclose(log_probabilities(base_), adapted_, 1e-4, 1e-4));
  EXPECT_EQ(adapter_metadata(find_adapter(out())).at("errata.edits.sha256"), "abc");
}

TEST_F(ExportTest, GgufGoesToTheFileThatIsNamed) {
  const fs::path file = temporary_ / "new" / "edits.gguf";
  ExportOptions options;
  const ExportResult result = export_gguf(model_path(), adapter_path(), file, options);
  EXPECT_EQ(result.files.at(0).name, "edits.gguf");
  EXPECT_EQ(count_files(), files_before_ + 2) << "the directory and one file";
  expect_error(ErrorCode::kInvalidArgument, {"exists", "--force"}, [&] {
    export_gguf(model_path(), adapter_path(), file, options);
  });
  options.force = true;
  options.dtype = torch::kBFloat16;
  const ExportResult rounded = export_gguf(model_path(), adapter_path(), file, options);
  EXPECT_LE(rounded.self_check.max_difference, 1e-4);
  EXPECT_GT(rounded.self_check.rounding, 1e-4);
  EXPECT_LT(rounded.files.at(0).bytes, result.files.at(0).bytes);
  // What comes back is an adapter like any other.
  export_peft(model_path(), file, out());
  const auto adapter = load_adapter(base_, out());
  EXPECT_TRUE(torch::allclose(log_probabilities(base_), adapted_, 0.05, 0.05));
  EXPECT_EQ(adapter_metadata(find_adapter(out())).at("errata.edits.sha256"), "abc");
}

TEST_F(ExportTest, OnlyAGgufAdapterIsReplaced) {
  ExportOptions options;
  options.force = true;
  const auto expect_kept = [&](const fs::path& target) {
    expect_error(ErrorCode::kInvalidArgument, {target.filename().string(), "--force"}, [&] {
      export_gguf(model_path(), adapter_path(), target, options);
    });
  };
  const fs::path text = temporary_ / "text.gguf";
  write_file(text, "years of work");
  expect_kept(text);
  EXPECT_EQ(read_file(text), "years of work");
  // A model of gigabytes, alone in its directory.
  const fs::path models = temporary_ / "models";
  fs::create_directories(models);
  write_gguf(models / "model.gguf", {{"general.type", std::string("model")}}, {});
  expect_kept(models);
  expect_kept(models / "model.gguf");
  fs::create_directories(temporary_ / "directory.gguf");
  expect_error(ErrorCode::kCorrupt, {"directory.gguf", "directory"}, [&] {
    export_gguf(model_path(), adapter_path(), temporary_ / "directory.gguf", options);
  });
  export_gguf(model_path(), adapter_path(), out(), options);
  export_gguf(model_path(), adapter_path(), out(), options);
}

TEST_F(ExportTest, MlxDirectoryGivesTheAdaptedModel) {
  const ExportResult result = export_mlx(model_path(), adapter_path(), out());
  ASSERT_EQ(result.files.size(), 2);
  EXPECT_EQ(result.files[0].name, "adapter_config.json");
  EXPECT_EQ(result.files[1].name, "adapters.safetensors");
  EXPECT_LE(result.self_check.max_difference, 1e-4);
  const auto adapter = load_adapter(base_, out());
  EXPECT_TRUE(torch::allclose(log_probabilities(base_), adapted_, 1e-4, 1e-4));
  EXPECT_EQ(adapter_metadata(find_adapter(out())).at("errata.edits.sha256"), "abc");
}

TEST_F(ExportTest, FormatsWithoutExactDifferencesNeedARank) {
  const torch::Tensor change = torch::randn({24, 2}).mm(torch::randn({2, 40})) * 0.05;
  save_adapter(
      *attach_delta(base_, {{"model.layers.2.mlp.down_proj", change}}), temporary_ / "delta");
  ExportOptions options;
  const auto both = [&] {
    const double gguf =
        export_gguf(model_path(), temporary_ / "delta", temporary_ / "gguf", options)
            .truncation_error;
    return std::max(
        gguf,
        export_mlx(model_path(), temporary_ / "delta", temporary_ / "mlx", options)
            .truncation_error);
  };
  expect_error(ErrorCode::kUnsupported, {"GGUF", "--rank", "--to merged"}, both);
  options.rank = 2;
  EXPECT_LT(both(), 1e-5);
}

} // namespace
} // namespace errata::peft
