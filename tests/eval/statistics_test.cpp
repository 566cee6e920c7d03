#include "eval/statistics.h"

#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

#include <cmath>

namespace errata::eval {
namespace {

using testing_support::expect_error;

std::vector<Cluster> shares(int right, int n) {
  std::vector<Cluster> clusters;
  for (int i = 0; i < n; ++i) {
    clusters.push_back({i < right ? 1.0 : 0.0, 1.0});
  }
  return clusters;
}

TEST(BootstrapTest, QuantilesOfTheBinomialDistribution) {
  // 2.5 % and 97.5 % quantiles of Binomial(100, 0.5) are 40 and 60, of Binomial(50, 0.9) 41 and 49
  // (any table; R: qbinom). 10,000 resamples may miss by one.
  const Interval half = bootstrap_mean(shares(50, 100));
  EXPECT_NEAR(half.low, 0.40, 0.011);
  EXPECT_NEAR(half.high, 0.60, 0.011);
  const Interval most = bootstrap_mean(shares(45, 50));
  EXPECT_NEAR(most.low, 0.82, 0.021);
  EXPECT_NEAR(most.high, 0.98, 0.021);
}

TEST(BootstrapTest, ShortcutAgreesWithDrawingCases) {
  // A doubled observation in every cluster says nothing new, but takes the general way.
  std::vector<Cluster> doubled = shares(130, 400);
  for (Cluster& cluster : doubled) {
    cluster.sum *= 2;
    cluster.count *= 2;
  }
  const Interval fast = bootstrap_mean(shares(130, 400));
  const Interval general = bootstrap_mean(doubled);
  EXPECT_NEAR(fast.low, general.low, 0.006);
  EXPECT_NEAR(fast.high, general.high, 0.006);
}

TEST(BootstrapTest, NormalTheoryForAMean) {
  std::vector<Cluster> clusters;
  for (int i = 0; i < 300; ++i) {
    clusters.push_back({(i % 4) / 3.0, 1.0});
  }
  // Values 0, 1/3, 2/3, 1 in equal parts: mean 1/2, variance 5/36.
  const double half = 1.96 * std::sqrt(5.0 / 36 / 300);
  const Interval interval = bootstrap_mean(clusters);
  EXPECT_NEAR(interval.low, 0.5 - half, 0.004);
  EXPECT_NEAR(interval.high, 0.5 + half, 0.004);
}

TEST(BootstrapTest, ClustersWidenTheInterval) {
  // 400 observations that are 40 copies of 10 are 40 observations.
  std::vector<Cluster> clusters;
  for (int i = 0; i < 40; ++i) {
    clusters.push_back({i < 20 ? 10.0 : 0.0, 10.0});
  }
  const Interval together = bootstrap_mean(clusters);
  const Interval apart = bootstrap_mean(shares(200, 400));
  EXPECT_NEAR(together.high - together.low, 2 * 1.96 * std::sqrt(0.25 / 40), 0.03);
  EXPECT_GT(together.high - together.low, 2.5 * (apart.high - apart.low));
}

TEST(BootstrapTest, SeedDecides) {
  const Interval one = bootstrap_mean(shares(7, 91), {.resamples = 200, .seed = 1});
  const Interval again = bootstrap_mean(shares(7, 91), {.resamples = 200, .seed = 1});
  EXPECT_EQ(one.low, again.low);
  EXPECT_EQ(one.high, again.high);
  expect_error(ErrorCode::kInvalidArgument, {"at least one case"}, [] { bootstrap_mean({}); });
}

TEST(BootstrapTest, CertaintyHasNoWidth) {
  EXPECT_EQ(bootstrap_mean(shares(40, 40)).low, 1.0);
  EXPECT_EQ(bootstrap_mean(shares(0, 40)).high, 0.0);
}

TEST(WilsonTest, PublishedValues) {
  // Newcombe 1998 (Statistics in Medicine 17), table I, method 3.
  const Interval a = wilson(81, 263);
  EXPECT_NEAR(a.low, 0.2553, 5e-5);
  EXPECT_NEAR(a.high, 0.3662, 5e-5);
  const Interval b = wilson(15, 148);
  EXPECT_NEAR(b.low, 0.0624, 5e-5);
  EXPECT_NEAR(b.high, 0.1605, 5e-5);
  const Interval c = wilson(0, 20);
  EXPECT_NEAR(c.low, 0.0, 1e-12);
  EXPECT_NEAR(c.high, 0.1611, 5e-5);
  expect_error(ErrorCode::kInvalidArgument, {"Wilson", "3", "2"}, [] { wilson(3, 2); });
}

TEST(McNemarTest, ExactBelow25) {
  // Sums of binomial coefficients: 2 (1 + 10) / 2^10, and 2 (1 + 6 + 15) / 2^6.
  EXPECT_NEAR(mcnemar(1, 9).p_value, 22.0 / 1024, 1e-12);
  EXPECT_NEAR(mcnemar(4, 2).p_value, 44.0 / 64, 1e-12);
  EXPECT_TRUE(mcnemar(20, 4).exact);
  EXPECT_EQ(mcnemar(0, 0).p_value, 1.0);
  EXPECT_EQ(mcnemar(5, 5).p_value, 1.0);
  EXPECT_EQ(mcnemar(3, 8).p_value, mcnemar(8, 3).p_value);
}

TEST(McNemarTest, ChiSquareFrom25) {
  // (|59 - 6| - 1)^2 / 65 = 41.6; (|20 - 5| - 1)^2 / 25 = 7.84, p = 2 (1 - Phi(2.8)) = 0.00511.
  const McNemar strong = mcnemar(59, 6);
  EXPECT_FALSE(strong.exact);
  EXPECT_LT(strong.p_value, 1.2e-10);
  EXPECT_NEAR(mcnemar(20, 5).p_value, 0.00511026, 1e-7);
  EXPECT_EQ(mcnemar(20, 20).p_value, 1.0);
  EXPECT_EQ(mcnemar(20, 20).gained, 20);
}

TEST(HolmTest, StepsDown) {
  // Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, then never smaller than the one before.
  const std::vector<double> corrected = holm({0.04, 0.01, 0.03, 0.02});
  EXPECT_NEAR(corrected[1], 0.04, 1e-12);
  EXPECT_NEAR(corrected[3], 0.06, 1e-12);
  EXPECT_NEAR(corrected[2], 0.06, 1e-12);
  EXPECT_NEAR(corrected[0], 0.06, 1e-12);
  EXPECT_EQ(holm({0.6, 0.7})[1], 1.0);
  EXPECT_TRUE(holm({}).empty());
}

TEST(FigureTest, CountsOnlyWhenFew) {
  std::vector<Observation> observations;
  EXPECT_FALSE(make_figure(observations));
  for (int i = 0; i < 29; ++i) {
    observations.push_back(
        {"item" + std::to_string(i), "c" + std::to_string(i), i < 9 ? 1.0 : 0.0});
  }
  const Figure few = *make_figure(observations);
  EXPECT_EQ(few.n, 29);
  EXPECT_EQ(few.right, 9);
  EXPECT_NEAR(few.value, 9.0 / 29, 1e-12);
  EXPECT_FALSE(few.ci95);
  observations.push_back({"last", "c0", 0.5});
  const Figure enough = *make_figure(observations);
  EXPECT_EQ(enough.n, 30);
  EXPECT_FALSE(enough.right); // a half is no count
  ASSERT_TRUE(enough.ci95);
  EXPECT_LT(enough.ci95->low, enough.value);
  EXPECT_GT(enough.ci95->high, enough.value);
}

} // namespace
} // namespace errata::eval
