// Training with the examples of a pass shared out among threads: nothing changes but rounding.

#include "core/base/random.h"
#include "core/train_pass.h"
#include "peft/adapter.h"
#include "peft/bottleneck.h"
#include "tests/peft/shake.h"
#include "tests/peft/trained_configs.h"
#include "tests/support/threads.h"

#include <gtest/gtest.h>

namespace errata::peft {
namespace {

using testing_support::dora;
using testing_support::on;
using testing_support::ThreadsScope;
using testing_support::tiny_decoder;
using testing_support::with_bias;
using testing_support::with_copies;

struct SharedCase {
  const char* name;
  AdapterConfig config;
  bool shared = true; ///< false: the adapter keeps something of a pass
};

AdapterConfig of_kind(const char* type, AdapterConfig config = on({"q_proj", "down_proj"})) {
  config.peft_type = type;
  return config;
}

AdapterConfig prompt_of(const char* type) {
  AdapterConfig config;
  config.peft_type = type;
  config.prompt.num_virtual_tokens = 3;
  config.adaption.adapter_len = 4;
  config.adaption.adapter_layers = 2;
  return config;
}

AdapterConfig bottleneck_of(const char* preset) {
  AdapterConfig config;
  config.peft_type = "BOTTLENECK";
  config.bottleneck = bottleneck_preset(preset);
  return config;
}

std::vector<SharedCase> shared_cases() {
  std::vector<SharedCase> all{
      {"lora", on({"q_proj", "down_proj"})},
      {"head", on({"lm_head"})},
      {"copies", with_copies(on({"q_proj"}), {"lm_head", "model.norm"})},
      {"bias", with_bias(on({"v_proj"}), TrainedBias::kAll)},
      {"dora", dora(on({"q_proj", "down_proj"}))},
      {"adalora", of_kind("ADALORA")},
      {"vera", of_kind("VERA")},
      {"ia3", of_kind("IA3")},
      {"houlsby", bottleneck_of("houlsby")},
      {"parallel", bottleneck_of("parallel")},
      {"prompt", prompt_of("PROMPT_TUNING")},
      {"p_tuning", prompt_of("P_TUNING")},
      {"prefix", prompt_of("PREFIX_TUNING"), false},
      {"llama_adapter", prompt_of("ADAPTION_PROMPT"), false}};
  all.push_back({"lora_dropout", on({"q_proj"}), false});
  all.back().config.lora_dropout = 0.1;
  return all;
}

MicroBatch random_micro() {
  Random random(7);
  MicroBatch micro;
  for (std::int64_t i = 0; i < 90; ++i) {
    TrainExample example;
    example.tokens.resize(5 + random.index(6));
    for (std::int32_t& token : example.tokens) {
      token = static_cast<std::int32_t>(random.index(50));
    }
    example.first_label = 1 + static_cast<std::int64_t>(random.index(3));
    example.rehearsal = i % 3 == 0;
    example.distilled = i % 4 == 1;
    micro.push_back({std::make_shared<const TrainExample>(std::move(example)), i});
  }
  return micro;
}

class SharedPassTest : public testing::TestWithParam<SharedCase> {
 protected:
  // Loss and gradients of a pass, first without and then with what is trained said.
  static std::pair<double, torch::Tensor> result(
      Decoder& model, Adapter& adapter, const MicroBatch& micro, bool shared) {
    torch::manual_seed(5); // for what is dropped
    std::vector<torch::Tensor> trained;
    for (const auto& [name, tensor] : adapter.named_parameters()) {
      trained.push_back(tensor);
    }
    TrainPass pass(
        model,
        {adapter.first_layer(),
         LossMean::kTokens,
         0.3,
         [&](bool base) { adapter.set_enabled(!base); },
         shared ? trained : std::vector<torch::Tensor>()});
    const double loss = pass.accumulate({{micro, micro}, false}).loss.item<double>();
    std::vector<torch::Tensor> gradients;
    for (torch::Tensor& tensor : trained) {
      gradients.push_back(tensor.grad().flatten().clone());
      tensor.mutable_grad().reset();
    }
    return {loss, torch::cat(gradients)};
  }
};

TEST_P(SharedPassTest, IsTheWholePass) {
  const ThreadsScope threads(3);
  Decoder model = tiny_decoder(2);
  const auto adapter = attach_adapter(model, GetParam().config, 1);
  shake(*adapter);
  EXPECT_EQ(model->reentrant(), GetParam().shared);
  const MicroBatch micro = random_micro();
  const auto whole = result(model, *adapter, micro, false);
  const auto shared = result(model, *adapter, micro, true);
  EXPECT_NEAR(shared.first, whole.first, 1e-5);
  const double size = whole.second.norm().item<double>();
  EXPECT_GT(size, 0);
  EXPECT_LE((shared.second - whole.second).norm().item<double>(), 1e-4 * size);
  // That it was shared out can be seen by the rounding.
  EXPECT_NE(torch::equal(shared.second, whole.second), GetParam().shared);
  // The same bytes whichever thread is first.
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(torch::equal(result(model, *adapter, micro, true).second, shared.second));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Adapters, SharedPassTest, testing::ValuesIn(shared_cases()), [](const auto& test) {
      return std::string(test.param.name);
    });

} // namespace
} // namespace errata::peft
