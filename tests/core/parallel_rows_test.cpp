#include "core/parallel_rows.h"

#include "core/torch.h"
#include "tests/support/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <vector>

namespace errata {
namespace {

TEST(SideBySideTest, EachIsCalledOnce) {
  const testing_support::ThreadsScope threads(3);
  for (const std::int64_t count : {0, 1, 2, 3, 8}) {
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(count));
    side_by_side(count, [&](std::int64_t i) { ++calls[static_cast<std::size_t>(i)]; });
    for (const auto& call : calls) {
      EXPECT_EQ(call, 1) << count;
    }
  }
}

// Two that wait for each other meet only if both run at the same time.
TEST(SideBySideTest, AsManyAsThereAreThreadsRunAtTheSameTime) {
  const testing_support::ThreadsScope threads(2);
  std::atomic<int> arrived = 0;
  std::atomic<int> met = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  side_by_side(2, [&](std::int64_t) {
    ++arrived;
    while (arrived < 2 && std::chrono::steady_clock::now() < end) {
    }
    met += arrived == 2;
  });
  EXPECT_EQ(met, 2);
}

TEST(SideBySideTest, TheCallersGradientModeAndErrorsTravel) {
  const testing_support::ThreadsScope threads(2);
  for (const bool on : {true, false}) {
    const torch::AutoGradMode mode(on);
    side_by_side(2, [&](std::int64_t) { EXPECT_EQ(torch::GradMode::is_enabled(), on); });
  }
  EXPECT_THROW(
      side_by_side(2, [](std::int64_t i) { i == 1 ? throw std::runtime_error("one") : void(); }),
      std::runtime_error);
}

} // namespace
} // namespace errata
