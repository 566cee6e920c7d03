#include "peft/mlx_adapter.h"

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/safetensors.h"
#include "peft/lora_pairs.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

namespace errata::peft {
namespace {

using testing_support::expect_error;
using testing_support::log_probabilities;
using testing_support::TemporaryDirectory;
using testing_support::tiny_decoder;

namespace fs = std::filesystem;

class MlxAdapterTest : public testing_support::SeedingTest {
 protected:
  static LoraPair pair(
      const std::string& module,
      std::int64_t rank,
      double scale,
      std::int64_t in,
      std::int64_t out) {
    return {module, torch::randn({rank, in}), torch::randn({out, rank}), scale};
  }

  // A directory as mlx-lm writes it, by hand: one pair on layer 2's up projection.
  void write_by_hand(
      const std::string& config, const std::string& path = "model.layers.2.mlp.up_proj") {
    a_ = torch::randn({24, 2});
    b_ = torch::randn({2, 40});
    save_safetensors(
        directory() / kMlxTensorFile,
        {{path + ".lora_a", a_}, {path + ".lora_b", b_}},
        {{"format", "mlx"}});
    write_file(directory() / "adapter_config.json", config);
  }

  fs::path directory() const { return temporary_.path(); }

  TemporaryDirectory temporary_;
  torch::Tensor a_;
  torch::Tensor b_;
};

const std::string kModule = "model.layers.2.mlp.up_proj";

TEST_F(MlxAdapterTest, ReadsBackTheSameModel) {
  Decoder model = tiny_decoder(12);
  AdapterConfig config;
  config.r = 3;
  config.use_rslora = true;
  config.lora_dropout = 0.25;
  config.target_modules = {"q_proj", "down_proj"};
  config.layers_to_transform = {3, 11};
  config.rank_pattern = {{"11.mlp.down_proj", 5}};
  config.alpha_pattern = {{"q_proj", 2.5}};
  auto adapter = attach_adapter(model, config, 1);
  {
    const torch::NoGradGuard no_grad;
    for (auto [name, tensor] : adapter->named_parameters()) {
      tensor.normal_(0, 0.2);
    }
  }
  const torch::Tensor adapted = log_probabilities(model);
  MlxDetails details;
  details.dropout = 0.25;
  details.metadata = {{"errata.edits.sha256", "abc"}};
  write_mlx_adapter(directory(), fold_for_mlx(lora_pairs(*adapter, "mlx-lm")), model, details);
  adapter.reset();
  adapter = load_adapter(model, directory());
  EXPECT_TRUE(torch::allclose(log_probabilities(model), adapted, 1e-4, 1e-4));
  EXPECT_EQ(adapter->config().lora_dropout, 0.25);
  const SafetensorsFile file(directory() / kMlxTensorFile);
  EXPECT_EQ(file.metadata().at("format"), "mlx");
  EXPECT_EQ(file.metadata().at("errata.edits.sha256"), "abc");
  EXPECT_EQ(file.shape("model.layers.3.mlp.down_proj.lora_a"), (std::vector<std::int64_t>{40, 5}));
  EXPECT_EQ(file.shape("model.layers.3.mlp.down_proj.lora_b"), (std::vector<std::int64_t>{5, 24}));
}

TEST_F(MlxAdapterTest, OneRankAndScaleHoldAll) {
  const std::vector<LoraPair> pairs = {
      pair("a", 2, 3.0, 24, 40), pair("b", 5, 0.5, 24, 16), pair("c", 2, 3.0, 16, 24)};
  const std::vector<LoraPair> folded = fold_for_mlx(pairs);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    EXPECT_EQ(folded[i].rank(), 5);
    EXPECT_EQ(folded[i].scale, 3.0);
    EXPECT_TRUE(torch::allclose(
        folded[i].b.mm(folded[i].a) * folded[i].scale,
        pairs[i].b.mm(pairs[i].a) * pairs[i].scale,
        1e-5,
        1e-6));
  }
}

TEST_F(MlxAdapterTest, SaysWhichModulesAsMlxLmDoes) {
  Decoder model = tiny_decoder(4);
  const auto config = [&](const std::vector<std::string>& modules, bool multimodal) {
    std::vector<LoraPair> pairs;
    for (const std::string& module : modules) {
      pairs.push_back(pair(module, 2, 1.5, 24, module.ends_with("up_proj") ? 40 : 32));
    }
    MlxDetails details;
    details.multimodal = multimodal;
    write_mlx_adapter(directory(), pairs, model, details);
    return read_json(directory() / "adapter_config.json");
  };
  const std::string up2 = "model.layers.2.mlp.up_proj";
  const std::string up3 = "model.layers.3.mlp.up_proj";
  const std::string q2 = "model.layers.2.self_attn.q_proj";
  // The same modules in each of the last layers: keys below the layer.
  Json json = config({up2, up3}, false);
  EXPECT_EQ(json, Json::parse(R"({"fine_tune_type": "lora", "num_layers": 2, "lora_parameters":
          {"rank": 2, "scale": 1.5, "dropout": 0.0, "keys": ["mlp.up_proj"]}})"));
  // Anything else: whole paths.
  json = config({q2, up2, up3}, false);
  EXPECT_EQ(json.at("num_layers"), 2);
  EXPECT_EQ(json.at("lora_parameters").at("keys"), Json(std::vector{q2, up2, up3}));
  json = config({up2}, true);
  EXPECT_EQ(json.at("lora_parameters").at("keys"), Json(std::vector{"language_model." + up2}));
  EXPECT_TRUE(
      SafetensorsFile(directory() / kMlxTensorFile).has("language_model." + up2 + ".lora_a"));
  EXPECT_EQ(load_adapter(model, directory())->modules(), std::vector{up2});
}

TEST_F(MlxAdapterTest, ReadsWhatMlxLmWrites) {
  Decoder model = tiny_decoder(4);
  const auto delta = [&] { return load_adapter(model, directory())->delta(kModule); };
  const auto expected = [&](double scale) { return (a_.mm(b_) * scale).t(); };
  // All arguments of its training program are there.
  write_by_hand(R"({"model": "x", "train": true, "fine_tune_type": "lora", "num_layers": 2,
      "seed": 0, "lora_parameters": {"rank": 2, "dropout": 0.0, "scale": 20.0}})");
  EXPECT_TRUE(torch::allclose(delta(), expected(20)));
  write_by_hand(R"({"num_layers": -1, "lora_parameters": {"rank": 2, "scale": 10, "alpha": 7}})");
  EXPECT_TRUE(torch::allclose(delta(), expected(10)));
  write_by_hand(R"({"num_layers": 1, "fine_tune_type": "lora", "lora_parameters":
      {"rank": 2, "scale": 3.5, "keys": ["model.layers.2.mlp.up_proj"]}})");
  EXPECT_TRUE(torch::allclose(delta(), expected(3.5)));
}

TEST_F(MlxAdapterTest, RefusesWhatItWouldGetWrong) {
  Decoder model = tiny_decoder(4);
  const auto expect_refusal = [&](ErrorCode code, const std::vector<std::string>& parts) {
    expect_error(code, parts, [&] { load_adapter(model, directory()); });
  };
  const auto config = [](const std::string& more) {
    return R"({"fine_tune_type": "lora", "num_layers": 2, "lora_parameters": {"rank": 2)" + more +
           "}}";
  };
  write_by_hand(R"({"fine_tune_type": "dora", "lora_parameters": {"rank": 2, "scale": 1}})");
  expect_refusal(ErrorCode::kUnsupported, {"'dora'", "mlx_lm.fuse"});
  write_by_hand(R"({"use_dora": true, "lora_parameters": {"rank": 2, "scale": 1}})");
  expect_refusal(ErrorCode::kUnsupported, {"'dora'"});
  write_by_hand(R"({"fine_tune_type": "full"})");
  expect_refusal(ErrorCode::kUnsupported, {"'full'"});
  write_by_hand(R"({"fine_tune_type": "lora"})");
  expect_refusal(ErrorCode::kCorrupt, {"lora_parameters"});
  write_by_hand(config(""));
  expect_refusal(ErrorCode::kCorrupt, {"'scale' is missing"});
  write_by_hand(config(R"(, "scale": 1, "keys": ["self_attn.q_proj"])"));
  expect_refusal(ErrorCode::kCorrupt, {kModule, "selects"});
  write_by_hand(R"({"num_layers": 1, "lora_parameters": {"rank": 2, "scale": 1}})");
  expect_refusal(ErrorCode::kCorrupt, {kModule, "selects"});
  write_by_hand(R"({"num_layers": 2, "lora_parameters": {"rank": 3, "scale": 1}})");
  expect_refusal(ErrorCode::kCorrupt, {"lora_a", "rank 3"});
  write_by_hand(config(R"(, "scale": 1)"), "model.embed_tokens");
  expect_refusal(ErrorCode::kUnsupported, {"embed_tokens"});
  write_by_hand(config(R"(, "scale": 1)"), "model.layers.2.mlp.down_proj");
  expect_refusal(ErrorCode::kCorrupt, {"down_proj", "[24, r]"});
  write_by_hand(config(R"(, "scale": 1)"));
  save_safetensors(directory() / kMlxTensorFile, {{kModule + ".lora_a", a_}});
  expect_refusal(ErrorCode::kCorrupt, {"up_proj", "only its A"});
  save_safetensors(directory() / kMlxTensorFile, {{kModule + ".m", a_}});
  expect_refusal(ErrorCode::kCorrupt, {".m", ".lora_a"});
  fs::remove(directory() / kMlxTensorFile);
  expect_refusal(ErrorCode::kNotFound, {"adapters.safetensors"});
}

} // namespace
} // namespace errata::peft
