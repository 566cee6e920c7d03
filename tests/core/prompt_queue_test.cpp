#include "core/prompt_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace errata {
namespace {

// Two kinds of token, so that many prompts are equal and many begin alike.
std::vector<Tokens> random_prompts(std::mt19937& random) {
  std::vector<Tokens> prompts(1 + random() % 12);
  const std::size_t alike = random() % 3;
  for (Tokens& prompt : prompts) {
    prompt.assign(alike, 7);
    for (std::size_t left = 1 + random() % 4; left > 0; --left) {
      prompt.push_back(static_cast<std::int32_t>(random() % 2));
    }
  }
  return prompts;
}

std::size_t expected_shared(const std::vector<Tokens>& prompts) {
  std::size_t length = prompts[0].size() - 1;
  for (const Tokens& prompt : prompts) {
    length = std::min(length, prompt.size() - 1);
    while (!std::equal(prompt.begin(), prompt.begin() + length, prompts[0].begin())) {
      --length;
    }
  }
  return std::set<Tokens>(prompts.begin(), prompts.end()).size() < 2 ? 0 : length;
}

TEST(PromptQueueTest, EachRunsOnceTheLongestFirst) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    const auto prompts = random_prompts(random);
    const bool any_lengths = random() % 2 == 0;
    const std::int64_t rows = 1 + random() % 4;
    const std::int64_t tokens = 1 + random() % 9;
    PromptQueue queue(prompts, {}, /*merge_equal=*/true);
    EXPECT_EQ(queue.shared(), expected_shared(prompts));
    std::vector<std::size_t> order;
    while (!queue.empty()) {
      const auto group = queue.take(rows, tokens, any_lengths);
      ASSERT_FALSE(group.empty());
      EXPECT_LE(std::ssize(group), rows);
      std::int64_t sum = 0;
      for (const std::size_t i : group) {
        sum += std::ssize(prompts[i]) - queue.shared();
        EXPECT_TRUE(any_lengths || prompts[i].size() == prompts[group.front()].size());
      }
      EXPECT_TRUE(sum <= tokens || group.size() == 1);
      if (!queue.empty() && std::ssize(group) < rows) { // as many as fit
        const Tokens& next = prompts[queue.next()];
        const bool other_length = next.size() != prompts[group.front()].size();
        EXPECT_TRUE(
            sum + std::ssize(next) - queue.shared() > tokens || (!any_lengths && other_length));
      }
      order.insert(order.end(), group.begin(), group.end());
    }
    EXPECT_EQ(std::ssize(order), queue.distinct());
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return prompts[a].size() > prompts[b].size();
    }));
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const auto first = std::find(prompts.begin(), prompts.end(), prompts[i]) - prompts.begin();
      EXPECT_EQ(queue.runs_for(i), static_cast<std::size_t>(first));
      EXPECT_EQ(
          std::count(order.begin(), order.end(), i), static_cast<std::size_t>(first) == i ? 1 : 0);
    }
  }
}

TEST(PromptQueueTest, RoutesKeepPromptsApart) {
  const std::vector<Tokens> prompts{{1, 2, 3}, {1, 2, 3}, {1, 2, 4}, {1, 2, 3}};
  const std::vector<std::int64_t> apart{0, 1, 0, 1};
  const PromptQueue queue(prompts, apart, true);
  EXPECT_EQ(queue.distinct(), 3);
  EXPECT_EQ(queue.runs_for(1), 1U);
  EXPECT_EQ(queue.runs_for(3), 1U);
  EXPECT_EQ(queue.shared(), 0) << "each route computes them otherwise";
  const std::vector<std::int64_t> same(4, 5);
  EXPECT_EQ(PromptQueue(prompts, same, true).shared(), 2);
}

TEST(PromptQueueTest, SampledPromptsAllRun) {
  const std::vector<Tokens> prompts{{1, 2}, {1, 2}, {1, 2}};
  PromptQueue queue(prompts, {}, /*merge_equal=*/false);
  EXPECT_EQ(queue.distinct(), 3);
  EXPECT_EQ(queue.shared(), 1);
  EXPECT_EQ(queue.take(8, 100, false).size(), 3U);
}

} // namespace
} // namespace errata
