#include "core/rope.h"

#include "tests/support/grad_check.h"
#include "tests/support/seeding_test.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::expect_gradients;
using testing_support::random_leaf;
using RopeTest = testing_support::SeedingTest;

TEST_F(RopeTest, RotatesHalvesByHand) {
  RopeTable table({100.0, 2.0}, 4);
  const torch::Tensor positions = torch::tensor({std::int64_t{0}, std::int64_t{3}});
  const torch::Tensor x =
      torch::tensor({1.0, 2.0, 3.0, 4.0}, torch::kFloat64).repeat({2, 1}).view({2, 1, 4});
  const torch::Tensor y = rotate(x, table.angles(positions, 4, torch::kFloat64));
  EXPECT_TRUE(torch::equal(y[0], x[0]));
  const double slow = 3.0 / 2.0 / std::sqrt(100.0); // theta_1 = 100^(-2/4), over the factor
  EXPECT_NEAR(y[1][0][0].item<double>(), std::cos(1.5) - 3 * std::sin(1.5), 1e-12);
  EXPECT_NEAR(y[1][0][2].item<double>(), 3 * std::cos(1.5) + std::sin(1.5), 1e-12);
  EXPECT_NEAR(y[1][0][1].item<double>(), 2 * std::cos(slow) - 4 * std::sin(slow), 1e-12);
  EXPECT_NEAR(y[1][0][3].item<double>(), 4 * std::cos(slow) + 2 * std::sin(slow), 1e-12);
}

TEST_F(RopeTest, GradientsMatchDifferences) {
  RopeTable table({}, 6);
  const torch::Tensor positions = torch::arange(4, torch::kInt64) * 5;
  const RopeAngles angles = table.angles(positions, 16, torch::kFloat64);
  const torch::Tensor x = random_leaf({4, 2, 6});
  expect_gradients([&] { return rotate(x, angles); }, {x});
}

TEST_F(RopeTest, GrowsWithThePositions) {
  RopeTable table({}, 8);
  const torch::Tensor early = torch::tensor({std::int64_t{5}});
  const torch::Tensor before = table.angles(early, 6, torch::kFloat32).cos;
  const torch::Tensor late = torch::tensor({std::int64_t{70000}});
  const RopeAngles far = table.angles(late, 70001, torch::kFloat32);
  EXPECT_NEAR(far.cos[0][0].item<double>(), std::cos(70000.0), 1e-5);
  EXPECT_TRUE(torch::equal(table.angles(early, 6, torch::kFloat32).cos, before));
}

} // namespace
} // namespace errata
