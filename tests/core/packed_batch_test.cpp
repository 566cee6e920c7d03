#include "core/packed_batch.h"

#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace errata {
namespace {

TEST(PackedBatchTest, SortsByLengthAndKeepsTies) {
  const std::vector<std::vector<std::int32_t>> sequences = {{1, 2, 3}, {4}, {5, 6, 7}, {8}};
  const PackedBatch batch = pack(sequences);
  EXPECT_EQ(batch.rows(), 8);
  EXPECT_TRUE(torch::equal(batch.ids, torch::tensor({4, 8, 1, 2, 3, 5, 6, 7}, torch::kInt64)));
  EXPECT_EQ(batch.order, (std::vector<std::size_t>{1, 3, 0, 2}));
  EXPECT_EQ(batch.first_place, (std::vector<std::int64_t>{2, 0, 5, 1}));
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

TEST(PackedBatchTest, SharesWhatSequencesBeginWith) {
  PackedBatch batch = pack(std::vector<std::vector<std::int32_t>>{
      {1, 2, 3, 4}, {1, 2, 5}, {6, 2}, {1, 2}, {1, 2, 3, 7}});
  batch.share_prefixes();
  ASSERT_TRUE(batch.prefixes);
  const auto rows = torch::tensor({1, 2, 3, 4, 7, 5, 6, 2}, torch::kInt64); // from 15 tokens
  EXPECT_TRUE(torch::equal(batch.ids, rows)) << batch.ids;
}

// By brute force: places have one row exactly where all tokens up to them are the same.
TEST(PackedBatchTest, OneRowForEachBeginning) {
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::vector<std::int32_t>> sequences(1 + random() % 12);
    for (auto& sequence : sequences) {
      sequence.resize(1 + random() % 6);
      for (std::int32_t& token : sequence) {
        token = static_cast<std::int32_t>(random() % 3);
      }
    }
    PackedBatch batch = pack(sequences);
    const std::int64_t places = batch.rows();
    batch.share_prefixes();
    std::map<std::vector<std::int32_t>, std::int64_t> row_of;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      for (std::size_t t = 0; t < sequences[i].size(); ++t) {
        const std::vector<std::int32_t> beginning(
            sequences[i].begin(), sequences[i].begin() + static_cast<std::ptrdiff_t>(t) + 1);
        const std::int64_t row = batch.row_of(i, static_cast<std::int64_t>(t));
        EXPECT_EQ(batch.ids[row].item<std::int64_t>(), sequences[i][t]);
        if (batch.prefixes) {
          EXPECT_EQ(row_of.emplace(beginning, row).first->second, row);
        } else {
          row_of.emplace(beginning, row);
        }
      }
    }
    const auto beginnings = static_cast<std::int64_t>(row_of.size());
    EXPECT_EQ(batch.rows(), batch.prefixes ? beginnings : places);
    EXPECT_EQ(batch.prefixes.has_value(), 20 * beginnings <= 19 * places);
    const std::int64_t rows = batch.rows();
    batch.fill_to(rows + 3);
    EXPECT_EQ(batch.rows(), rows + 3);
    if (batch.prefixes) {
      EXPECT_EQ(batch.prefixes->places.size(0), rows + 3);
      EXPECT_EQ(batch.prefixes->rows.size(0), places);
      for (std::int64_t row = 0; row < rows; ++row) { // there and back
        EXPECT_EQ(batch.row_at(batch.prefixes->places[row].item<std::int64_t>()), row);
      }
    }
  }
}

TEST(PackedBatchTest, RejectsAnEmptySequence) {
  const std::vector<std::vector<std::int32_t>> sequences = {{1}, {}};
  testing_support::expect_error(
      ErrorCode::kInvalidArgument, {"sequence 1"}, [&] { pack(sequences); });
}

} // namespace
} // namespace errata
