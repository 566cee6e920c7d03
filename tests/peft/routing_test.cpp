// Different adapters for different sequences of one batch.

#include "core/base/error.h"
#include "core/generation.h"
#include "peft/adapter.h"
#include "tests/peft/shake.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"

#include <gtest/gtest.h>

namespace errata::peft {
namespace {

using testing_support::expect_error;
using testing_support::tiny_decoder;

class RoutingTest : public testing_support::SeedingTest {
 protected:
  std::unique_ptr<Adapter> random_adapter(const AdapterConfig& config) {
    auto adapter = attach_adapter(model_, config, 1);
    shake(*adapter, 0.5);
    return adapter;
  }
  std::vector<Tokens> continued(const std::vector<Tokens>& prompts, Routing routing = {}) {
    GenerationOptions options;
    options.max_new_tokens = 8;
    options.max_batch = 5; // rows come and go
    options.routing = std::move(routing);
    std::vector<Tokens> texts;
    for (const Generation& one : generate(model_, prompts, options)) {
      texts.push_back(one.tokens);
    }
    return texts;
  }

  Decoder model_ = tiny_decoder(3);
};

TEST_F(RoutingTest, EachSequenceIsThatOfItsAdapterAlone) {
  AdapterConfig lora;
  lora.r = 3;
  lora.target_modules = {"q_proj", "up_proj"};
  AdapterConfig gains;
  gains.peft_type = "IA3";
  gains.target_modules = {"v_proj", "down_proj"};
  const std::vector<Tokens> some = {{2, 7, 9}, {2, 7, 9, 11, 30}, {2, 40, 3}, {2, 7, 9}};
  std::vector<Tokens> prompts;
  std::vector<std::int64_t> routes;
  for (const std::int64_t route : {0, -1, 1}) {
    prompts.insert(prompts.end(), some.begin(), some.end());
    routes.insert(routes.end(), some.size(), route);
  }
  std::vector<std::vector<Tokens>> alone;
  const auto first = random_adapter(lora);
  const auto second = random_adapter(gains);
  for (const std::int64_t route : {0, -1, 1}) {
    first->set_enabled(route == 0);
    second->set_enabled(route == 1);
    alone.push_back(continued(some));
  }
  EXPECT_NE(alone[0], alone[1]) << "the adapters must matter";
  EXPECT_NE(alone[2], alone[1]);
  first->set_enabled(true);
  second->set_enabled(true);
  const auto together = continued(prompts, route_adapters({first.get(), second.get()}, routes));
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(together[i], alone[i / some.size()][i % some.size()]) << i;
  }
  // Afterwards each is for all rows again.
  second->set_enabled(false);
  EXPECT_EQ(continued(some), alone[0]);
}

TEST_F(RoutingTest, AfterAnErrorEachAdapterIsForAllRowsAgain) {
  AdapterConfig lora;
  lora.r = 3;
  lora.target_modules = {"q_proj", "up_proj"};
  const auto adapter = random_adapter(lora);
  const torch::Tensor adapted = testing_support::log_probabilities(model_);
  GenerationOptions options;
  options.max_new_tokens = 8;
  options.routing = route_adapters({adapter.get()}, {-1, 0});
  options.should_stop = [](const Tokens& generated) -> bool {
    ERRATA_CHECK(generated.size() < 2, ErrorCode::kIo, "the listener is gone");
    return false;
  };
  expect_error(ErrorCode::kIo, {"the listener is gone"}, [&] {
    generate(model_, {{2, 7, 9}, {2, 40, 3}}, options);
  });
  EXPECT_TRUE(torch::equal(testing_support::log_probabilities(model_), adapted));
  adapter->set_enabled(false);
  EXPECT_FALSE(torch::equal(testing_support::log_probabilities(model_), adapted));
}

TEST_F(RoutingTest, WhatCannotBeIsNamed) {
  AdapterConfig prompt;
  prompt.peft_type = "PROMPT_TUNING";
  const auto soft = random_adapter(prompt);
  expect_error(ErrorCode::kUnsupported, {"prompt tuning", "whole batches"}, [&] {
    continued({{2, 7}, {2, 8}}, route_adapters({soft.get()}, {0, -1}));
  });
  soft->set_enabled(false);
  expect_error(
      ErrorCode::kInvalidArgument, {"route 0 of 0 adapters"}, [&] { route_adapters({}, {0}); });
  expect_error(ErrorCode::kInvalidArgument, {"route 1 of 1 adapters"}, [&] {
    route_adapters({soft.get()}, {0, -1, 1});
  });
  expect_error(ErrorCode::kInvalidArgument, {"each prompt needs a route"}, [&] {
    continued({{2, 7}, {2, 8}}, route_adapters({}, {-1}));
  });
}

} // namespace
} // namespace errata::peft
