// AdaLoRA's pruning against the formulas of the paper, written out tensor by tensor.

#include "peft/adalora.h"

#include "core/base/error.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace errata::peft {
namespace {

using testing_support::expect_error;
using testing_support::log_probabilities;
using testing_support::tiny_decoder;

AdapterConfig adalora_config() {
  AdapterConfig config;
  config.peft_type = "ADALORA";
  config.target_modules = {"q_proj", "down_proj"};
  config.adalora.init_r = 6;
  config.adalora.target_r = 2;
  config.adalora.tinit = 2;
  config.adalora.tfinal = 3;
  config.adalora.delta_t = 2;
  config.adalora.total_step = 12;
  return config;
}

class AdaLoraTest : public testing_support::SeedingTest {
 protected:
  void SetUp() override {
    SeedingTest::SetUp();
    adapter_ = attach_adapter(model_, adalora_config(), 1);
    const torch::NoGradGuard no_grad;
    for (const auto& [name, tensor] : adapter_->named_parameters()) {
      tensor.detach().normal_(0, 0.3);
    }
  }

  Decoder model_ = tiny_decoder(3);
  std::unique_ptr<Adapter> adapter_;
};

TEST_F(AdaLoraTest, BudgetFollowsTheCubicSchedule) {
  FlatParameters parameters({adapter_->named_parameters()});
  const RankAllocator allocator(parameters, adalora_config().adalora);
  const std::int64_t begin = 6 * 6;
  const std::int64_t end = 6 * 2;
  EXPECT_EQ(allocator.budget(0), begin);
  EXPECT_EQ(allocator.budget(2), begin);
  const double left = 1 - 3.0 / 7.0;
  EXPECT_EQ(
      allocator.budget(5), static_cast<std::int64_t>((begin - end) * left * left * left + end));
  EXPECT_EQ(allocator.budget(9), end);
  EXPECT_EQ(allocator.budget(12), end);
}

// Sensitivity and uncertainty of every parameter (equations 8 to 10).
struct Smoothed {
  std::map<std::string, torch::Tensor> mean;
  std::map<std::string, torch::Tensor> spread;

  void add(const std::string& name, const torch::Tensor& sensitivity) {
    if (!mean.contains(name)) {
      mean[name] = torch::zeros_like(sensitivity);
      spread[name] = torch::zeros_like(sensitivity);
    }
    mean[name] = 0.85 * mean[name] + 0.15 * sensitivity;
    spread[name] = 0.85 * spread[name] + 0.15 * (sensitivity - mean[name]).abs();
  }
  torch::Tensor score(const std::string& name) const { return mean.at(name) * spread.at(name); }
};

struct Triplet {
  double score = 0;
  std::string entry; ///< its E
  std::int64_t row = 0;
};

// All triplets in one order, the least important first.
std::vector<Triplet> ranked(const Smoothed& smoothed, const std::vector<std::string>& modules) {
  std::vector<Triplet> all;
  for (const std::string& module : modules) {
    const torch::Tensor sum = smoothed.score(module + ".lora_E").flatten() +
                              smoothed.score(module + ".lora_A").mean(1) +
                              smoothed.score(module + ".lora_B").mean(0);
    for (std::int64_t i = 0; i < sum.size(0); ++i) {
      all.push_back({sum[i].item<double>(), module + ".lora_E", i});
    }
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.score < b.score; });
  return all;
}

TEST_F(AdaLoraTest, TheLeastImportantTripletsGo) {
  const torch::NoGradGuard no_grad;
  FlatParameters parameters({adapter_->named_parameters()});
  RankAllocator allocator(parameters, adalora_config().adalora);
  allocator.begin(12);
  Smoothed smoothed;
  for (std::int64_t step = 1; step <= 12; ++step) {
    parameters.gradients().normal_(0, 1);
    std::map<std::string, torch::Tensor> before;
    std::map<std::string, torch::Tensor> values;
    for (const auto& entry : parameters.entries()) {
      values[entry.name] = entry.parameter.detach();
      before[entry.name] = entry.parameter.detach().clone();
      if (step <= 9) {
        const torch::Tensor gradient = FlatParameters::part(parameters.gradients(), entry);
        smoothed.add(entry.name, (before[entry.name] * gradient).abs());
      }
    }
    allocator.after_update(parameters, 1.0);
    if (step != 9 && (step <= 2 || step > 9 || step % 2 != 0)) {
      continue;
    }
    const auto dropped = static_cast<std::size_t>(36 - allocator.budget(step));
    const std::vector<Triplet> order = ranked(smoothed, adapter_->modules());
    for (std::size_t i = 0; i < order.size(); ++i) {
      const auto& [score, entry, row] = order[i];
      const double expected = i < dropped ? 0.0 : before[entry][row][0].item<double>();
      EXPECT_EQ(values[entry][row][0].item<double>(), expected)
          << "step " << step << ", " << entry << " " << row;
    }
  }
}

TEST_F(AdaLoraTest, OrthogonalityTermIsTheGradientOfItsFormula) {
  FlatParameters parameters({adapter_->named_parameters()});
  RankAllocator allocator(parameters, adalora_config().adalora);
  {
    const torch::NoGradGuard no_grad;
    parameters.gradients().zero_();
    allocator.gradients_ready(parameters);
  }
  torch::Tensor sum = torch::zeros({});
  std::vector<torch::Tensor> leaves;
  for (const auto& entry : parameters.entries()) {
    leaves.push_back(entry.parameter.detach().clone().requires_grad_(true));
    const torch::Tensor matrix = entry.name.ends_with("lora_B") ? leaves.back().t() : leaves.back();
    if (!entry.name.ends_with("lora_E")) {
      sum = sum + (matrix.mm(matrix.t()) - torch::eye(matrix.size(0))).norm();
    }
  }
  (sum * (0.5 / 12)).backward(); // twelve matrices, weight 0.5
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const auto& entry = parameters.entries()[i];
    const torch::Tensor found = FlatParameters::part(parameters.gradients(), entry);
    const torch::Tensor expected =
        leaves[i].grad().defined() ? leaves[i].grad() : torch::zeros_like(leaves[i]);
    EXPECT_TRUE(torch::allclose(found, expected, 1e-4, 1e-7)) << entry.name;
  }
}

TEST_F(AdaLoraTest, PrunedItComputesTheSame) {
  {
    const torch::NoGradGuard no_grad;
    for (const auto& [name, tensor] : adapter_->named_parameters()) {
      if (name.ends_with("1.self_attn.q_proj.lora_E")) {
        tensor.detach().zero_(); // a module with nothing left
      } else if (name.ends_with("lora_E")) {
        tensor.detach().slice(0, 1, 4).zero_();
      }
    }
  }
  const torch::Tensor before = log_probabilities(model_);
  const auto pruned = drop_pruned(model_, std::move(adapter_), adalora_config().adalora);
  EXPECT_LE((log_probabilities(model_) - before).abs().max().item<double>(), 1e-5);
  std::int64_t rows = 0;
  for (const auto& [name, tensor] : pruned->named_parameters()) {
    rows += name.ends_with("lora_A") ? tensor.size(0) : 0;
  }
  EXPECT_EQ(rows, 5 * 3);
}

TEST_F(AdaLoraTest, AScheduleThatDoesNotFitIsNamed) {
  FlatParameters parameters({adapter_->named_parameters()});
  AdaLoraConfig config = adalora_config().adalora;
  config.tfinal = 10;
  RankAllocator allocator(parameters, config);
  expect_error(
      ErrorCode::kInvalidArgument, {"total_step", "tinit + tfinal"}, [&] { allocator.begin(5); });
  RankAllocator by_run(parameters, AdaLoraConfig{});
  by_run.begin(90);
  EXPECT_EQ(by_run.config().total_step, 90);
  EXPECT_EQ(by_run.config().tinit, 9);
  EXPECT_EQ(by_run.config().tfinal, 30);
}

} // namespace
} // namespace errata::peft
