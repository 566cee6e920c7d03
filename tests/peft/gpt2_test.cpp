// GPT-2 keeps its matrices as [in, out]: adapters must not notice, and a merged export must write
// them as they were. tests/interop has transformers' word on the decoder itself.

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/model.h"
#include "core/safetensors.h"
#include "peft/adapter.h"
#include "peft/export.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/seeding_test.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

namespace errata::peft {
namespace {

using testing_support::log_probabilities;

class Gpt2Test : public testing_support::SeedingTest {
 protected:
  // A directory as its authors published it: names without the root.
  void SetUp() override {
    SeedingTest::SetUp();
    make_directories(model_path());
    write_file(model_path() / "config.json", R"({"model_type": "gpt2", "n_embd": 24, "n_head": 3,
      "n_layer": 2, "n_positions": 64, "vocab_size": 50, "dtype": "float32"})");
    Decoder decoder(load_decoder_config(model_path()));
    decoder->initialise(0.2);
    const auto transposed = decoder->transposed_in_files();
    EXPECT_EQ(transposed.size(), 8U);
    std::vector<std::pair<std::string, torch::Tensor>> tensors;
    const std::string root = "transformer.";
    for (const auto& item : decoder->named_parameters()) {
      const torch::Tensor value = item.value().detach();
      tensors.emplace_back(
          item.key().substr(root.size()), transposed.contains(item.key()) ? value.t() : value);
    }
    save_safetensors(model_path() / "model.safetensors", tensors);
  }

  std::unique_ptr<Adapter> attach(Model& model, const std::vector<std::string>& targets) {
    AdapterConfig config;
    config.r = 3;
    config.target_modules = targets;
    auto adapter = attach_adapter(model.decoder, config, 1);
    const torch::NoGradGuard no_grad;
    for (auto [name, tensor] : adapter->named_parameters()) {
      tensor.normal_(0, 0.2);
    }
    return adapter;
  }

  std::filesystem::path model_path() const { return temporary_ / "model"; }

  testing_support::TemporaryDirectory temporary_;
};

TEST_F(Gpt2Test, MergesSquareAndOtherMatricesTheRightWayRound) {
  Model model = load_model(model_path());
  const auto adapter = attach(model, {"c_attn", "c_proj", "c_fc"});
  EXPECT_EQ(adapter->modules().size(), 8U);
  save_adapter(*adapter, temporary_ / "adapter");
  const torch::Tensor adapted = log_probabilities(model.decoder);
  const ExportResult result =
      export_merged(model_path(), {temporary_ / "adapter"}, temporary_ / "out");
  EXPECT_EQ(result.modules, 8);
  Model merged = load_model(temporary_ / "out");
  EXPECT_TRUE(torch::allclose(log_probabilities(merged.decoder), adapted, 1e-4, 1e-4));
  const SafetensorsFile file(temporary_ / "out" / "model.safetensors");
  EXPECT_EQ(file.shape("h.0.attn.c_attn.weight"), (std::vector<std::int64_t>{24, 72}));
  EXPECT_EQ(file.shape("h.1.mlp.c_proj.weight"), (std::vector<std::int64_t>{96, 24}));
}

TEST_F(Gpt2Test, AdaptersHavePeftsNamesAndShapes) {
  Model model = load_model(model_path());
  const auto adapter = attach(model, {});
  save_adapter(*adapter, temporary_ / "adapter");
  const Json config = read_json(temporary_ / "adapter" / "adapter_config.json");
  EXPECT_EQ(config["target_modules"], Json{"c_attn"}); // the family's default
  EXPECT_EQ(config["fan_in_fan_out"], true);
  const SafetensorsFile file(temporary_ / "adapter" / "adapter_model.safetensors");
  const std::string module = "base_model.model.transformer.h.1.attn.c_attn.";
  EXPECT_EQ(file.shape(module + "lora_A.weight"), (std::vector<std::int64_t>{3, 24}));
  EXPECT_EQ(file.shape(module + "lora_B.weight"), (std::vector<std::int64_t>{72, 3}));
  const torch::Tensor adapted = log_probabilities(model.decoder);
  Model again = load_model(model_path());
  const auto loaded = load_adapter(again.decoder, temporary_ / "adapter");
  EXPECT_TRUE(torch::equal(log_probabilities(again.decoder), adapted));
  EXPECT_TRUE(loaded->config().fan_in_fan_out);
}

TEST_F(Gpt2Test, MergingInMemoryComesBackToTheBit) {
  Model model = load_model(model_path());
  const torch::Tensor base = log_probabilities(model.decoder);
  const auto adapter = attach(model, {"c_attn", "c_fc"});
  const torch::Tensor adapted = log_probabilities(model.decoder);
  adapter->merge();
  EXPECT_TRUE(torch::allclose(log_probabilities(model.decoder), adapted, 1e-4, 1e-4));
  adapter->unmerge();
  adapter->set_enabled(false);
  EXPECT_TRUE(torch::equal(log_probabilities(model.decoder), base));
}

} // namespace
} // namespace errata::peft
