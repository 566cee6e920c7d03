#include "peft/lora_function.h"

#include "tests/support/grad_check.h"
#include "tests/support/seeding_test.h"

namespace errata::peft {
namespace {

class LoraFunctionTest : public testing_support::SeedingTest {};

torch::Tensor reference(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const torch::Tensor& a,
    const torch::Tensor& b,
    double scale) {
  return y + scale * torch::matmul(torch::matmul(x, a.t()), b.t());
}

TEST_F(LoraFunctionTest, GradientsMatchFiniteDifferences) {
  const torch::Tensor x = testing_support::random_leaf({2, 3, 5});
  const torch::Tensor y = testing_support::random_leaf({2, 3, 4});
  for (const std::int64_t rank : {2, 16}) { // narrow products are transposed ones
    SCOPED_TRACE(rank);
    const torch::Tensor a = testing_support::random_leaf({rank, 5});
    const torch::Tensor b = testing_support::random_leaf({4, rank});
    // A copy of y, which is changed in place when gradients are off.
    const auto function = [&] { return lora_forward(x, y.clone(), a, b, 0.7, 0.0); };
    testing_support::expect_gradients(function, {x, y, a, b});
  }
}

TEST_F(LoraFunctionTest, GivesOnlyTheGradientsAskedFor) {
  const torch::Tensor x = torch::randn({3, 5}).requires_grad_(true);
  const torch::Tensor y = torch::randn({3, 4});
  const torch::Tensor a = torch::randn({2, 5});
  const torch::Tensor b = torch::randn({4, 2}).requires_grad_(true);
  lora_forward(x, y, a, b, 1.0, 0.0).sum().backward();
  EXPECT_TRUE(torch::allclose(x.grad(), torch::ones({3, 4}).mm(b).mm(a).detach(), 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(b.grad(), torch::ones({4, 3}).mm(x).mm(a.t()).detach(), 1e-5, 1e-6));
  EXPECT_FALSE(a.grad().defined());
  EXPECT_FALSE(y.grad().defined());
}

TEST_F(LoraFunctionTest, WritesInPlaceOnlyWithoutGradients) {
  const torch::Tensor x = torch::randn({3, 5});
  const torch::Tensor a = torch::randn({2, 5}).requires_grad_(true);
  const torch::Tensor b = torch::randn({4, 2}).requires_grad_(true);
  const torch::Tensor y = torch::randn({3, 4});
  const torch::Tensor expected = reference(x, y, a, b, 0.5).detach();
  const torch::Tensor kept = y.clone();
  const torch::Tensor with_graph = lora_forward(x, y, a, b, 0.5, 0.0);
  EXPECT_TRUE(torch::equal(y, kept));
  EXPECT_TRUE(torch::allclose(with_graph, expected, 1e-5, 1e-6));
  const torch::NoGradGuard no_grad;
  const torch::Tensor in_place = lora_forward(x, y, a, b, 0.5, 0.0);
  EXPECT_EQ(in_place.data_ptr(), y.data_ptr());
  EXPECT_TRUE(torch::allclose(in_place, expected, 1e-5, 1e-6));
}

TEST_F(LoraFunctionTest, ComputesInTheDtypeOfTheInput) {
  const torch::Tensor x = torch::randn({6, 8}).to(torch::kBFloat16);
  const torch::Tensor y = torch::randn({6, 7}).to(torch::kBFloat16);
  const torch::Tensor a = torch::randn({3, 8}).requires_grad_(true);
  const torch::Tensor b = torch::randn({7, 3}).requires_grad_(true);
  const torch::Tensor result = lora_forward(x, y, a, b, 0.25, 0.0);
  EXPECT_EQ(result.scalar_type(), torch::kBFloat16);
  const torch::Tensor expected =
      reference(x.to(torch::kFloat32), y.to(torch::kFloat32), a, b, 0.25);
  EXPECT_TRUE(torch::allclose(result.to(torch::kFloat32), expected, 0.05, 0.05));
  result.sum().backward();
  EXPECT_EQ(a.grad().scalar_type(), torch::kFloat32);
  EXPECT_EQ(b.grad().scalar_type(), torch::kFloat32);
}

TEST_F(LoraFunctionTest, DropoutActsOnTheBranchInTrainingOnly) {
  const std::int64_t n = 4000;
  const torch::Tensor x = torch::ones({n, 1}).requires_grad_(true);
  const torch::Tensor y = torch::zeros({n, 1});
  const torch::Tensor a = torch::ones({1, 1}).requires_grad_(true);
  const torch::Tensor b = torch::ones({1, 1}).requires_grad_(true);
  const torch::Tensor result = lora_forward(x, y, a, b, 1.0, 0.25);
  const torch::Tensor kept = result.detach() > 0;
  // What is kept is scaled by 1/(1-p); four standard deviations around the share that is kept.
  EXPECT_TRUE(torch::allclose(result.detach().masked_select(kept), torch::full({1}, 1 / 0.75)));
  EXPECT_NEAR(kept.to(torch::kFloat32).mean().item<double>(), 0.75, 4 * 0.433 / std::sqrt(n));
  result.sum().backward();
  EXPECT_TRUE(torch::allclose(x.grad(), result.detach())) << "the mask of the forward pass";
  EXPECT_TRUE(torch::allclose(a.grad(), result.detach().sum(), 1e-3));
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(lora_forward(x, y.clone(), a, b, 1.0, 0.25), torch::ones({n, 1})));
}

} // namespace
} // namespace errata::peft
