#include "core/product.h"

#include "tests/support/seeding_test.h"
#include "tests/support/tiny_decoder.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

using ProductTest = testing_support::SeedingTest;
using testing_support::largest_difference;

// Result and gradients against LibTorch's linear layer in float64, whoever multiplies here.
void expect_linear(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias) {
  const auto run = [&](torch::Dtype dtype, const auto& multiply) {
    std::vector<torch::Tensor> inputs;
    for (const torch::Tensor& input : {x, weight, bias}) {
      if (input.defined()) {
        inputs.push_back(input.to(dtype).detach().requires_grad_());
      }
    }
    const torch::Tensor y =
        multiply(inputs[0], inputs[1], inputs.size() == 3 ? inputs[2] : torch::Tensor());
    auto results = torch::autograd::grad({(y * y).sum()}, inputs);
    results.push_back(y.detach());
    return results;
  };
  const auto expected = run(torch::kFloat64, [](const auto& a, const auto& w, const auto& b) {
    return torch::linear(a, w, b);
  });
  const auto found = run(torch::kFloat32, product);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].sizes(), expected[i].sizes());
    const double size = expected[i].abs().max().item<double>();
    EXPECT_LT(largest_difference(found[i].to(torch::kFloat64), expected[i]), 1e-5 * size) << i;
  }
}

TEST_F(ProductTest, IsLibTorchsLinear) {
  for (const std::int64_t rows : {1, 15, 16, 100}) {
    const torch::Tensor x = torch::randn({rows, 24});
    expect_linear(x, torch::randn({40, 24}), {});
    expect_linear(x, torch::randn({40, 24}), torch::randn({40}));
    expect_linear(x, torch::randn({24, 7}).t(), torch::randn({7})); // as GPT-2's files have it
  }
  expect_linear(torch::randn({3, 20, 24}), torch::randn({8, 24}), torch::randn({8}));
}

TEST_F(ProductTest, OneInputThatNeedsAGradient) {
  const torch::Tensor x = torch::randn({32, 6});
  const torch::Tensor w = torch::randn({5, 6});
  const torch::Tensor ones = torch::ones({32, 5});
  const torch::Tensor of_x = x.detach().requires_grad_();
  EXPECT_LT(
      largest_difference(
          torch::autograd::grad({product(of_x, w, {})}, {of_x}, {ones})[0], ones.mm(w)),
      1e-5);
  const torch::Tensor of_w = w.detach().requires_grad_();
  EXPECT_LT(
      largest_difference(
          torch::autograd::grad({product(x, of_w, {})}, {of_w}, {ones})[0], ones.t().mm(x)),
      1e-4);
  EXPECT_FALSE(product(x, w, {}).requires_grad());
}

} // namespace
} // namespace errata
