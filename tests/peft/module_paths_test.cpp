// Adapters whose files call the model's modules otherwise, or hold more of it than they train.

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/safetensors.h"
#include "peft/adapter.h"
#include "tests/peft/saved_adapter.h"
#include "tests/peft/shake.h"
#include "tests/peft/tiny_decoder.h"

#include <gtest/gtest.h>

namespace errata::peft {
namespace {

using testing_support::log_probabilities;

class ModulePathsTest : public SavedAdapterTest {};

// peft#1579: an adapter of the bare decoder has no "model." and is the same adapter.
TEST_F(ModulePathsTest, OtherModulePathsAreUnderstood) {
  auto adapter = make(model_);
  const torch::Tensor expected = log_probabilities(model_);
  for (const std::string prefix :
       {"base_model.model.layers.",
        "base_model.model.model.language_model.layers.",
        "base_model.model.language_model.model.layers.",
        "base_model.model.model.model.layers."}) {
    save_adapter(*make(model_), directory());
    save_adapter(*adapter, directory());
    adapter->set_enabled(false);
    rename_tensors(kLayersInFile, prefix);
    // PEFT's default layer pattern wants a component in front of `layers`.
    change_config([](Json& config) { config["layers_pattern"] = "layers"; });
    const auto loaded = load_adapter(model_, directory());
    EXPECT_TRUE(torch::equal(log_probabilities(model_), expected)) << prefix;
    loaded->set_enabled(false);
    adapter->set_enabled(true);
  }
}

// peft#2772: only what ends a tensor's name is its kind, whatever the modules are called.
TEST_F(ModulePathsTest, ModulesMayBeCalledWeight) {
  DecoderConfig config = model_->config();
  config.names.attention = "pair_weighted_weight";
  config.names.mlp = "lora_A_weight";
  Decoder model = testing_support::random_decoder(config, torch::kFloat32);
  AdapterConfig on;
  on.target_modules = {"q_proj", "down_proj"};
  auto adapter = attach_adapter(model, on, 1);
  shake(*adapter);
  const torch::Tensor expected = log_probabilities(model);
  save_adapter(*adapter, directory());
  adapter.reset();
  EXPECT_FALSE(torch::equal(log_probabilities(model), expected));
  const SafetensorsFile file(directory() / "adapter_model.safetensors");
  EXPECT_TRUE(file.has(std::string(kLayersInFile) + "1.pair_weighted_weight.q_proj.lora_A.weight"));
  EXPECT_TRUE(file.has(std::string(kLayersInFile) + "2.lora_A_weight.down_proj.lora_B.weight"));
  const auto loaded = load_adapter(model, directory());
  EXPECT_TRUE(torch::equal(log_probabilities(model), expected));
}

// A selection that holds under the file's names only is written out when read.
TEST_F(ModulePathsTest, ExpressionsOverOtherPathsBecomeLists) {
  auto adapter = make(model_);
  save_adapter(*adapter, directory());
  const auto modules = adapter->modules();
  rename_tensors(kLayersInFile, "base_model.model.language_model.model.layers.");
  change_config([](Json& config) {
    config["target_modules"] = R"(language_model\.model\.layers\.[12]\..*(q_proj|down_proj))";
    config["layers_to_transform"] = nullptr;
    config["rank_pattern"] = {{R"(language_model.model.layers.1.mlp.down_proj)", 2}};
  });
  adapter.reset();
  const auto loaded = load_adapter(model_, directory());
  EXPECT_EQ(loaded->modules(), modules);
  EXPECT_EQ(match_targets(model_, loaded->config()), modules);
  EXPECT_EQ(module_rank(loaded->config(), "model.layers.1.mlp.down_proj"), 2);
  EXPECT_EQ(module_rank(loaded->config(), "model.layers.2.mlp.down_proj"), 3);
}

// Embedding, head and copies under the names of the other classes that wrap the same decoder.
TEST_F(ModulePathsTest, TablesAndCopiesAreReadUnderOtherPaths) {
  AdapterConfig config;
  config.target_modules = {"embed_tokens", "q_proj", "lm_head"};
  config.modules_to_save = {"model.norm", "layers.1.mlp"};
  auto adapter = attach_adapter(model_, config, 1);
  shake(*adapter);
  save_adapter(*adapter, directory());
  const torch::Tensor adapted = log_probabilities(model_);
  const auto modules = adapter->modules();
  adapter.reset();
  const std::string head = "base_model.model.lm_head.";
  rename_tensors("base_model.model.model.", "base_model.model.language_model.model.");
  rename_tensors(head, "base_model.model.language_model.lm_head.");
  const auto loaded = load_adapter(model_, directory());
  EXPECT_EQ(loaded->modules(), modules);
  EXPECT_TRUE(torch::equal(log_probabilities(model_), adapted));
}

// PEFT's save_embedding_layers: it computes with the matrices of the file.
TEST_F(ModulePathsTest, StoredBaseMatricesMustBeTheBases) {
  save_adapter(*make(model_), directory());
  const torch::Tensor table = model_->named_parameters()["model.embed_tokens.weight"];
  const auto store = [&](const std::string& name, const torch::Tensor& value) {
    change_tensors([&](NamedTensors& tensors) {
      std::erase_if(tensors, [&](const auto& entry) { return entry.first == name; });
      tensors.emplace_back(name, value);
    });
  };
  store("base_model.model.lm_head.base_layer.weight", table.clone());
  store("base_model.model.model.embed_tokens.base_layer.weight", table.to(torch::kBFloat16));
  store("base_model.model.model.embed_tokens.weight", table.clone());
  EXPECT_NO_THROW(load_adapter(model_, directory()));
  store("base_model.model.lm_head.base_layer.weight", table + 0.5);
  expect_load_error(ErrorCode::kUnsupported, {"lm_head.base_layer.weight", "other embeddings"});
  store("base_model.model.lm_head.base_layer.weight", torch::zeros({51, 24}));
  expect_load_error(ErrorCode::kUnsupported, {"lm_head.base_layer.weight", "[51, 24]", "resized"});
  store("base_model.model.lm_head.base_layer.weight", table.clone());
  store("base_model.model.model.embed_tokens.lora_embedding_A", torch::zeros({3, 50}));
  expect_load_error(ErrorCode::kCorrupt, {"embed_tokens.lora_embedding_A", "unexpected"});
}

} // namespace
} // namespace errata::peft
