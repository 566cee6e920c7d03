#include "core/linear_scan.h"

#include "tests/support/grad_check.h"
#include "tests/support/seeding_test.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::expect_gradients;
using testing_support::random_leaf;
using LinearScanTest = testing_support::SeedingTest;

torch::Tensor by_definition(
    const torch::Tensor& a, const torch::Tensor& b, const torch::Tensor& start) {
  std::vector<torch::Tensor> states;
  torch::Tensor h = start;
  for (std::int64_t t = 0; t < b.size(1); ++t) {
    h = a.select(1, t) * h + b.select(1, t);
    states.push_back(h);
  }
  return torch::stack(states, 1);
}

TEST_F(LinearScanTest, FollowsTheDefinitionInBothForms) {
  for (const std::int64_t steps : {1, 2, 7, 64, 101}) {
    const auto options = torch::TensorOptions().dtype(torch::kFloat64);
    const torch::Tensor a = torch::rand({3, steps, 5}, options);
    const torch::Tensor b = torch::randn({3, steps, 5}, options);
    const torch::Tensor start = torch::randn({3, 5}, options);
    const torch::Tensor expected = by_definition(a, b, start);
    EXPECT_TRUE(torch::allclose(linear_scan(a, b, start), expected, 1e-12, 1e-12)) << steps;
    EXPECT_TRUE(torch::allclose(scan_by_doubling(a, b, start), expected, 1e-10, 1e-10)) << steps;
    const torch::Tensor narrow =
        linear_scan(a.to(torch::kFloat32), b.to(torch::kFloat32), start.to(torch::kFloat32));
    EXPECT_TRUE(torch::allclose(narrow.to(torch::kFloat64), expected, 1e-5, 1e-5)) << steps;
  }
}

TEST_F(LinearScanTest, GradientsMatchDifferences) {
  const torch::Tensor a = random_leaf({2, 5, 3});
  const torch::Tensor b = random_leaf({2, 5, 3});
  const torch::Tensor start = torch::randn({2, 3}, torch::kFloat64);
  expect_gradients([&] { return linear_scan(a, b, start); }, {a, b});
  const torch::Tensor fixed = a.detach();
  expect_gradients([&] { return linear_scan(fixed, b, start); }, {b});
}

} // namespace
} // namespace errata
