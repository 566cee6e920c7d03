// What every type of adapter promises, by the same tests for all of them.

#include "peft/adapter_types.h"

#include "core/base/files.h"
#include "core/base/json.h"
#include "peft/adalora.h"
#include "peft/adapter.h"
#include "peft/lora_start.h"
#include "tests/peft/on_cuda.h"
#include "tests/peft/shake.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/expect_error.h"
#include "tests/support/grad_check.h"
#include "tests/support/seeding_test.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <map>

namespace errata::peft {
namespace {

using testing_support::biased_decoder;
using testing_support::expect_error;
using testing_support::expect_wanted_rows;
using testing_support::log_probabilities;
using testing_support::TemporaryDirectory;
using testing_support::tiny_decoder;

struct NamedConfig {
  const char* name;
  AdapterConfig config;
  bool drawn = false; ///< what is trained starts at random
};

AdapterConfig base_config(const char* peft_type) {
  AdapterConfig config;
  config.peft_type = peft_type;
  config.r = 3;
  config.lora_alpha = 5;
  config.target_modules = {"q_proj", "k_proj", "down_proj"};
  return config;
}

std::vector<NamedConfig> all_types() {
  std::vector<NamedConfig> all;
  all.push_back({"lora", base_config("LORA"), true});
  all.push_back({"rslora", base_config("LORA"), true});
  all.back().config.use_rslora = true;
  all.push_back({"dora", base_config("LORA"), true});
  all.back().config.use_dora = true;
  all.push_back({"gaussian", base_config("LORA"), true});
  all.back().config.init = LoraInit::kGaussian;
  all.push_back({"pissa", base_config("LORA")});
  all.back().config.init = LoraInit::kPissa;
  all.push_back({"olora", base_config("LORA")});
  all.back().config.init = LoraInit::kOlora;
  all.back().config.use_rslora = true;
  all.push_back({"adalora", base_config("ADALORA"), true});
  all.back().config.adalora.init_r = 4;
  all.back().config.adalora.target_r = 2;
  all.push_back({"vera", base_config("VERA")});
  all.back().config.r = 16;
  all.push_back({"ia3", base_config("IA3")});
  return all;
}

double distance(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

class AdapterTypesTest : public testing::TestWithParam<NamedConfig> {
 protected:
  void SetUp() override { torch::manual_seed(3); }
  const AdapterConfig& config() const { return GetParam().config; }
};

TEST_P(AdapterTypesTest, FreshItChangesNothing) {
  for (Decoder model : {tiny_decoder(3), biased_decoder()}) {
    const torch::Tensor before = log_probabilities(model);
    const auto adapter = attach_adapter(model, config(), 7);
    EXPECT_EQ(adapter->modules().size(), 9);
    // Exactly, unless the start is computed from the weights: then up to rounding.
    const bool exact = config().init == LoraInit::kDefault && !config().use_dora;
    EXPECT_LE(distance(log_probabilities(model), before), exact ? 0.0 : 1e-5);
    for (const auto& [name, tensor] : adapter->named_parameters()) {
      EXPECT_TRUE(tensor.requires_grad()) << name;
      EXPECT_EQ(tensor.scalar_type(), torch::kFloat32) << name;
    }
    shake(*adapter);
    EXPECT_GT(distance(log_probabilities(model), before), 0.01);
  }
}

TEST_P(AdapterTypesTest, SomeRowsAreThoseOfTheWholePass) {
  Decoder model = biased_decoder();
  const auto adapter = attach_adapter(model, config(), 7);
  shake(*adapter);
  expect_wanted_rows(model);
}

TEST_P(AdapterTypesTest, GradientsAreThoseOfTheOutput) {
  Decoder model = biased_decoder(torch::kFloat64);
  AdapterConfig config = this->config();
  config.target_modules = {"model.layers.1.self_attn.k_proj", "model.layers.2.mlp.down_proj"};
  if (config.peft_type == "IA3") {
    config.feedforward_modules = {"down_proj"};
  }
  const auto adapter = attach_adapter(model, config, 7);
  shake(*adapter);
  std::vector<torch::Tensor> leaves;
  for (const auto& [name, tensor] : adapter->named_parameters()) {
    torch::Tensor leaf = tensor;
    leaf.set_data(tensor.data().to(torch::kFloat64));
    leaves.push_back(leaf);
  }
  const PackedBatch batch = testing_support::tiny_batch();
  const auto output = [&] { return model->hidden(batch); };
  if (!config.use_dora) {
    testing_support::expect_directional_gradients(output, leaves, 1e-5);
    return;
  }
  testing_support::expect_directional_gradients(output, {leaves[2], leaves[5]}, 1e-5);
  // The norm has no gradient by definition (section 4.3): differences are taken with magnitudes
  // that move along, so that their ratio stays.
  const auto norm = [&](std::size_t first) {
    const torch::Tensor w = model->named_parameters()[config.target_modules[first / 3] + ".weight"];
    return torch::linalg_vector_norm(
        w + leaves[first + 1].detach().mm(leaves[first].detach()) * (5.0 / 3.0), 2, {1});
  };
  const std::vector<torch::Tensor> ratios = {
      leaves[2].detach() / norm(0), leaves[5].detach() / norm(3)};
  testing_support::expect_directional_gradients(
      [&] {
        leaves[2].detach().copy_(ratios[0] * norm(0));
        leaves[5].detach().copy_(ratios[1] * norm(3));
        return output();
      },
      {leaves[0], leaves[1], leaves[3], leaves[4]},
      1e-5);
}

TEST_P(AdapterTypesTest, DisabledAndDestroyedItLeavesNoTrace) {
  Decoder model = biased_decoder();
  const torch::Tensor before = log_probabilities(model);
  {
    const auto adapter = attach_adapter(model, config(), 7);
    shake(*adapter);
    adapter->set_enabled(false);
    EXPECT_TRUE(torch::equal(log_probabilities(model), before));
    adapter->set_enabled(true);
    adapter->merge();
  }
  EXPECT_TRUE(torch::equal(log_probabilities(model), before));
}

TEST_P(AdapterTypesTest, MergedItComputesTheSameAndComesOutBitForBit) {
  Decoder model = biased_decoder();
  std::map<std::string, torch::Tensor> base;
  for (const auto& item : model->named_parameters()) {
    base[item.key()] = item.value().clone();
  }
  const auto adapter = attach_adapter(model, config(), 7);
  shake(*adapter);
  for (const double weight : {1.0, 0.5}) {
    adapter->set_weight(weight);
    const torch::Tensor adapted = log_probabilities(model);
    adapter->merge();
    EXPECT_LE(distance(log_probabilities(model), adapted), 2e-5) << weight;
    adapter->unmerge();
    for (const auto& item : model->named_parameters()) {
      EXPECT_TRUE(torch::equal(item.value(), base.at(item.key()))) << item.key();
    }
    EXPECT_TRUE(torch::equal(log_probabilities(model), adapted));
  }
}

// The factor goes from nothing to the whole change, linearly in the weights.
TEST_P(AdapterTypesTest, TheFactorScalesTheChange) {
  Decoder model = biased_decoder();
  const auto adapter = attach_adapter(model, config(), 7);
  shake(*adapter);
  const std::string module = adapter->modules().front();
  const torch::Tensor whole = adapter->delta(module);
  adapter->set_weight(0.25);
  EXPECT_TRUE(torch::allclose(adapter->delta(module), whole * 0.25, 1e-5, 1e-7));
  adapter->set_weight(0);
  const torch::Tensor none = log_probabilities(model);
  adapter->set_enabled(false);
  EXPECT_TRUE(torch::equal(log_probabilities(model), none));
}

TEST_P(AdapterTypesTest, ADirectoryKeepsIt) {
  Decoder model = biased_decoder();
  const TemporaryDirectory directory;
  auto adapter = attach_adapter(model, config(), 7);
  shake(*adapter);
  const torch::Tensor adapted = log_probabilities(model);
  save_adapter(*adapter, directory / "adapter");
  adapter.reset();
  const auto loaded = load_adapter(model, directory / "adapter");
  EXPECT_LE(distance(log_probabilities(model), adapted), 1e-5);
  // What is read is written again in the same bytes.
  save_adapter(*loaded, directory / "again");
  for (const char* file : {"adapter_config.json", "adapter_model.safetensors"}) {
    EXPECT_EQ(read_file(directory / "adapter" / file), read_file(directory / "again" / file))
        << file;
  }
}

TEST_P(AdapterTypesTest, TheSeedDecidesTheStart) {
  Decoder model = tiny_decoder(3);
  const auto values = [&](std::uint64_t seed) {
    const auto adapter = attach_adapter(model, config(), seed);
    std::vector<torch::Tensor> all;
    for (const auto& [name, tensor] : adapter->named_parameters()) {
      all.push_back(tensor.detach().flatten().clone());
    }
    return torch::cat(all);
  };
  EXPECT_TRUE(torch::equal(values(7), values(7)));
  EXPECT_NE(torch::equal(values(7), values(8)), GetParam().drawn);
}

TEST_P(AdapterTypesTest, ADeviceComputesTheSame_CUDA) {
  if (config().init == LoraInit::kPissa || config().init == LoraInit::kOlora) {
    GTEST_SKIP() << "their start changes the base's weights by factors whose signs are free";
  }
  expect_same_on_cuda(biased_decoder(), config());
}

INSTANTIATE_TEST_SUITE_P(
    Types, AdapterTypesTest, testing::ValuesIn(all_types()), [](const auto& test) {
      return std::string(test.param.name);
    });

class AdapterTypeTest : public testing_support::SeedingTest {};

TEST_F(AdapterTypeTest, DoraHasUnitRowsTimesItsMagnitudes) {
  Decoder model = biased_decoder();
  AdapterConfig config = base_config("LORA");
  config.use_dora = true;
  const auto adapter = attach_adapter(model, config, 7);
  shake(*adapter);
  const std::string module = adapter->modules().front();
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& [name, tensor] : adapter->named_parameters()) {
    tensors[name] = tensor.detach();
  }
  const torch::Tensor changed =
      model->named_parameters()[module + ".weight"] + adapter->delta(module);
  // 2402.09353, equation 5: every row has the length that its magnitude says.
  EXPECT_TRUE(torch::allclose(
      torch::linalg_vector_norm(changed, 2, {1}),
      tensors.at(module + ".lora_magnitude_vector").abs(),
      1e-4,
      1e-5));
}

TEST_F(AdapterTypeTest, PissaTakesTheLargestSingularTriples) {
  const torch::Tensor u = std::get<0>(torch::linalg_qr(torch::randn({60, 40})));
  const torch::Tensor v = std::get<0>(torch::linalg_qr(torch::randn({40, 40})));
  const torch::Tensor s = torch::exp(-0.3 * torch::arange(40));
  const torch::Tensor weight = u.mm(s.unsqueeze(1) * v.t());
  const SingularTriples found = largest_triples(weight, 5);
  EXPECT_TRUE(torch::allclose(found.s, s.slice(0, 0, 5), 1e-5, 1e-6)) << found.s;
  const torch::Tensor best =
      u.slice(1, 0, 5).mm(s.slice(0, 0, 5).unsqueeze(1) * v.t().slice(0, 0, 5));
  EXPECT_TRUE(torch::allclose(found.u.mm(found.s.unsqueeze(1) * found.v), best, 1e-4, 1e-5));
}

// Null is the family's choice; an empty list is no module at all (PEFT 0.21, ia3/model.py).
TEST_F(AdapterTypeTest, Ia3TellsNoFeedforwardModuleFromNoneSaid) {
  Decoder model = tiny_decoder(3);
  AdapterConfig config;
  config.peft_type = "IA3";
  config.target_modules = {"down_proj"}; // [24, 40]
  const auto gain = [](const Adapter& adapter) {
    return adapter.named_parameters().at(0).second.sizes().vec();
  };
  using Shape = std::vector<std::int64_t>;
  EXPECT_EQ(gain(*attach_adapter(model, config, 1)), (Shape{1, 40}));
  config.feedforward_modules.emplace();
  const TemporaryDirectory directory;
  {
    const auto adapter = attach_adapter(model, config, 1);
    EXPECT_EQ(gain(*adapter), (Shape{24, 1}));
    shake(*adapter);
    save_adapter(*adapter, directory / "adapter");
  }
  const auto loaded = load_adapter(model, directory / "adapter");
  EXPECT_EQ(gain(*loaded), (Shape{24, 1}));
  ASSERT_TRUE(loaded->config().feedforward_modules.has_value());
  EXPECT_TRUE(loaded->config().feedforward_modules->empty());
}

TEST_F(AdapterTypeTest, TheWayOutIsOneThatIsOpen) {
  const std::string merged = "use --to merged";
  const std::string either = merged + ", or --rank for the nearest LoRA";
  AdapterConfig config = base_config("IA3");
  for (Decoder model : {tiny_decoder(3), biased_decoder()}) {
    const auto adapter = attach_adapter(model, config, 1);
    const bool biases = model->config().attention_bias;
    EXPECT_EQ(changes_weights_alone(*adapter), !biases);
    EXPECT_EQ(way_out(*adapter), biases ? merged : either);
  }
  Decoder model = tiny_decoder(3);
  for (const char* type : {"PROMPT_TUNING", "BOTTLENECK"}) {
    const auto adapter = attach_adapter(model, base_config(type), 1);
    EXPECT_FALSE(changes_weights_alone(*adapter)) << type;
    EXPECT_EQ(way_out(*adapter).find("--rank"), std::string::npos) << type;
  }
}

TEST_F(AdapterTypeTest, WhatDoesNotAddUpMustBeAlone) {
  Decoder model = tiny_decoder(3);
  AdapterConfig dora = base_config("LORA");
  dora.use_dora = true;
  auto lora = attach_adapter(model, base_config("LORA"), 1);
  expect_error(
      ErrorCode::kUnsupported, {"q_proj", "merge"}, [&] { attach_adapter(model, dora, 1); });
  for (const auto& [path, linear] : model->linears()) {
    EXPECT_LE(linear->attachments().size(), 1) << path;
  }
  lora->set_enabled(false);
  const auto alone = attach_adapter(model, dora, 1);
  expect_error(ErrorCode::kUnsupported, {"q_proj"}, [&] { lora->set_enabled(true); });
  AdapterConfig elsewhere = base_config("LORA");
  elsewhere.target_modules = {"v_proj"};
  EXPECT_NO_THROW(attach_adapter(model, elsewhere, 1));
}

TEST_F(AdapterTypeTest, BadConfigsAreNamed) {
  Decoder model = tiny_decoder(3);
  AdapterConfig config = base_config("ADALORA");
  config.adalora.target_r = 20;
  expect_error(
      ErrorCode::kInvalidArgument, {"target_r"}, [&] { attach_adapter(model, config, 1); });
  config = base_config("IA3");
  config.feedforward_modules = {"up_proj"};
  expect_error(ErrorCode::kInvalidArgument, {"feedforward_modules", "up_proj"}, [&] {
    attach_adapter(model, config, 1);
  });
  config = base_config("LORA");
  config.init = LoraInit::kPissa;
  config.r = 30; // hidden size 24
  expect_error(ErrorCode::kInvalidArgument, {"rank 30"}, [&] { attach_adapter(model, config, 1); });
  config.use_dora = true;
  expect_error(ErrorCode::kUnsupported, {"DoRA"}, [&] { attach_adapter(model, config, 1); });
}

} // namespace
} // namespace errata::peft
