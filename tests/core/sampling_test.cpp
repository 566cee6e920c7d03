#include "core/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace errata {
namespace {

std::map<std::int32_t, double> shares(
    const std::vector<float>& logits, const GenerationOptions& options) {
  constexpr int kDraws = 40000;
  Random random(5);
  std::map<std::int32_t, double> counts;
  for (int i = 0; i < kDraws; ++i) {
    counts[sample_token(logits, options, random)] += 1.0 / kDraws;
  }
  return counts;
}

// p = 0.1, 0.4, 0.3, 0.2
const std::vector<float> kLogits = {std::log(0.1F), std::log(0.4F), std::log(0.3F), std::log(0.2F)};

TEST(SamplingTest, FollowsTheDistribution) {
  GenerationOptions options;
  options.temperature = 1.0;
  auto found = shares(kLogits, options);
  EXPECT_NEAR(found[0], 0.1, 0.01);
  EXPECT_NEAR(found[1], 0.4, 0.01);
  EXPECT_NEAR(found[2], 0.3, 0.01);
  EXPECT_NEAR(found[3], 0.2, 0.01);
}

TEST(SamplingTest, TemperatureSharpens) {
  GenerationOptions options;
  options.temperature = 0.5; // p^2, normalised by 0.30
  auto found = shares(kLogits, options);
  EXPECT_NEAR(found[1], 0.16 / 0.30, 0.01);
  EXPECT_NEAR(found[0], 0.01 / 0.30, 0.01);
}

TEST(SamplingTest, TopKKeepsTheBest) {
  GenerationOptions options;
  options.temperature = 1.0;
  options.top_k = 2;
  auto found = shares(kLogits, options);
  EXPECT_EQ(found.size(), 2U);
  EXPECT_NEAR(found[1], 4.0 / 7.0, 0.01);
  EXPECT_NEAR(found[2], 3.0 / 7.0, 0.01);
}

TEST(SamplingTest, TopPKeepsTheShortestRunThatReachesIt) {
  GenerationOptions options;
  options.temperature = 1.0;
  options.top_p = 0.65; // 0.4 + 0.3
  EXPECT_EQ(shares(kLogits, options).size(), 2U);
  options.top_p = 0.75;
  EXPECT_EQ(shares(kLogits, options).size(), 3U);
  options.top_p = 1e-6;
  EXPECT_EQ(shares(kLogits, options).size(), 1U);
  options.top_p = 0.5; // of the two that top_k leaves, 4/7 suffices
  options.top_k = 2;
  EXPECT_EQ(shares(kLogits, options).size(), 1U);
}

TEST(SamplingTest, MinPIsAShareOfTheMostProbable) {
  GenerationOptions options;
  options.temperature = 1.0;
  options.min_p = 0.6; // 0.24: 0.4 and 0.3 stay
  auto found = shares(kLogits, options);
  EXPECT_EQ(found.size(), 2U);
  EXPECT_NEAR(found[2], 3.0 / 7.0, 0.01);
  options.min_p = 1.0;
  EXPECT_EQ(shares(kLogits, options).size(), 1U);
  options.min_p = 0.4; // 0.16: and 0.2, unless it is cut before
  EXPECT_EQ(shares(kLogits, options).size(), 3U);
  options.top_k = 2;
  EXPECT_EQ(shares(kLogits, options).size(), 2U);
}

TEST(SamplingTest, RepetitionIsPenalisedOnceAndOnBothSidesOfZero) {
  std::vector<float> logits = {2.0F, -2.0F, 1.0F};
  penalise_repetition(logits, {1, 0, 0}, 2.0);
  EXPECT_EQ(logits, (std::vector<float>{1.0F, -4.0F, 1.0F}));
}

TEST(SamplingTest, StreamsDiffer) {
  EXPECT_EQ(prompt_stream(1, 2).bits(), prompt_stream(1, 2).bits());
  EXPECT_NE(prompt_stream(1, 2).bits(), prompt_stream(1, 3).bits());
  EXPECT_NE(prompt_stream(1, 2).bits(), prompt_stream(2, 2).bits());
  EXPECT_NE(prompt_stream(0, 1).bits(), prompt_stream(1, 0).bits());
}

} // namespace
} // namespace errata
