#include "peft/combine.h"

#include "tests/peft/shake.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"

#include <gtest/gtest.h>

#include <cmath>

namespace errata::peft {
namespace {

using testing_support::biased_decoder;
using testing_support::expect_error;
using testing_support::log_probabilities;
using testing_support::tiny_decoder;

class CombineTest : public testing_support::SeedingTest {
 protected:
  std::unique_ptr<Adapter> random_lora(std::vector<std::string> targets, std::int64_t rank) {
    AdapterConfig config;
    config.r = rank;
    config.lora_alpha = 5;
    config.target_modules = std::move(targets);
    auto adapter = attach_adapter(model_, config, 1);
    const torch::NoGradGuard no_grad;
    for (const auto& [name, tensor] : adapter->named_parameters()) {
      tensor.detach().normal_(0, 0.3);
    }
    adapter->set_enabled(false);
    return adapter;
  }
  torch::Tensor sum_of_changes(const std::string& module) const {
    return first_->delta(module) * 0.7 - second_->delta(module) * 0.4;
  }

  Decoder model_ = tiny_decoder(3);
  std::unique_ptr<Adapter> first_ = random_lora({"q_proj", "up_proj"}, 3);
  std::unique_ptr<Adapter> second_ = random_lora({"up_proj", "down_proj"}, 2);
  CombineOptions options_ = [] {
    CombineOptions options;
    options.weights = {0.7, -0.4};
    return options;
  }();
};

TEST_F(CombineTest, CatIsTheWeightedSum) {
  const auto combined = combine_adapters(model_, {first_.get(), second_.get()}, options_);
  EXPECT_EQ(combined->modules().size(), 9);
  const std::string both = "model.layers.1.mlp.up_proj";
  EXPECT_TRUE(torch::allclose(combined->delta(both), sum_of_changes(both), 1e-5, 1e-6));
  EXPECT_EQ(module_rank(combined->config(), both), 5);
  const std::string one = "model.layers.2.mlp.down_proj";
  EXPECT_TRUE(torch::allclose(combined->delta(one), second_->delta(one) * -0.4, 1e-5, 1e-6));
  const torch::Tensor together = log_probabilities(model_);
  combined->set_enabled(false);
  first_->set_enabled(true);
  second_->set_enabled(true);
  first_->set_weight(0.7);
  second_->set_weight(-0.4);
  EXPECT_TRUE(torch::allclose(log_probabilities(model_), together, 1e-4, 1e-4));
}

TEST_F(CombineTest, SvdIsTheBestOfItsRank) {
  options_.combination = "svd";
  options_.rank = 2;
  const auto combined = combine_adapters(model_, {first_.get(), second_.get()}, options_);
  const std::string both = "model.layers.1.mlp.up_proj";
  const torch::Tensor whole = sum_of_changes(both);
  const double dropped =
      torch::linalg_svdvals(whole).slice(0, 2).square().sum().sqrt().item<double>();
  EXPECT_NEAR((combined->delta(both) - whole).norm().item<double>(), dropped, 1e-4 * dropped);
  EXPECT_EQ(module_rank(combined->config(), both), 2);
}

TEST_F(CombineTest, DareKeepsTheMeanOverManyDraws) {
  torch::Generator generator = at::detail::createCPUGenerator(3);
  const torch::Tensor change = torch::randn({40, 30});
  torch::Tensor mean = torch::zeros_like(change);
  constexpr int kDraws = 400;
  for (int i = 0; i < kDraws; ++i) {
    const torch::Tensor drawn =
        merge_changes({change}, {1.0}, {MergeRule::kDare, 0.25, false}, generator);
    const torch::Tensor kept = drawn.ne(0);
    EXPECT_TRUE(torch::allclose(drawn, torch::where(kept, change * 4, 0.0)));
    mean += drawn / kDraws;
  }
  // Standard deviation of the mean of an entry: |x| sqrt(3 / draws).
  EXPECT_LT((mean - change).abs().max().item<double>(), 6 * 4 * std::sqrt(3.0 / kDraws));
  EXPECT_LT((mean - change).mean().abs().item<double>(), 0.02);
}

TEST_F(CombineTest, ComparesNormsAndAngles) {
  const auto differences = compare_adapters(model_, *first_, *second_);
  ASSERT_EQ(differences.size(), 10);
  double first = 0;
  double inner = 0;
  for (const ModuleDifference& one : differences) {
    if (one.module == "all") {
      EXPECT_NEAR(one.first, std::sqrt(first), 1e-5);
      EXPECT_NEAR(one.cosine, inner / (one.first * one.second), 1e-5);
      continue;
    }
    first += one.first * one.first;
    inner += one.cosine * one.first * one.second;
    const bool q = one.module.ends_with("q_proj");
    const bool down = one.module.ends_with("down_proj");
    if (q || down) {
      EXPECT_EQ(q ? one.second : one.first, 0) << one.module;
      EXPECT_EQ(one.cosine, 0);
    } else {
      const torch::Tensor a = first_->delta(one.module).flatten();
      const torch::Tensor b = second_->delta(one.module).flatten();
      EXPECT_NEAR(one.cosine, torch::cosine_similarity(a, b, 0).item<double>(), 1e-5);
      EXPECT_NEAR(one.difference, (a - b).norm().item<double>(), 1e-4);
    }
  }
  const auto same = compare_adapters(model_, *first_, *first_);
  EXPECT_NEAR(same.back().cosine, 1, 1e-6);
  EXPECT_NEAR(same.back().difference, 0, 1e-3);
}

// A LoRA has no place for a bias, and one that was dropped would change what the model says.
TEST_F(CombineTest, AChangeOfBiasesIsRefused) {
  Decoder biased = biased_decoder();
  AdapterConfig gains;
  gains.peft_type = "IA3";
  gains.target_modules = {"k_proj", "down_proj"};
  const auto both = attach_adapter(biased, gains, 1);
  shake(*both);
  for (const char* name : {"svd", "ties_svd", "dare_linear_svd", "magnitude_prune_svd"}) {
    CombineOptions options;
    options.combination = name;
    options.rank = 3;
    expect_error(ErrorCode::kUnsupported, {"IA3 with changed biases", "use --to merged"}, [&] {
      combine_adapters(biased, {both.get()}, options);
    });
  }
  // The gain of an input leaves the bias alone, and a model without biases has none to change.
  CombineOptions svd;
  svd.combination = "svd";
  svd.rank = 24;
  both->set_enabled(false);
  gains.target_modules = {"down_proj"};
  const auto inputs = attach_adapter(biased, gains, 1);
  shake(*inputs);
  const std::string down = "model.layers.1.mlp.down_proj";
  const torch::Tensor change = inputs->delta(down);
  inputs->set_enabled(false);
  const auto combined = combine_adapters(biased, {inputs.get()}, svd);
  EXPECT_TRUE(torch::allclose(combined->delta(down), change, 1e-4, 1e-5));
  gains.target_modules = {"k_proj"};
  const auto plain = attach_adapter(model_, gains, 1);
  shake(*plain);
  plain->set_enabled(false);
  EXPECT_NO_THROW(combine_adapters(model_, {plain.get()}, svd));
}

TEST_F(CombineTest, WhatCannotBeIsNamed) {
  const std::vector<const Adapter*> both = {first_.get(), second_.get()};
  const auto refuse = [&](ErrorCode code, std::vector<std::string> parts) {
    expect_error(code, parts, [&] { combine_adapters(model_, both, options_); });
  };
  options_.combination = "linear";
  refuse(ErrorCode::kInvalidArgument, {"ranks 3 and 2", "up_proj", "svd"});
  options_.combination = "sum";
  refuse(ErrorCode::kInvalidArgument, {"'sum'", "cat"});
  options_.combination = "cat";
  options_.weights = {1};
  refuse(ErrorCode::kInvalidArgument, {"1 weights for 2 adapters"});
  options_.weights.clear();
  options_.density = 0;
  refuse(ErrorCode::kInvalidArgument, {"density"});
  AdapterConfig prompt;
  prompt.peft_type = "PROMPT_TUNING";
  const auto soft = attach_adapter(model_, prompt, 1);
  expect_error(ErrorCode::kUnsupported, {"prompt tuning", "combined"}, [&] {
    combine_adapters(model_, {soft.get()}, CombineOptions{});
  });
  const auto delta =
      attach_delta(model_, {{"model.layers.0.self_attn.v_proj", torch::ones({16, 24})}});
  expect_error(ErrorCode::kUnsupported, {"DELTA", "svd"}, [&] {
    combine_adapters(model_, {delta.get()}, CombineOptions{});
  });
  CombineOptions svd;
  svd.combination = "svd";
  expect_error(ErrorCode::kInvalidArgument, {"--rank"}, [&] {
    combine_adapters(model_, {delta.get()}, svd);
  });
}

} // namespace
} // namespace errata::peft
