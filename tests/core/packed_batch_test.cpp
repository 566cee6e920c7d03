#include "core/packed_batch.h"

#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

TEST(PackedBatchTest, SortsByLengthAndKeepsTies) {
  const std::vector<std::vector<std::int32_t>> sequences = {{1, 2, 3}, {4}, {5, 6, 7}, {8}};
  const PackedBatch batch = pack(sequences);
  EXPECT_EQ(batch.rows(), 8);
  EXPECT_TRUE(torch::equal(batch.ids, torch::tensor({4, 8, 1, 2, 3, 5, 6, 7}, torch::kInt64)));
  EXPECT_EQ(batch.order, (std::vector<std::size_t>{1, 3, 0, 2}));
  EXPECT_EQ(batch.first_row, (std::vector<std::int64_t>{2, 0, 5, 1}));
  ASSERT_EQ(batch.groups.size(), 2U);
  EXPECT_EQ(batch.groups[0].first_row, 0);
  EXPECT_EQ(batch.groups[0].count, 2);
  EXPECT_EQ(batch.groups[0].length, 1);
  EXPECT_EQ(batch.groups[1].first_row, 2);
  EXPECT_EQ(batch.groups[1].count, 2);
  EXPECT_EQ(batch.groups[1].length, 3);
}

TEST(PackedBatchTest, FillsRowsUpToACount) {
  PackedBatch batch = pack(std::vector<std::vector<std::int32_t>>{{1, 2, 3}, {4, 5}});
  batch.fill_to(3);
  EXPECT_EQ(batch.rows(), 5);
  batch.fill_to(8);
  EXPECT_TRUE(torch::equal(batch.ids, torch::tensor({4, 5, 1, 2, 3, 0, 0, 0}, torch::kInt64)));
  EXPECT_EQ(batch.groups.back().count, 1);
}

TEST(PackedBatchTest, RejectsAnEmptySequence) {
  const std::vector<std::vector<std::int32_t>> sequences = {{1}, {}};
  testing_support::expect_error(
      ErrorCode::kInvalidArgument, {"sequence 1"}, [&] { pack(sequences); });
}

} // namespace
} // namespace errata
