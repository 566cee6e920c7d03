#include "core/rope.h"

#include "tests/support/grad_check.h"
#include "tests/support/seeding_test.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

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
  const torch::Tensor y = rotate(x, table.angles(positions, {}, 4, torch::kFloat64));
  EXPECT_TRUE(torch::equal(y[0], x[0]));
  const double slow = 3.0 / 2.0 / std::sqrt(100.0); // theta_1 = 100^(-2/4), over the factor
  EXPECT_NEAR(y[1][0][0].item<double>(), std::cos(1.5) - 3 * std::sin(1.5), 1e-12);
  EXPECT_NEAR(y[1][0][2].item<double>(), 3 * std::cos(1.5) + std::sin(1.5), 1e-12);
  EXPECT_NEAR(y[1][0][1].item<double>(), 2 * std::cos(slow) - 4 * std::sin(slow), 1e-12);
  EXPECT_NEAR(y[1][0][3].item<double>(), 4 * std::cos(slow) + 2 * std::sin(slow), 1e-12);
}

std::vector<double> ratios(const RopeConfig& scaled, std::int64_t head_dim) {
  const torch::Tensor ratio = rope_frequencies(scaled, head_dim, torch::kFloat64) /
                              rope_frequencies({scaled.base}, head_dim, torch::kFloat64);
  return {ratio.data_ptr<double>(), ratio.data_ptr<double>() + ratio.numel()};
}

// Llama 3.1's own numbers: pair j of 64 has wavelength 2 pi 500000^(j/64); those below 2048 stay,
// those above 8192 are divided by 8, and 5000 lies in between.
TEST_F(RopeTest, Llama3DividesLongWavelengths) {
  RopeConfig rope{500'000.0, 8.0};
  rope.llama3 = Llama3Rope{};
  const std::vector<double> ratio = ratios(rope, 128);
  EXPECT_DOUBLE_EQ(ratio[0], 1.0);
  EXPECT_DOUBLE_EQ(ratio[28], 1.0);     // 1955 positions
  EXPECT_DOUBLE_EQ(ratio[35], 1.0 / 8); // 8216
  const double wavelength = 2 * M_PI * std::pow(500'000.0, 32.0 / 64);
  const double kept = (8192 / wavelength - 1) / 3;
  EXPECT_NEAR(ratio[32], (1 - kept) / 8 + kept, 1e-12);
  EXPECT_DOUBLE_EQ(ratio[63], 1.0 / 8);
}

TEST_F(RopeTest, YarnDividesSlowPairsAndScalesBothParts) {
  RopeConfig rope{10'000.0, 4.0};
  rope.yarn = YarnRope{32, 1, false, 4096, 1.25};
  const std::vector<double> ratio = ratios(rope, 128);
  EXPECT_DOUBLE_EQ(ratio[0], 1.0);
  EXPECT_DOUBLE_EQ(ratio[63], 0.25);
  // In the middle of the ramp between the pairs of 32 turns and of one.
  const auto pair_of = [](double turns) {
    return 64 * std::log(4096 / (turns * 2 * M_PI)) / std::log(10'000.0);
  };
  const double share = (30 - pair_of(32)) / (pair_of(1) - pair_of(32));
  EXPECT_NEAR(ratio[30], share / 4 + 1 - share, 1e-12);
  const torch::Tensor first = torch::tensor({std::int64_t{0}});
  RopeTable table(rope, 8);
  EXPECT_EQ(table.angles(first, {}, 1, torch::kFloat64).cos[0][0].item<double>(), 1.25);
}

TEST_F(RopeTest, GradientsMatchDifferences) {
  RopeTable table({}, 6);
  const torch::Tensor positions = torch::arange(4, torch::kInt64) * 5;
  const RopeAngles angles = table.angles(positions, {}, 16, torch::kFloat64);
  const torch::Tensor x = random_leaf({4, 2, 6});
  expect_gradients([&] { return rotate(x, angles); }, {x});
}

// Rows of a long sequence and of a short one side by side.
TEST_F(RopeTest, DynamicStretchesTheBaseOfLongSequences) {
  RopeConfig config{100.0, 3.0};
  config.dynamic = DynamicRope{10};
  RopeTable table(config, 4);
  const torch::Tensor positions = torch::tensor({std::int64_t{7}, std::int64_t{7}});
  const torch::Tensor lengths = torch::tensor({std::int64_t{20}, std::int64_t{8}});
  const RopeAngles angles = table.angles(positions, lengths, 20, torch::kFloat64);
  const double stretched = 100.0 * std::pow(3.0 * 20 / 10 - 2, 2.0); // h / (h - 2) = 2
  EXPECT_NEAR(angles.cos[0][1].item<double>(), std::cos(7 / std::sqrt(stretched)), 1e-12);
  EXPECT_NEAR(angles.sin[1][1].item<double>(), std::sin(7 / std::sqrt(100.0)), 1e-12);
  const RopeAngles plain = table.angles(positions, lengths, 10, torch::kFloat64);
  EXPECT_NEAR(plain.sin[0][1].item<double>(), std::sin(7 / std::sqrt(100.0)), 1e-12);
}

// GPT-J: neighbours of the first dimensions turn, by complex multiplication; the rest stays.
TEST_F(RopeTest, NeighboursOfAPartTurn) {
  RopeConfig config{100.0};
  config.rotary_dim = 4;
  config.interleaved = true;
  RopeTable table(config, 7);
  const torch::Tensor positions = torch::tensor({std::int64_t{3}});
  const RopeAngles angles = table.angles(positions, {}, 4, torch::kFloat64);
  const torch::Tensor x = random_leaf({1, 2, 7});
  const torch::Tensor y = rotate(x, angles);
  for (int head = 0; head < 2; ++head) {
    const auto at = [&](const torch::Tensor& t, int j) { return t[0][head][j].item<double>(); };
    for (int pair = 0; pair < 2; ++pair) {
      const double angle = 3.0 * std::pow(100.0, -pair / 2.0);
      const double a = at(x, 2 * pair);
      const double b = at(x, 2 * pair + 1);
      EXPECT_NEAR(at(y, 2 * pair), a * std::cos(angle) - b * std::sin(angle), 1e-12);
      EXPECT_NEAR(at(y, 2 * pair + 1), b * std::cos(angle) + a * std::sin(angle), 1e-12);
    }
    for (int j = 4; j < 7; ++j) {
      EXPECT_EQ(at(y, j), at(x, j));
    }
  }
  expect_gradients([&] { return rotate(x, angles); }, {x});
}

TEST_F(RopeTest, GrowsWithThePositions) {
  RopeTable table({}, 8);
  const torch::Tensor early = torch::tensor({std::int64_t{5}});
  const torch::Tensor before = table.angles(early, {}, 6, torch::kFloat32).cos;
  const torch::Tensor late = torch::tensor({std::int64_t{70000}});
  const RopeAngles far = table.angles(late, {}, 70001, torch::kFloat32);
  EXPECT_NEAR(far.cos[0][0].item<double>(), std::cos(70000.0), 1e-5);
  EXPECT_TRUE(torch::equal(table.angles(early, {}, 6, torch::kFloat32).cos, before));
}

} // namespace
} // namespace errata
