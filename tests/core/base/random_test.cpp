#include "core/base/random.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace errata {
namespace {

TEST(RandomTest, StateContinuesTheSequence) {
  Random first(7);
  first.bits();
  Random second;
  second.set_state(first.state());
  EXPECT_EQ(first.bits(), second.bits());
  EXPECT_THROW(second.set_state("nonsense"), Error);
}

TEST(RandomTest, EngineIsTheStandardsMersenneTwister) {
  std::mt19937_64 judge(42);
  Random random(42);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(random.bits(), judge());
  }
}

TEST(RandomTest, ShuffleReachesEveryOrderEquallyOften) {
  Random random(1);
  std::array<int, 6> seen{};
  const int rounds = 60000;
  for (int i = 0; i < rounds; ++i) {
    std::vector<int> items{0, 1, 2};
    random.shuffle(items);
    ++seen[static_cast<std::size_t>(items[0] * 2 + (items[1] > items[2] ? 1 : 0))];
  }
  for (const int count : seen) {
    // Five standard deviations of a binomial with p = 1/6.
    EXPECT_NEAR(count, rounds / 6.0, 5 * std::sqrt(rounds * 5.0 / 36.0));
  }
}

TEST(RandomTest, WeightedFollowsTheWeights) {
  Random random(1);
  const std::array<double, 3> weights{1, 0, 3};
  std::array<int, 3> seen{};
  for (int i = 0; i < 40000; ++i) {
    ++seen[random.weighted(weights)];
  }
  EXPECT_EQ(seen[1], 0);
  EXPECT_NEAR(seen[2], 30000, 5 * std::sqrt(40000 * 0.75 * 0.25));
}

TEST(RandomTest, RefusesEmptyRanges) {
  Random random;
  EXPECT_THROW(random.index(0), Error);
  EXPECT_THROW(random.weighted(std::array<double, 2>{0, 0}), Error);
}

} // namespace
} // namespace errata
