#include "core/rms_norm.h"

#include "tests/support/grad_check.h"
#include "tests/support/seeding_test.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::expect_gradients;
using testing_support::random_leaf;
using RmsNormTest = testing_support::SeedingTest;

TEST_F(RmsNormTest, HandComputedValue) {
  const torch::Tensor x = torch::tensor({3.0, 4.0}, torch::kFloat64);
  const torch::Tensor weight = torch::tensor({1.0, 0.5}, torch::kFloat64);
  // rms = sqrt((9 + 16) / 2 + 1.5) = sqrt(14)
  const double rms = std::sqrt(14.0);
  const torch::Tensor plain = rms_norm(x, weight, 1.5, false);
  EXPECT_NEAR(plain[0].item<double>(), 3.0 / rms, 1e-12);
  EXPECT_NEAR(plain[1].item<double>(), 2.0 / rms, 1e-12);
  const torch::Tensor gemma = rms_norm(x, weight, 1.5, true);
  EXPECT_NEAR(gemma[0].item<double>(), 6.0 / rms, 1e-12);
  EXPECT_NEAR(gemma[1].item<double>(), 6.0 / rms, 1e-12);
}

TEST_F(RmsNormTest, GradientsMatchDifferences) {
  for (const bool adds_one : {false, true}) {
    const torch::Tensor x = random_leaf({2, 3, 5});
    const torch::Tensor weight = random_leaf({5});
    expect_gradients([&] { return rms_norm(x, weight, 1e-3, adds_one); }, {x, weight});
  }
}

TEST_F(RmsNormTest, GradientsOfOneInputAlone) {
  const torch::Tensor x = random_leaf({4, 5});
  const torch::Tensor weight = random_leaf({5});
  const torch::Tensor fixed_x = x.detach();
  const torch::Tensor fixed_weight = weight.detach();
  expect_gradients([&] { return rms_norm(x, fixed_weight, 1e-6, true); }, {x});
  expect_gradients([&] { return rms_norm(fixed_x, weight, 1e-6, true); }, {weight});
}

// The statistics are those of float32: bfloat16 sums of 4096 squares would be off by percents.
TEST_F(RmsNormTest, BfloatStatisticsAreWide) {
  const torch::Tensor x = torch::randn({3, 4096}, torch::kFloat64).to(torch::kBFloat16);
  const torch::Tensor weight = torch::zeros({4096}, torch::kBFloat16);
  const torch::Tensor exact =
      rms_norm(x.to(torch::kFloat64), weight.to(torch::kFloat64), 1e-6, true);
  const torch::Tensor found = rms_norm(x, weight, 1e-6, true);
  EXPECT_EQ(found.scalar_type(), torch::kBFloat16);
  EXPECT_TRUE(
      torch::equal(found, exact.to(torch::kBFloat16)) ||
      ((found.to(torch::kFloat64) - exact).abs() / exact.abs().clamp_min(1e-3))
              .max()
              .item<double>() < 0.0045);
}

TEST_F(RmsNormTest, BfloatGradientsFollowFloat) {
  const torch::Tensor x = torch::randn({7, 16}).to(torch::kBFloat16).requires_grad_();
  const torch::Tensor weight = (torch::randn({16}) * 0.1).requires_grad_();
  const torch::Tensor grad = torch::randn({7, 16});
  const torch::Tensor wide = x.detach().to(torch::kFloat32).requires_grad_();
  const torch::Tensor wide_weight = weight.detach().clone().requires_grad_();
  rms_norm(x, weight, 1e-6, true).backward(grad.to(torch::kBFloat16));
  rms_norm(wide, wide_weight, 1e-6, true).backward(grad);
  EXPECT_EQ(weight.grad().scalar_type(), torch::kFloat32);
  EXPECT_LT((x.grad() - wide.grad()).abs().max().item<double>(), 0.05);
  EXPECT_LT((weight.grad() - wide_weight.grad()).abs().max().item<double>(), 0.05);
}

} // namespace
} // namespace errata
