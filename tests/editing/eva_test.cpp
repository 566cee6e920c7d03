#include "editing/eva.h"

#include "editing/editor.h"
#include "tests/editing/editor_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace errata::editing {
namespace {

using testing_support::expect_error;
using testing_support::largest_difference;

// Inputs of a module: rows whose directions vary by `spread`, about a mean far from zero.
torch::Tensor inputs_of(const std::vector<double>& spread) {
  const auto size = static_cast<std::int64_t>(spread.size());
  const torch::Tensor basis =
      std::get<0>(torch::linalg_qr(torch::randn({size, size}, torch::kFloat64)));
  const torch::Tensor rows =
      torch::randn({500, size}, torch::kFloat64) * torch::tensor(spread, torch::kFloat64);
  return rows.mm(basis) + 20 * torch::randn({size}, torch::kFloat64);
}

InputMoment moment_of(const torch::Tensor& inputs) {
  const auto count = static_cast<double>(inputs.size(0));
  return {inputs.t().mm(inputs) / count, inputs.mean(0)};
}

class EvaTest : public testing_support::SeedingTest {
 protected:
  void SetUp() override {
    SeedingTest::SetUp();
    inputs_ = {
        {"a", inputs_of({9, 1, 1, 1, 1, 1})},
        {"b", inputs_of({5, 4, 4, 3, 3, 1, 1, 1})},
        {"c", inputs_of({2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2})},
        {"d", inputs_of({5, 5, 5, 1})}};
    for (const auto& [module, inputs] : inputs_) {
      modules_.push_back(module);
      moments_.emplace(module, moment_of(inputs));
    }
  }

  // The definition, one direction after the other: the largest share of the variance of its
  // module's inputs (by their singular values about their mean) among what is left.
  std::map<std::string, std::int64_t> plain_ranks(std::int64_t rank, std::int64_t most) {
    std::map<std::string, std::vector<double>> shares;
    for (const auto& [module, inputs] : inputs_) {
      const torch::Tensor s =
          std::get<1>(torch::linalg_svd(inputs - inputs.mean(0), /*full_matrices=*/false));
      const torch::Tensor share = s.square() / s.square().sum();
      shares[module].assign(share.data_ptr<double>(), share.data_ptr<double>() + share.numel());
    }
    std::map<std::string, std::int64_t> ranks;
    for (const std::string& module : modules_) {
      ranks[module] = 0;
    }
    for (std::int64_t left = rank * static_cast<std::int64_t>(modules_.size()); left > 0; --left) {
      std::string best;
      for (const std::string& module : modules_) {
        const auto at = static_cast<std::size_t>(ranks[module]);
        const bool open = ranks[module] < most && at < shares[module].size();
        if (open && (best.empty() ||
                     shares[module][at] > shares[best][static_cast<std::size_t>(ranks[best])])) {
          best = module;
        }
      }
      ++ranks[best];
    }
    return ranks;
  }

  std::map<std::string, torch::Tensor> inputs_;
  std::vector<std::string> modules_;
  std::map<std::string, InputMoment> moments_;
};

TEST_F(EvaTest, RanksGoWhereDirectionsExplainMost) {
  for (const auto& [rank, rho, most] :
       {std::tuple(2, 2.0, 4),
        std::tuple(1, 3.0, 3),
        std::tuple(3, 1.5, 4),
        std::tuple(2, 1.0, 2)}) {
    const auto directions = eva_directions(modules_, moments_, rank, rho);
    const auto expected = plain_ranks(rank, most);
    std::int64_t sum = 0;
    for (const std::string& module : modules_) {
      const torch::Tensor& a = directions.at(module);
      EXPECT_EQ(a.size(0), expected.at(module)) << module << ' ' << rank << ' ' << rho;
      sum += a.size(0);
      if (a.size(0) == 0) {
        continue;
      }
      // Orthonormal, and those of the inputs' own singular vectors.
      EXPECT_EQ(a.scalar_type(), torch::kFloat32);
      EXPECT_LT(largest_difference(a.mm(a.t()), torch::eye(a.size(0))), 1e-5) << module;
      const torch::Tensor& x = inputs_.at(module);
      const torch::Tensor v = std::get<2>(torch::linalg_svd(x - x.mean(0), false));
      const torch::Tensor cosine = (a * v.slice(0, 0, a.size(0))).sum(1).abs();
      EXPECT_LT(largest_difference(cosine, torch::ones(a.size(0))), 1e-4) << module;
      EXPECT_TRUE(torch::equal(std::get<0>(a.max(1)), std::get<0>(a.abs().max(1)))) << module;
    }
    EXPECT_EQ(sum, rank * 4);
  }
  // One direction explains nearly all of a; c has no direction that stands out.
  const auto sharp = eva_directions(modules_, moments_, 1, 3.0);
  EXPECT_EQ(sharp.at("a").size(0), 1);
  EXPECT_EQ(sharp.at("c").size(0), 0);
}

TEST_F(EvaTest, ModulesWithOneInputShareItsDirectionsAndTheEarlierComesFirst) {
  moments_["b"] = moments_["a"]; // the same tensors
  const auto directions = eva_directions({"a", "b"}, moments_, 1, 2.0);
  EXPECT_EQ(directions.at("a").size(0), 1);
  EXPECT_TRUE(torch::equal(directions.at("a"), directions.at("b")));
  const auto odd = eva_directions({"a", "b", "d"}, moments_, 1, 2.0);
  EXPECT_GE(odd.at("a").size(0), odd.at("b").size(0));
}

TEST_F(EvaTest, ModulesWithoutMomentsTakeNoPart) {
  const auto all = eva_directions(modules_, moments_, 2, 2.0);
  const auto more = eva_directions({"a", "embedding", "b", "c", "d"}, moments_, 2, 2.0);
  ASSERT_EQ(more.size(), 4u);
  for (const auto& [module, rows] : all) {
    EXPECT_EQ(more.at(module).size(0), rows.size(0)) << module;
  }
}

TEST_F(EvaTest, InputsThatNeverVaryGetNothing) {
  moments_["a"] = {torch::ones({6, 6}, torch::kFloat64), torch::ones({6}, torch::kFloat64)};
  const auto directions = eva_directions(modules_, moments_, 2, 2.0);
  EXPECT_EQ(directions.at("a").size(0), 0);
}

TEST_F(EvaTest, ARankAboveTheInputsIsRefused) {
  expect_error(ErrorCode::kInvalidArgument, {"--rank 5", "d", "4 directions"}, [&] {
    eva_directions(modules_, moments_, 5, 1.0);
  });
  EXPECT_EQ(eva_directions({"d"}, moments_, 4, 2.0).at("d").size(0), 4); // all there are
}

TEST_F(EvaTest, RanksBecomePatternsWithTheirScale) {
  peft::AdapterConfig config;
  config.r = 4;
  config.lora_alpha = 6;
  config.layers_to_transform = {0, 1};
  const std::vector<std::string> modules = {"m.layers.0.q", "m.layers.1.q", "m.layers.11.q"};
  const auto all = with_ranks(config, modules, {{modules[0], 4}, {modules[1], 7}, {modules[2], 1}});
  EXPECT_THAT(
      all.rank_pattern,
      testing::ElementsAre(testing::Pair(modules[1], 7), testing::Pair(modules[2], 1)));
  EXPECT_THAT(
      all.alpha_pattern,
      testing::ElementsAre(testing::Pair(modules[1], 10.5), testing::Pair(modules[2], 1.5)));
  EXPECT_EQ(all.layers_to_transform, config.layers_to_transform);
  for (const std::string& module : modules) {
    EXPECT_DOUBLE_EQ(module_scale(all, module), 1.5) << module;
  }
  const auto fewer = with_ranks(config, modules, {{modules[0], 4}, {modules[1], 0}});
  EXPECT_THAT(fewer.target_modules, testing::ElementsAre(modules[0], modules[2]));
  EXPECT_TRUE(fewer.rank_pattern.empty());
  EXPECT_TRUE(fewer.layers_to_transform.empty());
}

class EvaEditorTest : public testing_support::SeedingTest {
 protected:
  EditorOptions options() const {
    EditorOptions options = fixture_.options("lora");
    options.init = "eva";
    options.null_space = 0;
    options.steps = 1;
    options.lr = 1e-9; // to see the start
    return options;
  }

  static std::map<std::string, std::vector<std::int64_t>> shapes(const peft::Adapter& adapter) {
    std::map<std::string, std::vector<std::int64_t>> all;
    for (const auto& [name, tensor] : adapter.named_parameters()) {
      all[name] = tensor.sizes().vec();
    }
    return all;
  }

  testing_support::EditingFixture fixture_;
};

TEST_F(EvaEditorTest, AnEditorSharesOutTheBudgetAndAStartBringsItsRanks) {
  const EditorOptions options = this->options();
  EditInput input = fixture_.input();
  std::map<std::string, std::vector<std::int64_t>> first;
  {
    const auto result = make_editor("lora")->edit(fixture_.model, input, options);
    const peft::AdapterConfig& config = result.adapter->config();
    EXPECT_FALSE(config.rank_pattern.empty());
    EXPECT_EQ(config.rank_pattern.size(), config.alpha_pattern.size());
    EXPECT_EQ(result.report.modules, result.adapter->modules());
    first = shapes(*result.adapter);
    for (const auto& [name, tensor] : result.adapter->named_parameters()) {
      input.start.emplace_back(name, tensor.detach().clone());
    }
  }
  std::int64_t largest = 0;
  std::int64_t sum = 0;
  for (const auto& [name, shape] : first) {
    if (name.ends_with("lora_A.weight")) {
      largest = std::max(largest, shape[0]);
      sum += shape[0];
    }
  }
  EXPECT_EQ(sum, 21 * options.rank);
  EXPECT_GT(largest, options.rank);
  EXPECT_LE(largest, 2 * options.rank);
  // A later batch goes on with the ranks of the first, whatever its own rehearsal would say.
  const auto second = make_editor("lora")->edit(fixture_.model, input, options);
  EXPECT_EQ(shapes(*second.adapter), first);
  EXPECT_FALSE(second.adapter->config().rank_pattern.empty());
}

TEST_F(EvaEditorTest, RhoOneIsTheSameRankEverywhere) {
  EditorOptions options = this->options();
  options.eva_rho = 1;
  const auto result = make_editor("lora")->edit(fixture_.model, fixture_.input(), options);
  EXPECT_TRUE(result.adapter->config().rank_pattern.empty());
  EXPECT_EQ(result.adapter->modules().size(), 21u);
}

TEST_F(EvaEditorTest, RhoIsAFactorOfAtLeastOne) {
  EditorOptions options = this->options();
  options.eva_rho = 0.5;
  expect_error(
      ErrorCode::kInvalidArgument, {"--eva-rho is 0.5", "from 1"}, [&] { validate(options); });
}

} // namespace
} // namespace errata::editing
