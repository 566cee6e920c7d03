#include "core/batch_plan.h"

#include "core/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace errata {
namespace {

class RandomSource final : public ExampleSource {
 public:
  TrainExample next() override {
    TrainExample example;
    example.tokens.resize(2 + random_.index(30));
    example.tokens[0] = drawn++;
    return example;
  }
  std::int32_t drawn = 0;

 private:
  Random random_{1};
};

std::vector<std::shared_ptr<const TrainExample>> finite_set(std::size_t count) {
  RandomSource source;
  std::vector<std::shared_ptr<const TrainExample>> examples;
  for (std::size_t i = 0; i < count; ++i) {
    examples.push_back(std::make_shared<const TrainExample>(source.next()));
  }
  return examples;
}

TEST(BatchPlanTest, SharesHoldEveryExampleOnceAndCostAboutTheSame) {
  MicroBatch micro;
  for (const auto& example : finite_set(50)) {
    micro.push_back({example, std::ssize(micro)});
  }
  const auto cost = [](const TrainExample& example) {
    return static_cast<double>(example.tokens.size());
  };
  for (const std::size_t parts : {1U, 2U, 3U, 7U, 50U}) {
    std::set<std::int64_t> seen;
    std::vector<double> costs;
    for (const MicroBatch& share : share_out(micro, parts, cost)) {
      EXPECT_FALSE(share.empty());
      costs.push_back(0);
      for (const PlannedExample& planned : share) {
        EXPECT_TRUE(seen.insert(planned.index).second);
        costs.back() += cost(*planned.example);
      }
    }
    EXPECT_EQ(seen.size(), micro.size());
    const auto [least, most] = std::minmax_element(costs.begin(), costs.end());
    EXPECT_LE(*most - *least, 32) << parts; // of one example
  }
}

TEST(BatchPlanTest, StreamUsesEveryExampleOfAPoolOnceInFullBatchesOfSimilarLength) {
  RandomSource source;
  BatchOptions options;
  options.batch_tokens = 400;
  options.micro_tokens = 200;
  options.pool = 500;
  const auto plan = plan_stream(source, options);
  std::set<std::int32_t> seen;
  while (source.drawn <= 500) {
    const StepBatch batch = plan->next();
    ASSERT_EQ(batch.micro.size(), 2u);
    for (const MicroBatch& micro : batch.micro) {
      std::int64_t rows = 0;
      std::int64_t shortest = 1000;
      std::int64_t longest = 0;
      for (const PlannedExample& planned : micro) {
        EXPECT_TRUE(seen.insert(planned.example->tokens[0]).second);
        EXPECT_EQ(planned.index, -1);
        rows += planned.example->rows();
        shortest = std::min(shortest, planned.example->rows());
        longest = std::max(longest, planned.example->rows());
      }
      EXPECT_GT(rows, 150);
      EXPECT_LE(rows, 200 + 30);
      EXPECT_LE(longest - shortest, 12);
    }
  }
  EXPECT_GE(seen.size(), 499u);
}

TEST(BatchPlanTest, EpochsShowEachExampleOnceInANewOrder) {
  BatchOptions options;
  options.batch_examples = 7;
  options.micro_tokens = 40;
  const auto plan = plan_epochs(finite_set(30), 3, options);
  ASSERT_EQ(plan->steps(), 3 * 5);
  std::vector<std::vector<std::int64_t>> orders;
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::vector<std::int64_t> order;
    for (int step = 0; step < 5; ++step) {
      const StepBatch batch = plan->next();
      EXPECT_EQ(batch.ends_epoch, step == 4);
      std::size_t count = 0;
      for (const MicroBatch& micro : batch.micro) {
        for (const PlannedExample& planned : micro) {
          order.push_back(planned.index);
          ++count;
        }
      }
      EXPECT_EQ(count, step == 4 ? 2u : 7u);
    }
    EXPECT_EQ(std::set<std::int64_t>(order.begin(), order.end()).size(), 30u);
    orders.push_back(order);
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
}

TEST(BatchPlanTest, EpochsByTokensCountTheirSteps) {
  BatchOptions options;
  options.batch_tokens = 64;
  const auto plan = plan_epochs(finite_set(40), 4, options);
  std::int64_t steps = 0;
  for (int ends = 0; ends < 4; ++steps) {
    ends += plan->next().ends_epoch ? 1 : 0;
  }
  EXPECT_EQ(steps, plan->steps());
}

} // namespace
} // namespace errata
