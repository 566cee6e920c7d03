#include "core/gated_activation.h"

#include "tests/support/grad_check.h"
#include "tests/support/seeding_test.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::expect_gradients;
using testing_support::random_leaf;
using GatedActivationTest = testing_support::SeedingTest;

TEST_F(GatedActivationTest, HandComputedValues) {
  const torch::Tensor gate = torch::tensor({1.0, -2.0}, torch::kFloat64);
  const torch::Tensor up = torch::tensor({2.0, 3.0}, torch::kFloat64);
  const torch::Tensor silu = gated_activation(gate, up, Activation::kSilu);
  EXPECT_NEAR(silu[0].item<double>(), 2.0 / (1.0 + std::exp(-1.0)), 1e-12);
  EXPECT_NEAR(silu[1].item<double>(), -6.0 / (1.0 + std::exp(2.0)), 1e-12);
  const torch::Tensor gelu = gated_activation(gate, up, Activation::kGeluTanh);
  const double inner = std::sqrt(2.0 / std::acos(-1.0)) * (1.0 + 0.044715);
  EXPECT_NEAR(gelu[0].item<double>(), 2.0 * 0.5 * (1.0 + std::tanh(inner)), 1e-12);
}

TEST_F(GatedActivationTest, GradientsMatchDifferences) {
  for (const Activation activation : {Activation::kGeluTanh, Activation::kSilu}) {
    const torch::Tensor gate = random_leaf({5, 7});
    const torch::Tensor up = random_leaf({5, 7});
    expect_gradients([&] { return gated_activation(gate, up, activation); }, {gate, up});
    const torch::Tensor fixed_gate = gate.detach();
    const torch::Tensor fixed_up = up.detach();
    expect_gradients([&] { return gated_activation(gate, fixed_up, activation); }, {gate});
    expect_gradients([&] { return gated_activation(fixed_gate, up, activation); }, {up});
  }
}

TEST_F(GatedActivationTest, FrozenInputsBuildNoGraph) {
  const torch::Tensor x = torch::randn({3, 4});
  EXPECT_FALSE(gated_activation(x, x, Activation::kSilu).requires_grad());
}

} // namespace
} // namespace errata
