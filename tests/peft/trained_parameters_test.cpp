// Adapters of embeddings and the head, and what is trained whole beside adapters.

#include "peft/trained_parameters.h"

#include "peft/adapter.h"
#include "tests/peft/shake.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/peft/trained_configs.h"
#include "tests/support/seeding_test.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>

namespace errata::peft {
namespace {

using testing_support::dora;
using testing_support::log_probabilities;
using testing_support::of_type;
using testing_support::on;
using testing_support::pissa;
using testing_support::random_decoder;
using testing_support::tiny_batch;
using testing_support::tiny_decoder;
using testing_support::tiny_gpt2;
using testing_support::tiny_llama;
using testing_support::with_bias;
using testing_support::with_copies;

struct Case {
  std::string name;
  std::function<Decoder(torch::Dtype)> model;
  AdapterConfig config;
};

std::vector<Case> cases() {
  const auto gemma = [](torch::Dtype dtype) { return tiny_decoder(2, dtype); };
  const auto llama = [](torch::Dtype dtype) {
    return random_decoder(tiny_llama(2)->config(), dtype);
  };
  const std::function<Decoder(torch::Dtype)> gpt2 = tiny_gpt2;
  return {
      {"embedding, tied and scaled", gemma, on({"q_proj", "embed_tokens"})},
      {"embedding, untied", llama, on({"embed_tokens"})},
      {"tables of GPT-2", gpt2, on({"wte", "wpe", "c_attn"})},
      {"tied head", gemma, on({"lm_head"})},
      {"untied head", llama, on({"lm_head", "q_proj"})},
      {"both of a tied model", gpt2, on({"wte", "lm_head"})},
      {"DoRA on tables", llama, dora(on({"embed_tokens", "lm_head", "up_proj"}))},
      {"PiSSA with tables", gemma, pissa(on({"embed_tokens", "lm_head", "up_proj"}))},
      {"all biases", gpt2, with_bias(on({"c_attn"}), TrainedBias::kAll)},
      {"the targets' biases", gpt2, with_bias(on({"c_attn", "c_fc"}), TrainedBias::kTargets)},
      {"biases under DoRA", gpt2, with_bias(dora(on({"c_attn"})), TrainedBias::kTargets)},
      {"norms", gemma, with_copies(on({"q_proj"}), {"norm", "1.self_attn.q_norm"})},
      {"LayerNorms", gpt2, with_copies(on({"c_attn"}), {"ln_f", "0.ln_1"})},
      {"tied tables", gemma, with_copies(on({"q_proj"}), {"embed_tokens", "lm_head"})},
      {"untied head as a copy", llama, with_copies(on({"q_proj"}), {"lm_head"})},
      {"a part of a block", gpt2, with_copies(on({"c_attn"}), {"1.mlp", "wpe"})},
      {"biases and copies",
       gpt2,
       with_copies(with_bias(on({"c_attn"}), TrainedBias::kAll), {"1.mlp", "lm_head"})},
      {"AdaLoRA",
       gpt2,
       of_type("ADALORA", with_copies(with_bias(on({"c_attn"}), TrainedBias::kAll), {"wte"}))},
      {"VeRA",
       gpt2,
       of_type("VERA", with_copies(with_bias(on({"c_attn"}), TrainedBias::kTargets), {"lm_head"}))},
      {"IA3", llama, of_type("IA3", with_copies(on({"k_proj", "lm_head"}), {"model.norm"}))},
  };
}

class TrainedParametersTest : public testing_support::SeedingTest {};

using Weights = std::map<std::string, std::pair<torch::Tensor, torch::Tensor>>;

// Of every module, the head's too, and the very tensors.
Weights weights_of(const Decoder& model) {
  Weights all;
  for (const auto& [path, module] : model->adaptables()) {
    all[path] = {module->weight, module->weight.detach().clone()};
    if (module->bias.defined()) {
      all[path + " bias"] = {module->bias, module->bias.detach().clone()};
    }
  }
  return all;
}

void expect_untouched(const Decoder& model, const Weights& before) {
  for (const auto& [path, now] : weights_of(model)) {
    EXPECT_TRUE(now.first.is_same(before.at(path).first)) << path << " is another tensor";
    EXPECT_TRUE(torch::equal(now.second, before.at(path).second)) << path;
  }
}

TEST_F(TrainedParametersTest, StartsAsTheBaseAndLeavesNoTrace) {
  for (const auto& [name, make, config] : cases()) {
    SCOPED_TRACE(name);
    Decoder model = make(torch::kFloat32);
    const Weights base = weights_of(model);
    const torch::Tensor before = log_probabilities(model);
    auto adapter = attach_adapter(model, config, 7);
    const bool rounds = config.use_dora || config.init == LoraInit::kPissa;
    EXPECT_TRUE(
        rounds ? torch::allclose(log_probabilities(model), before, 1e-4, 1e-4)
               : torch::equal(log_probabilities(model), before));
    shake(*adapter);
    const torch::Tensor adapted = log_probabilities(model);
    EXPECT_GT((adapted - before).abs().max().item<double>(), 0.01) << "the adapter must matter";
    adapter->set_enabled(false);
    EXPECT_TRUE(torch::equal(log_probabilities(model), before));
    adapter->set_enabled(true);
    EXPECT_TRUE(torch::equal(log_probabilities(model), adapted));

    adapter->merge();
    EXPECT_TRUE(torch::allclose(log_probabilities(model), adapted, 1e-4, 1e-4));
    adapter->set_enabled(false);
    EXPECT_TRUE(torch::equal(log_probabilities(model), before));
    adapter->set_enabled(true);
    adapter->unmerge();
    expect_untouched(model, base);
    EXPECT_TRUE(torch::equal(log_probabilities(model), adapted));

    adapter->merge();
    adapter.reset();
    expect_untouched(model, base);
    EXPECT_TRUE(torch::equal(log_probabilities(model), before));
    for (const auto& [path, module] : model->adaptables()) {
      EXPECT_TRUE(module->attachments().empty()) << path;
    }
  }
}

TEST_F(TrainedParametersTest, AFactorScalesTheChange) {
  for (const auto& [name, make, config] : cases()) {
    if (config.use_dora || config.peft_type == "IA3") {
      continue; // not linear in its change where modules follow each other
    }
    SCOPED_TRACE(name);
    Decoder model = make(torch::kFloat32);
    const auto adapter = attach_adapter(model, config, 7);
    shake(*adapter);
    adapter->set_weight(0.5);
    const torch::Tensor half = log_probabilities(model);
    std::map<std::string, torch::Tensor> expected;
    adapter->set_enabled(false);
    for (const auto& [path, module] : model->adaptables()) {
      expected[path] = module->weight.detach().clone();
    }
    adapter->set_enabled(true);
    for (const std::string& module : adapter->modules()) {
      if (adapter->changes_weight(module)) {
        expected[module] += adapter->delta(module);
      } else {
        EXPECT_FALSE(adapter->delta(module).defined()) << module;
      }
    }
    adapter->merge();
    for (const auto& [path, module] : model->adaptables()) {
      EXPECT_TRUE(torch::allclose(module->weight, expected[path], 1e-6, 1e-7)) << path;
    }
    EXPECT_TRUE(torch::allclose(log_probabilities(model), half, 1e-4, 1e-4));
  }
}

// Central differences, in float64 but for the parameters themselves.
TEST_F(TrainedParametersTest, GradientsAreThoseOfFiniteDifferences) {
  for (const auto& [name, make, config] : cases()) {
    SCOPED_TRACE(name);
    Decoder model = make(torch::kFloat64);
    const auto adapter = attach_adapter(model, config, 7);
    shake(*adapter);
    const torch::Tensor mask = torch::randn({11, 50}, torch::kFloat64);
    const auto loss = [&] {
      return (torch::log_softmax(model->logits(model->hidden(tiny_batch())), -1) * mask).sum();
    };
    loss().backward();
    for (const auto& [parameter, tensor] : adapter->named_parameters()) {
      ASSERT_TRUE(tensor.grad().defined()) << parameter;
      const torch::Tensor gradient = tensor.grad().flatten();
      torch::Tensor values = tensor.detach().view(-1);
      // The entries of largest gradient, and some others.
      const torch::Tensor most =
          std::get<1>(gradient.abs().topk(std::min<std::int64_t>(2, gradient.numel())));
      const torch::Tensor places =
          torch::cat({most, torch::randint(gradient.numel(), {2}, torch::kInt64)});
      for (std::int64_t i = 0; i < places.numel(); ++i) {
        const auto place = places[i].item<std::int64_t>();
        const float value = values[place].item<float>();
        const torch::NoGradGuard no_grad;
        const auto at = [&](float moved) {
          values[place] = moved;
          return loss().item<double>();
        };
        const float above = value + 1e-3F;
        const float below = value - 1e-3F;
        const double slope =
            (at(above) - at(below)) / (static_cast<double>(above) - static_cast<double>(below));
        values[place] = value;
        // DoRA's norms have no gradient, by its paper's section 4.3.
        if (!config.use_dora || parameter.find("lora_") == std::string::npos ||
            parameter.find("magnitude") != std::string::npos) {
          EXPECT_NEAR(gradient[place].item<double>(), slope, 2e-4 * (1 + std::abs(slope)))
              << parameter << ' ' << place;
        }
      }
    }
    for (const torch::Tensor& parameter : model->parameters()) {
      EXPECT_FALSE(parameter.grad().defined());
    }
  }
}

TEST_F(TrainedParametersTest, FilesGiveThemBackToTheBit) {
  const testing_support::TemporaryDirectory directory;
  for (const auto& [name, make, config] : cases()) {
    SCOPED_TRACE(name);
    Decoder model = make(torch::kFloat32);
    auto adapter = attach_adapter(model, config, 7);
    shake(*adapter);
    save_adapter(*adapter, directory / "adapter");
    const torch::Tensor adapted = log_probabilities(model);
    const auto modules = adapter->modules();
    adapter.reset();
    const auto loaded = load_adapter(model, directory / "adapter");
    EXPECT_EQ(loaded->modules(), modules);
    EXPECT_EQ(loaded->config().trained_bias, config.trained_bias);
    EXPECT_EQ(loaded->config().modules_to_save, config.modules_to_save);
    EXPECT_TRUE(torch::allclose(log_probabilities(model), adapted, 1e-5, 1e-5));
  }
}

// A tied table and its head change apart, whatever the order.
TEST_F(TrainedParametersTest, TiedTablesAreMergedApart) {
  Decoder model = tiny_decoder(2);
  const std::string table = "model.embed_tokens";
  const torch::Tensor base = model->named_parameters()[table + ".weight"].detach().clone();
  const auto embedding = attach_adapter(model, on({"embed_tokens"}), 1);
  const auto head = attach_adapter(model, on({"lm_head"}), 2);
  shake(*embedding);
  shake(*head);
  const torch::Tensor both = log_probabilities(model);
  std::map<std::string, Adaptable> modules;
  for (const auto& [path, module] : model->adaptables()) {
    modules[path] = module;
  }
  embedding->merge();
  EXPECT_TRUE(torch::equal(modules["lm_head"]->weight, base));
  head->merge();
  EXPECT_TRUE(torch::equal(modules[table]->weight, base + embedding->delta(table)));
  EXPECT_TRUE(torch::equal(modules["lm_head"]->weight, base + head->delta("lm_head")));
  EXPECT_TRUE(torch::allclose(log_probabilities(model), both, 1e-4, 1e-4));
  embedding->unmerge();
  head->unmerge();
  EXPECT_TRUE(modules["lm_head"]->weight.is_same(modules[table]->weight));
}

} // namespace
} // namespace errata::peft
